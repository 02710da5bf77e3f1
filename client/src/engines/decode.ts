import { EngineError } from './engine';
import type { ImageFacts } from './engine';
import { upright, withoutMetadata } from './metadata';
import type { Pixels } from './preprocess';
import { decodeReduced, jpegFrame } from './reduce';

/** A decoded photo, perhaps at a fraction of its size. Whoever is done with it closes `source`. */
export interface Picture {
  source: ImageBitmap | VideoFrame;
  width: number;
  height: number;
  /** The photo as it was given. */
  image: ImageFacts;
  /** Whether its end had to be put there. */
  mended: boolean;
}

/** JPEG's end marker. */
const end = new Uint8Array([0xff, 0xd9]);

/** A photo, upright (EXIF) and in sRGB. A large JPEG is decoded at a fraction of its size, where that `fits`. */
export async function decode(photo: Blob, fits: (width: number, height: number) => boolean): Promise<Picture> {
  const format = await formatOf(photo);
  const picture = await open(photo, format, fits);
  const mayBeCut = format === 'jpeg' && (looksCut(picture) || (await isProgressive(photo)));
  if (!mayBeCut || !(await isCut(picture.mended ? new Blob([photo, end]) : photo, format))) return picture;
  picture.source.close();
  throw unreadable(format);
}

async function open(photo: Blob, format: string, fits: (width: number, height: number) => boolean): Promise<Picture> {
  const reduced = format === 'jpeg' ? await decodeReduced(photo, fits) : undefined;
  if (reduced) {
    const { frame, width, height } = reduced;
    return { source: frame, width: frame.displayWidth, height: frame.displayHeight, image: { width, height, format, bytes: photo.size }, mended: false };
  }
  const whole = await bitmapOf(photo, format).catch(() => undefined);
  // What lacks only its end marker, or its last few rows, the server answers.
  const bitmap = whole ?? (format === 'jpeg' ? await bitmapOf(new Blob([photo, end]), format).catch(() => undefined) : undefined);
  if (!bitmap) throw unreadable(format);
  const { width, height } = bitmap;
  return { source: bitmap, width, height, image: { width, height, format, bytes: photo.size }, mended: !whole };
}

async function bitmapOf(photo: Blob, format: string): Promise<ImageBitmap> {
  const stored = await withoutMetadata(photo, format);
  const bitmap = await createImageBitmap(stored.photo, { imageOrientation: 'from-image', premultiplyAlpha: 'none', colorSpaceConversion: 'default' });
  return upright(bitmap, stored.orientation);
}

/**
 * Whether a JPEG ends in as much grey as decoders leave, who say nothing, where more rows are missing than the server lets pass (16, and a fiftieth). They lie
 * at one side of the upright picture; a grey frame lies at two.
 */
function looksCut({ source, width, height, image }: Picture): boolean {
  const deep = (length: number, whole: number) => Math.ceil((Math.min(Math.max(Math.floor(whole / 50) + 1, 8), 17) * length) / whole);
  const isGrey = (left: number, top: number, across: number, down: number) =>
    drawn(source, [left, top, across, down], across, down).every((value, at) => at % 4 === 3 || value === 128);
  const [down, across] = [deep(height, image.height), deep(width, image.width)];
  return (
    isGrey(0, 0, width, down) !== isGrey(0, height - down, width, down) || isGrey(0, 0, across, height) !== isGrey(width - across, 0, across, height)
  );
}

/** What lacks passes looks like any picture, only coarser. */
async function isProgressive(photo: Blob): Promise<boolean> {
  return jpegFrame(new Uint8Array(await photo.arrayBuffer()))?.progressive === true;
}

/** Whether more data before its end make another picture of it: they are passed over where all pixels are there. */
async function isCut(photo: Blob, format: string): Promise<boolean> {
  const more = Uint8Array.from({ length: 65_536 }, (_, at) => (at * 2_654_435_761) >>> 24).map((value) => Math.min(value, 0xfe));
  const versions = [photo, new Blob([photo.slice(0, -end.length), more, end])].map(async (version) => {
    const bitmap = await bitmapOf(version, format);
    const pixels = drawn(bitmap, [0, 0, bitmap.width, bitmap.height], 256, 256);
    bitmap.close();
    return pixels;
  });
  const [before, after] = await Promise.all(versions);
  return before!.some((value, at) => value !== after![at]);
}

function drawn(source: CanvasImageSource, [left, top, across, down]: [number, number, number, number], width: number, height: number): Uint8ClampedArray {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(source, left, top, across, down, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** Its pixels, alpha laid on white, and not resampled: drawn 1:1. Scaling is left to `preprocess`, which does it as the server does. The picture is closed. */
export function pixelsOf({ source, width, height }: Picture): Pixels {
  try {
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
    // Browsers answer null where the canvas is larger than they allow.
    if (!context) throw new EngineError('too-large');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4 };
  } catch {
    throw new EngineError('too-large');
  } finally {
    source.close();
  }
}

/** Every browser reads these, so that a file which it cannot read is damaged. */
const readEverywhere: readonly string[] = ['jpeg', 'png', 'gif', 'webp', 'bmp', 'ico', 'unknown'];

function unreadable(format: string): EngineError {
  if (format === 'heic') return new EngineError('heic');
  return readEverywhere.includes(format) ? new EngineError('not-an-image') : new EngineError('format-unsupported', formatName(format));
}

/** As people write it. */
export const formatName = (format: string): string => names[format] ?? format.toUpperCase();

const names: Record<string, string> = { jxl: 'JPEG XL', webp: 'WebP', pnm: 'Netpbm' };

/** By content, as the server tells them apart: a file's name and type are only what somebody says. */
export async function formatOf(photo: Blob): Promise<string> {
  const head = String.fromCharCode(...new Uint8Array(await photo.slice(0, 64).arrayBuffer()));
  if (head.startsWith('\xff\xd8')) return 'jpeg';
  if (head.startsWith('\x89PNG')) return 'png';
  if (head.startsWith('GIF8')) return 'gif';
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return 'webp';
  // Classic TIFF and BigTIFF, in both byte orders.
  if (/^(II[*+]\0|MM\0[*+])/.test(head)) return 'tiff';
  if (head.startsWith('BM')) return 'bmp';
  if (head.startsWith('\0\0\x01\0')) return 'ico';
  // A digit and a blank: other files begin with the letter, too.
  if (/^P[1-6][\s#]/.test(head)) return 'pnm';
  // ISO/IEC 18181-2: the bare codestream, and the container.
  if (head.startsWith('\xff\x0a') || head.slice(4, 8) === 'JXL ') return 'jxl';
  return head.slice(4, 8) === 'ftyp' ? isoMediaOf(head) : 'unknown';
}

/** AVIF and HEIC are the same container (ISO/IEC 14496-12); the brands tell the codec. `mif1` alone says only "a picture", and stands first in files of either kind. */
function isoMediaOf(head: string): string {
  const end = [...head.slice(0, 4)].reduce((size, byte) => size * 256 + byte.charCodeAt(0), 0);
  const brands = head.slice(8, end).match(/[^]{4}/g) ?? [];
  if (brands.some((brand) => /^avi[fs]$/.test(brand))) return 'avif';
  return brands.some((brand) => /^(hei|hev|mif1|msf1)/.test(brand)) ? 'heic' : 'unknown';
}
