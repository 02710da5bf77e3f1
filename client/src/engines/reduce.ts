/** A photo decoded at a fraction of its size, upright and in sRGB, and the size that it has as a whole. */
export interface ReducedPhoto {
  frame: VideoFrame;
  width: number;
  height: number;
}

/** Of what a JPEG decoder leaves out at no cost: it takes 1, 2 or 4 of each block's 8 rows and columns (libjpeg, scale_num). */
const fractions = [8, 4, 2] as const;

/**
 * A JPEG at 1/2, 1/4 or 1/8 of its size, whichever is the smallest that `fits`: 12 megapixels take an eighth of the time. Nothing where that gains
 * nothing, where the browser cannot, or where it is no JPEG: of other formats no part can be left out. https://www.w3.org/TR/webcodecs/#imagedecoder-interface
 */
export async function decodeReduced(photo: Blob, fits: (width: number, height: number) => boolean): Promise<ReducedPhoto | undefined> {
  if (typeof ImageDecoder === 'undefined' || photo.size < 4) return undefined;
  const data = await photo.arrayBuffer();
  const size = jpegFrame(new Uint8Array(data));
  if (!size) return undefined;
  const { width, height } = size;
  const part = (length: number, fraction: number) => Math.ceil(length / fraction);
  // Which way up the photo is, only the decoder says.
  const fraction = fractions.find((candidate) => fits(part(width, candidate), part(height, candidate)) && fits(part(height, candidate), part(width, candidate)));
  if (!fraction) return undefined;
  const decoder = new ImageDecoder({ data, type: 'image/jpeg', desiredWidth: part(width, fraction), desiredHeight: part(height, fraction) });
  try {
    const { image: frame } = await decoder.decode();
    const turned = frame.displayWidth < frame.displayHeight !== width < height;
    return { frame, width: turned ? height : width, height: turned ? width : height };
  } catch {
    // A damaged file: the usual way says so.
    return undefined;
  } finally {
    decoder.close();
  }
}

/** What stands in the frame header, before any orientation. ITU-T T.81, B.2.2: SOF0 to SOF15, but for the tables DHT, JPG and DAC; SOF2 is progressive. */
export function jpegFrame(bytes: Uint8Array): { width: number; height: number; progressive: boolean } | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    // A marker may be preceded by any number of fill bytes.
    if (marker === 0xff) at++;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), progressive: marker === 0xc2 };
    } else at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}
