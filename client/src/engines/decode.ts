import { EngineError } from './engine';
import type { Pixels } from './preprocess';

export interface DecodedPhoto extends Pixels {
  format: string;
  bytes: number;
}

/**
 * A photo's own pixels: upright (EXIF), in sRGB, alpha laid on white, and not resampled: drawn 1:1. Scaling is left to `preprocess`, which
 * does it as the server does.
 */
export async function decode(photo: Blob): Promise<DecodedPhoto> {
  const format = await formatOf(photo);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(photo, { imageOrientation: 'from-image', premultiplyAlpha: 'none', colorSpaceConversion: 'default' });
  } catch {
    throw new EngineError(format === 'heic' ? 'heic' : 'not-an-image');
  }
  try {
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
    // Browsers answer null where the canvas is larger than they allow.
    if (!context) throw new EngineError('too-large');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4, format, bytes: photo.size };
  } catch (error) {
    throw error instanceof EngineError ? error : new EngineError('too-large');
  } finally {
    bitmap.close();
  }
}

/** By content, as the server tells them apart: a file's name and type are only what somebody says. */
export async function formatOf(photo: Blob): Promise<string> {
  const head = String.fromCharCode(...new Uint8Array(await photo.slice(0, 16).arrayBuffer()));
  if (head.startsWith('\xff\xd8')) return 'jpeg';
  if (head.startsWith('\x89PNG')) return 'png';
  if (head.startsWith('GIF8')) return 'gif';
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return 'webp';
  if (head.startsWith('II*\0') || head.startsWith('MM\0*')) return 'tiff';
  if (head.startsWith('BM')) return 'bmp';
  // ISO base media file: the brand says which kind.
  if (head.slice(4, 8) === 'ftyp') return /^avi[fs]/.test(head.slice(8)) ? 'avif' : /^(hei|hev|mif1|msf1)/.test(head.slice(8)) ? 'heic' : 'unknown';
  return 'unknown';
}
