import { expect, test } from 'vitest';
import { placeOf } from './map';

const map = (at: (x: number, y: number) => number) => Array.from({ length: 7 }, (_, y) => Array.from({ length: 7 }, (__, x) => at(x, y)));

test('A map says in which ninth of the picture most of the evidence lies', () => {
  expect(placeOf(map((x, y) => (x < 2 && y < 2 ? 1 : 0.1)))).toBe('topLeft');
  expect(placeOf(map((x, y) => (x === 3 && y === 3 ? 1 : 0)))).toBe('centre');
  expect(placeOf(map((x, y) => (x > 4 && y > 4 ? 1 : 0)))).toBe('bottomRight');
});

test('and that there is no such place where it lies everywhere, or nowhere', () => {
  expect(placeOf(map(() => 0.7))).toBe('everywhere');
  expect(placeOf(map(() => 0))).toBe('everywhere');
});
