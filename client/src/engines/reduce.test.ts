import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mayReduceTo } from './geometry';
import { jpegFrame } from './reduce';

const image = (name: string) => new Uint8Array(readFileSync(new URL(`../../../tests/data/images/${name}`, import.meta.url)));

test.each(['picture.jpg', 'progressive.jpg', 'cmyk.jpg', 'gray.jpg', 'srgb-profile.jpg', 'subsampled.jpg'])('The size of %s stands in its header', (name) => {
  expect(jpegFrame(image(name))).toEqual({ width: 144, height: 108, progressive: name === 'progressive.jpg' });
});

test('What is no JPEG, or ends before its header, has no size', () => {
  expect(jpegFrame(image('picture.png'))).toBeUndefined();
  for (const length of [0, 1, 3, 4, 20]) expect(jpegFrame(image('picture.jpg').subarray(0, length))).toBeUndefined();
});

const input = { width: 224, height: 224 };
const bilinear = { crop: 'center-square', resample: 'pil-bilinear' } as const;

test('1.4 times what the model looks at is left, as on the server', () => {
  expect(mayReduceTo(bilinear, input)(500, 375)).toBe(true);
  expect(mayReduceTo(bilinear, input)(400, 313)).toBe(false);
  expect(mayReduceTo({ ...bilinear, crop: 'resize-then-center', resize_shortest: 256 }, input)(500, 350)).toBe(false);
});

test('Where every pixel counts nothing is left out', () => {
  expect(mayReduceTo({ ...bilinear, resample: 'tf-bilinear' }, input)(2000, 2000)).toBe(false);
  expect(mayReduceTo({ ...bilinear, fidelity: 'exact' }, input)(2000, 2000)).toBe(false);
  expect(mayReduceTo({ ...bilinear, resample: 'tf-bilinear', fidelity: 'fast' }, input)(2000, 2000)).toBe(true);
});
