import { geometryOf } from './geometry';
import type { Axis, Geometry } from './geometry';
import type { Manifest, Preprocessing, Resample } from './server-api';

/**
 * From pixels to the model's input, step for step as `src/Inference/Preprocessing` on the server does it, and checked against the same
 * golden files: the two engines see the same tensor. The browser's own resizing is not used; it differs from browser to browser.
 */
export function preprocess(pixels: Pixels, { preprocessing, input }: Pick<Manifest, 'preprocessing' | 'input'>): Uint8Array | Float32Array {
  const resized = resize(pixels, geometryOf(pixels.width, pixels.height, preprocessing, input), preprocessing.resample);
  return toTensor(resized, preprocessing, input);
}

/** Rows of RGB or RGBA bytes; a fourth channel is not looked at. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels: 3 | 4;
}

/** Rows of RGB: bytes from Pillow's resizers, numbers from 0 to 255 from the two bilinear ones. */
export function resize(pixels: Pixels, geometry: Geometry, resample: Resample): Uint8Array | Float32Array {
  switch (resample) {
    case 'pil-nearest':
      return nearest(pixels, geometry);
    case 'pil-bilinear':
      return convolution(pixels, geometry, 1, (x) => (Math.abs(x) < 1 ? 1 - Math.abs(x) : 0));
    case 'pil-bicubic':
      return convolution(pixels, geometry, 2, bicubic);
    case 'pil-lanczos':
      return convolution(pixels, geometry, 3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0));
    case 'tf-bilinear':
      return bilinear(pixels, geometry, true);
    case 'tfjs-bilinear':
      return bilinear(pixels, geometry, false);
  }
}

// Pillow, src/libImaging/Resample.c: bicubic_filter with a = -0.5, in the same order of operations.
function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

// Pillow, src/libImaging/Geometry.c, ImagingScaleAffine: the position is summed up, not multiplied, and rounding errors are part of the answer.
function nearest({ data, width, channels }: Pixels, { x, y }: Geometry): Uint8Array {
  const positions = ({ sourceLength, resizedLength, start, length }: Axis) => {
    const step = sourceLength / resizedLength;
    const result = new Int32Array(length);
    for (let i = 0, at = step * 0.5; i < start + length; i++, at += step) if (i >= start) result[i - start] = Math.min(Math.trunc(at), sourceLength - 1);
    return result;
  };
  const [columns, rows] = [positions(x), positions(y)];
  const result = new Uint8Array(x.length * y.length * 3);
  let to = 0;
  for (const row of rows) {
    const start = (y.sourceStart + row) * width + x.sourceStart;
    for (const column of columns) {
      const from = (start + column) * channels;
      result[to++] = data[from]!;
      result[to++] = data[from + 1]!;
      result[to++] = data[from + 2]!;
    }
  }
  return result;
}

// Pillow keeps 8 bits for the result and 2 for what negative weights overshoot.
const precisionBits = 32 - 8 - 2;
const half = 1 << (precisionBits - 1);

/**
 * Pillow's antialiased resampling, bit for bit (Resample.c): each output pixel is the weighted sum of the pixels that a filter, widened by
 * the scale, covers; across first, rounded to 8 bits, then down; weights are fixed-point numbers.
 */
function convolution({ data, width, channels }: Pixels, { x, y }: Geometry, support: number, filter: (x: number) => number): Uint8Array {
  const [across, down] = [weightsOf(x, support, filter), weightsOf(y, support, filter)];
  const rowBytes = x.length * 3;
  // Only the source rows that some output row needs.
  const firstRow = down.first[0]!;
  const rowCount = down.first[y.length - 1]! + down.count[y.length - 1]! - firstRow;
  const lines = new Uint8ClampedArray(rowCount * rowBytes);
  for (let row = 0, to = 0; row < rowCount; row++) {
    const start = ((y.sourceStart + firstRow + row) * width + x.sourceStart) * channels;
    for (let column = 0; column < x.length; column++) {
      let from = start + across.first[column]! * channels;
      const begin = column * across.taps;
      const end = begin + across.count[column]!;
      let [r, g, b] = [half, half, half];
      for (let tap = begin; tap < end; tap++, from += channels) {
        const weight = across.values[tap]!;
        r = (r + data[from]! * weight) | 0;
        g = (g + data[from + 1]! * weight) | 0;
        b = (b + data[from + 2]! * weight) | 0;
      }
      lines[to++] = r >> precisionBits;
      lines[to++] = g >> precisionBits;
      lines[to++] = b >> precisionBits;
    }
  }

  const result = new Uint8ClampedArray(y.length * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let row = 0; row < y.length; row++) {
    sums.fill(half);
    for (let tap = 0; tap < down.count[row]!; tap++) {
      const weight = down.values[row * down.taps + tap]!;
      const from = (down.first[row]! - firstRow + tap) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] = sums[i]! + lines[from + i]! * weight;
    }
    for (let i = 0; i < rowBytes; i++) result[row * rowBytes + i] = sums[i]! >> precisionBits;
  }
  return new Uint8Array(result.buffer);
}

