import { unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { toFolders } from './folders';

test('Photos leave as one folder per label, with the photos byte for byte, and nothing outside of it', async () => {
  const photo = (text: string, type: string) => new Blob([text], { type });
  const zip = await toFolders([
    { label: 'Lemon', name: 'a.jpeg', photo: photo('one', 'image/jpeg') },
    { label: 'Lemon', name: 'a.jpeg', photo: photo('two', 'image/png') },
    { label: '../up: "me"', name: '../../x/y.webp', photo: photo('three', 'image/webp') },
  ]);
  const files = unzipSync(zip);
  expect(Object.keys(files)).toEqual(['Lemon/0001-a.jpg', 'Lemon/0002-a.png', '__up_ _me_/0003-__.._x_y.webp']);
  expect(Object.values(files).map((bytes) => new TextDecoder().decode(bytes))).toEqual(['one', 'two', 'three']);
});
