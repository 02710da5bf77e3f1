import type { Preprocessing } from './server-api';

/** One side: `sourceLength` pixels from `sourceStart` on are resized to `resizedLength`; of these, `length` from `start` on are the input. */
export interface Axis {
  sourceStart: number;
  sourceLength: number;
  resizedLength: number;
  start: number;
  length: number;
}

export interface Geometry {
  x: Axis;
  y: Axis;
}

interface Size {
  width: number;
  height: number;
}

export function geometryOf(width: number, height: number, { crop, resize_shortest }: Pick<Preprocessing, 'crop' | 'resize_shortest'>, input: Size): Geometry {
  if (crop === 'center-square') {
    const side = Math.min(width, height);
    return {
      x: { sourceStart: Math.floor((width - side) / 2), sourceLength: side, resizedLength: input.width, start: 0, length: input.width },
      y: { sourceStart: Math.floor((height - side) / 2), sourceLength: side, resizedLength: input.height, start: 0, length: input.height },
    };
  }
  if (crop === 'resize-then-center') {
    // torchvision, Resize: the longer side is cut to whole pixels, int (size * long / short).
    const shortest = resize_shortest ?? Math.min(input.width, input.height);
    const resizedWidth = width <= height ? shortest : Math.trunc((shortest * width) / height);
    const resizedHeight = width <= height ? Math.trunc((shortest * height) / width) : shortest;
    return {
      x: { sourceStart: 0, sourceLength: width, resizedLength: resizedWidth, start: centerStart(resizedWidth, input.width), length: input.width },
      y: { sourceStart: 0, sourceLength: height, resizedLength: resizedHeight, start: centerStart(resizedHeight, input.height), length: input.height },
    };
  }
  return {
    x: { sourceStart: 0, sourceLength: width, resizedLength: input.width, start: 0, length: input.width },
    y: { sourceStart: 0, sourceLength: height, resizedLength: input.height, start: 0, length: input.height },
  };
}

/** How much more than the resized side must be left of a photo that is decoded smaller; the server's own margin. */
const margin = 1.4;

/** A smaller network is left as much as one of this side, as in the server. */
const usualSide = 224;

/** Whether so many pixels are enough of a photo, where the model's fidelity allows less than all of them. */
export function mayReduceTo(preprocessing: Pick<Preprocessing, 'crop' | 'resize_shortest' | 'resample' | 'fidelity'>, input: Size): (width: number, height: number) => boolean {
  const antialiased = ['pil-bilinear', 'pil-bicubic', 'pil-lanczos'].includes(preprocessing.resample);
  const fast = (preprocessing.fidelity ?? (antialiased ? 'fast' : 'exact')) === 'fast';
  return (width, height) => {
    const { x, y } = geometryOf(width, height, preprocessing, input);
    return fast && [x, y].every(({ sourceLength, resizedLength }) => sourceLength >= margin * Math.max(1, usualSide / Math.max(input.width, input.height)) * resizedLength);
  };
}

// torchvision, CenterCrop: int (round ((size - crop) / 2.0)), and Python rounds halves to even.
function centerStart(resized: number, length: number): number {
  const exact = (resized - length) / 2;
  const low = Math.floor(exact);
  return exact - low === 0.5 ? low + (low % 2) : Math.round(exact);
}

/** The part of the photo that the model sees, as shares of its width and height. */
export function seenRegion(width: number, height: number, preprocessing: Pick<Preprocessing, 'crop' | 'resize_shortest'>, input: Size) {
  const { x, y } = geometryOf(width, height, preprocessing, input);
  const share = ({ sourceStart, sourceLength, resizedLength, start, length }: Axis, whole: number) => ({
    start: (sourceStart + (start / resizedLength) * sourceLength) / whole,
    length: ((length / resizedLength) * sourceLength) / whole,
  });
  const [across, down] = [share(x, width), share(y, height)];
  return { left: across.start, top: down.start, width: across.length, height: down.length };
}

/** The size to shrink to, sides in proportion; undefined where the photo is not larger than that. */
export function shrunkSize(width: number, height: number, shortSide: number): Size | undefined {
  const scale = shortSide / Math.min(width, height);
  return scale < 0.9 ? { width: Math.round(width * scale), height: Math.round(height * scale) } : undefined;
}