// Resample.c: precompute_coeffs, then normalize_coeffs_8bpc; in the same order, as doubles do not forgive another one.
function weightsOf(axis: Axis, support: number, filter: (x: number) => number) {
  const scale = axis.sourceLength / axis.resizedLength;
  const filterScale = Math.max(scale, 1);
  const reach = support * filterScale;
  const taps = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(axis.length);
  const count = new Int32Array(axis.length);
  const values = new Int32Array(axis.length * taps);
  const weights = new Float64Array(taps);
  for (let i = 0; i < axis.length; i++) {
    const center = (axis.start + i + 0.5) * scale;
    const min = Math.max(Math.trunc(center - reach + 0.5), 0);
    const max = Math.min(Math.trunc(center + reach + 0.5), axis.sourceLength) - min;
    let sum = 0;
    for (let k = 0; k < max; k++) sum += weights[k] = filter((k + min - center + 0.5) * (1 / filterScale));
    for (let k = 0; k < max; k++) {
      const weight = (sum !== 0 ? weights[k]! / sum : weights[k]!) * (1 << precisionBits);
      values[i * taps + k] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[i] = min;
    count[i] = max;
  }
  return { first, count, taps, values };
}

/** Between the four nearest pixels, without antialiasing: `tf.image.resize` with half-pixel centres, TensorFlow.js' `resizeBilinear` without. */
function bilinear({ data, width, channels }: Pixels, { x, y }: Geometry, halfPixelCenters: boolean): Float32Array {
  const f = Math.fround;
  // TensorFlow computes positions in single precision (image_resizer_state.h, HalfPixelScaler), and at a large scale its rounding shows in
  // the result; TensorFlow.js computes them in double precision (ResizeBilinear.ts of the CPU backend).
  const positions = ({ sourceLength, resizedLength, start, length }: Axis) =>
    Array.from({ length }, (_, i) => {
      const at = halfPixelCenters ? f(f(f(start + i + 0.5) * f(sourceLength / resizedLength)) - 0.5) : (start + i) * (sourceLength / resizedLength);
      const floor = Math.floor(at);
      return { lower: Math.max(floor, 0), upper: Math.min(Math.ceil(at), sourceLength - 1), fraction: f(at - floor) };
    });
  const columns = positions(x);
  const result = new Float32Array(x.length * y.length * 3);
  let to = 0;
  for (const row of positions(y)) {
    const top = (y.sourceStart + row.lower) * width + x.sourceStart;
    const bottom = (y.sourceStart + row.upper) * width + x.sourceStart;
    for (const column of columns) {
      for (let c = 0; c < 3; c++) {
        // tensorflow/core/kernels/image/resize_bilinear_op.cc, compute_lerp: across first, then down, a + (b - a) * fraction.
        const at = (line: number, position: number) => data[(line + position) * channels + c]!;
        const above = f(at(top, column.lower) + f((at(top, column.upper) - at(top, column.lower)) * column.fraction));
        const below = f(at(bottom, column.lower) + f((at(bottom, column.upper) - at(bottom, column.lower)) * column.fraction));
        result[to++] = above + f(f(below - above) * row.fraction);
      }
    }
  }
  return result;
}

/** Rescaled, normalised, in the model's channel order and layout. A uint8 input takes the bytes as they are: its graph does the arithmetic. */
function toTensor(rgb: Uint8Array | Float32Array, preprocessing: Preprocessing, { type, layout, width, height }: Manifest['input']): Uint8Array | Float32Array {
  if (type === 'uint8' && layout === 'nhwc') return rgb instanceof Uint8Array ? rgb : Uint8Array.from(rgb, roundHalfToEven);
  const plane = width * height;
  const tensor = type === 'uint8' ? new Uint8Array(plane * 3) : new Float32Array(plane * 3);
  for (let c = 0; c < 3; c++) {
    const from = type === 'float32' && preprocessing.channel_order === 'bgr' ? 2 - c : c;
    const scale = Math.fround(preprocessing.rescale_factor / preprocessing.image_std[c]!);
    const offset = Math.fround(-preprocessing.image_mean[c]! / preprocessing.image_std[c]!);
    const [first, step] = layout === 'nhwc' ? [c, 3] : [c * plane, 1];
    for (let i = 0; i < plane; i++) {
      const value = rgb[i * 3 + from]!;
      tensor[first + i * step] = type === 'uint8' ? roundHalfToEven(value) : Math.fround(value * scale) + offset;
    }
  }
  return tensor;
}

// As .NET's MathF.Round.
function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}
