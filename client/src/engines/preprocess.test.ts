import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { geometryOf, seenRegion } from './geometry';
import { preprocess, resize } from './preprocess';
import type { Manifest, Preprocessing, Resample } from './server-api';

/** Made by Pillow, TensorFlow's arithmetic and TensorFlow.js; the C# tests read the same files. */
const folder = new URL('../../../tests/data/resize/', import.meta.url);

interface Golden {
  name: string;
  resizer: Resample;
  crop: Preprocessing['crop'];
  resize_shortest?: number;
  input: { file: string; width: number; height: number };
  output: { file: string; width: number; height: number; type: 'u8' | 'f32' };
}

const golden = existsSync(folder) ? (JSON.parse(readFileSync(new URL('golden.json', folder), 'utf8')) as Golden[]) : [];
const bytesOf = (file: string) => new Uint8Array(readFileSync(new URL(file, folder)));

test('The golden files are there, and cover every resizer and every crop', () => {
  expect(new Set(golden.map(({ resizer }) => resizer))).toEqual(new Set(['pil-nearest', 'pil-bilinear', 'pil-bicubic', 'pil-lanczos', 'tf-bilinear', 'tfjs-bilinear']));
  expect(new Set(golden.map(({ crop }) => crop))).toEqual(new Set(['none', 'center-square', 'resize-then-center']));
});

describe('A resized picture is the reference’s own', () => {
  test.each(golden.map((entry) => [entry.name, entry] as const))('%s', (_, { resizer, crop, resize_shortest, input, output }) => {
    const rgb = bytesOf(input.file);
    const geometry = geometryOf(input.width, input.height, { crop, resize_shortest: resize_shortest ?? null }, output);
    const actual = resize({ data: rgb, width: input.width, height: input.height, channels: 3 }, geometry, resizer);
    const file = bytesOf(output.file);
    const expected = output.type === 'u8' ? file : new Float32Array(file.buffer);
    expect(actual.length).toBe(expected.length);
    const largest = Array.from(actual, (value, i) => Math.abs(value - expected[i]!)).reduce((a, b) => Math.max(a, b), 0);
    expect(largest).toBeLessThanOrEqual(output.type === 'u8' ? 0 : 1e-3);
  });

  test('The fourth channel of a canvas changes nothing', () => {
    const rgb = Uint8Array.from({ length: 9 * 7 * 3 }, (_, i) => (i * 37) % 256);
    const rgba = new Uint8ClampedArray(9 * 7 * 4).fill(255);
    for (let i = 0; i < 63; i++) rgba.set(rgb.subarray(i * 3, i * 3 + 3), i * 4);
    const geometry = geometryOf(9, 7, { crop: 'center-square' }, { width: 4, height: 4 });
    for (const resample of ['pil-nearest', 'pil-bilinear', 'tf-bilinear'] as const) {
      expect(resize({ data: rgba, width: 9, height: 7, channels: 4 }, geometry, resample)).toEqual(resize({ data: rgb, width: 9, height: 7, channels: 3 }, geometry, resample));
    }
  });
});

describe('The tensor', () => {
  const preprocessing: Preprocessing = { crop: 'none', resample: 'pil-nearest', rescale_factor: 1 / 255, image_mean: [0.5, 0.25, 0], image_std: [0.5, 0.5, 2], channel_order: 'rgb' };
  const pixels = { data: Uint8Array.of(0, 51, 102, 153, 204, 255), width: 2, height: 1, channels: 3 as const };
  const input = (type: Manifest['input']['type'], layout: Manifest['input']['layout']): Manifest['input'] => ({ name: 'image', type, layout, width: 2, height: 1 });
  const rounded = (tensor: Uint8Array | Float32Array) => [...tensor].map((value) => Math.round(value * 1e4) / 1e4);

  test('of bytes is the pixels, in the layout that the model asks for', () => {
    expect(preprocess(pixels, { preprocessing, input: input('uint8', 'nhwc') })).toEqual(pixels.data);
    expect([...preprocess(pixels, { preprocessing, input: input('uint8', 'nchw') })]).toEqual([0, 153, 51, 204, 102, 255]);
  });

  test('of floats is rescaled, then normalised per channel', () => {
    expect(rounded(preprocess(pixels, { preprocessing, input: input('float32', 'nhwc') }))).toEqual([-1, -0.1, 0.2, 0.2, 1.1, 0.5]);
  });

  test('in BGR takes mean and deviation in the model’s order', () => {
    expect(rounded(preprocess(pixels, { preprocessing: { ...preprocessing, channel_order: 'bgr' }, input: input('float32', 'nchw') }))).toEqual([-0.2, 1, -0.1, 1.1, 0, 0.3]);
  });
});

test('The part of the photo that the model sees follows from the crop', () => {
  const input = { width: 224, height: 224 };
  expect(seenRegion(400, 300, { crop: 'none' }, input)).toEqual({ left: 0, top: 0, width: 1, height: 1 });
  expect(seenRegion(400, 300, { crop: 'center-square' }, input)).toEqual({ left: 0.125, top: 0, width: 0.75, height: 1 });
  const { left, top, width, height } = seenRegion(400, 400, { crop: 'resize-then-center', resize_shortest: 256 }, input);
  expect([left, top, width, height]).toEqual([0.0625, 0.0625, 0.875, 0.875]);
});
