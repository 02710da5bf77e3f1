/** A photo whose pixels every browser shows alike, and how they are to be turned: the orientation of EXIF, 1 to 8. */
export interface Stored {
  photo: Blob;
  orientation: number;
}

/** A chunk of PNG or RIFF: where it begins and ends in the file, with all that belongs to it, and its data. */
interface Chunk {
  name: string;
  at: number;
  end: number;
  data: DataView;
}

/**
 * The photo without what browsers read in different ways. The server reads it as Pillow does, with which models are trained: the gamma and the primaries of a PNG
 * mean nothing, the orientation of PNG and WebP means what it means in JPEG. Other formats are left as they are.
 */
export async function withoutMetadata(photo: Blob, format: string): Promise<Stored> {
  if (format !== 'png' && format !== 'webp') return { photo, orientation: 1 };
  const bytes = new Uint8Array(await photo.arrayBuffer());
  return format === 'png' ? fromPng(photo, bytes) : fromWebp(photo, bytes);
}

/** ISO/IEC 15948, 11.3: what the colours are meant to be, and EXIF. A profile (iCCP) stays: the server applies it, too. */
const leftOut: readonly string[] = ['gAMA', 'cHRM', 'cICP', 'eXIf'];

function fromPng(photo: Blob, bytes: Uint8Array<ArrayBuffer>): Stored {
  const chunks = [...chunksOf(bytes, 8, ({ view, at }) => ({ length: view.getUint32(at), nameAt: at + 4, dataAt: at + 8, behind: 4 }))];
  const out = chunks.filter(({ name }) => leftOut.includes(name));
  const exif = out.findLast(({ name }) => name === 'eXIf');
  return { photo: cut(photo, out), orientation: (exif && orientationOf(exif.data)) ?? 1 };
}

function fromWebp(photo: Blob, bytes: Uint8Array<ArrayBuffer>): Stored {
  const chunks = [...chunksOf(bytes, 12, ({ view, at }) => {
    const length = view.getUint32(at + 4, true);
    return { length, nameAt: at, dataAt: at + 8, behind: length % 2 };
  })];
  const exif = chunks.findLast(({ name }) => name === 'EXIF');
  if (!exif) return { photo, orientation: 1 };
  // RFC 9649, 2.7: the file's length is said at its start, and that there is EXIF in the first chunk.
  const head = bytes.slice(0, 30);
  const out = chunks.filter(({ name }) => name === 'EXIF');
  new DataView(head.buffer).setUint32(4, bytes.length - 8 - out.reduce((sum, { at, end }) => sum + end - at, 0), true);
  if (chunks[0]?.name === 'VP8X') head[20]! &= ~0x08;
  return { photo: cut(new Blob([head, photo.slice(head.length)]), out), orientation: orientationOf(exif.data) ?? 1 };
}

function* chunksOf(
  bytes: Uint8Array,
  start: number,
  layout: (place: { view: DataView; at: number }) => { length: number; nameAt: number; dataAt: number; behind: number },
): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = start; at + 8 <= bytes.length; ) {
    const { length, nameAt, dataAt, behind } = layout({ view, at });
    const end = Math.min(dataAt + length + behind, bytes.length);
    if (dataAt + length > bytes.length) return;
    yield { name: String.fromCharCode(...bytes.subarray(nameAt, nameAt + 4)), at, end, data: new DataView(bytes.buffer, bytes.byteOffset + dataAt, length) };
    at = end;
  }
}

/** The file without these parts. */
function cut(photo: Blob, out: readonly Chunk[]): Blob {
  if (out.length === 0) return photo;
  const starts = [0, ...out.map(({ end }) => end)];
  return new Blob(starts.map((start, part) => photo.slice(start, out[part]?.at ?? photo.size)), { type: photo.type });
}

/** Exif 2.32, 4.6.2: a TIFF file whose first directory may name an orientation. Nothing where it is cut, or names none. */
export function orientationOf(exif: DataView): number | undefined {
  // Some programs write what stands before it in JPEG.
  const start = exif.byteLength > 6 && exif.getUint32(0) === 0x45786966 ? 6 : 0;
  if (start + 8 > exif.byteLength) return undefined;
  const little = exif.getUint16(start) === 0x4949;
  const directory = start + exif.getUint32(start + 4, little);
  if (directory + 2 > exif.byteLength) return undefined;
  const entries = exif.getUint16(directory, little);
  for (let at = directory + 2; at < directory + 2 + entries * 12 && at + 12 <= exif.byteLength; at += 12) {
    if (exif.getUint16(at, little) !== 0x0112) continue;
    const value = exif.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

/** The picture as its orientation says that it is to be shown. What was given is closed. */
export function upright(stored: ImageBitmap, orientation: number): ImageBitmap {
  const { width: w, height: h } = stored;
  const matrix = matrices(w, h)[orientation];
  if (!matrix) return stored;
  const canvas = orientation > 4 ? new OffscreenCanvas(h, w) : new OffscreenCanvas(w, h);
  try {
    const context = canvas.getContext('2d')!;
    context.setTransform(...matrix);
    context.drawImage(stored, 0, 0);
    return canvas.transferToImageBitmap();
  } finally {
    stored.close();
  }
}

/** Where stored pixels go, by orientation: a, b, c, d, e, f of `setTransform`. */
const matrices = (w: number, h: number): Record<number, [number, number, number, number, number, number]> => ({
  2: [-1, 0, 0, 1, w, 0],
  3: [-1, 0, 0, -1, w, h],
  4: [1, 0, 0, -1, 0, h],
  5: [0, 1, 1, 0, 0, 0],
  6: [0, 1, -1, 0, h, 0],
  7: [0, -1, -1, 0, h, w],
  8: [0, -1, 1, 0, 0, w],
});
