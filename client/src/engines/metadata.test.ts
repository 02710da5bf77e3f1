import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { orientationOf, withoutMetadata } from './metadata';

const image = (name: string) => readFileSync(new URL(`../../../tests/data/images/${name}`, import.meta.url));
const bytesOf = async (photo: Blob) => Buffer.from(await photo.arrayBuffer());

function withChunk(png: Buffer, name: string, data: Buffer): Buffer<ArrayBuffer> {
  const named = Buffer.concat([Buffer.from(name), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([png.subarray(0, 33), length, named, sum, png.subarray(33)]);
}

test('A PNG loses its gamma, its primaries and its orientation, and nothing else', async () => {
  const plain = image('picture.png');
  const marked = withChunk(withChunk(withChunk(plain, 'cHRM', Buffer.alloc(32)), 'gAMA', Buffer.from([0, 1, 0x86, 0xa0])), 'eXIf', Buffer.from('II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0', 'latin1'));
  const { photo, orientation } = await withoutMetadata(new Blob([marked]), 'png');
  expect(await bytesOf(photo)).toEqual(plain);
  expect(orientation).toBe(6);
  const profiled = image('display-p3.png');
  expect(await bytesOf((await withoutMetadata(new Blob([profiled]), 'png')).photo)).toEqual(profiled);
});

test('A WebP is turned by us alone: what names its orientation is left out, and the file is whole without it', async () => {
  const turned = image('orientation-6.webp');
  const { photo, orientation } = await withoutMetadata(new Blob([turned]), 'webp');
  const bytes = await bytesOf(photo);
  expect(orientation).toBe(6);
  expect(bytes.includes('EXIF')).toBe(false);
  expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8);
  expect(bytes.toString('latin1', 12, 16)).toBe('VP8X');
  expect(bytes[20]! & 0x08).toBe(0);
  const plain = image('picture.webp');
  expect(await withoutMetadata(new Blob([plain]), 'webp')).toEqual({ photo: new Blob([plain]), orientation: 1 });
});

test.each(['picture.png', 'orientation-6.png', 'orientation-6.webp'])('However %s is cut, it is read as far as it goes', async (name) => {
  const whole = image(name);
  for (let length = 0; length < whole.length; length += 7) {
    const { orientation } = await withoutMetadata(new Blob([whole.subarray(0, length)]), name.split('.')[1]!);
    expect([1, 6]).toContain(orientation);
  }
});

test.each([0, 9, 65_535])('%i is no orientation', (value) => {
  const exif = Buffer.from('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0', 'latin1');
  exif.writeUInt16BE(value, 18);
  expect(orientationOf(new DataView(exif.buffer, exif.byteOffset, exif.length))).toBeUndefined();
});
