import { expect, test } from 'vitest';
import { niceCeiling } from './Waterfall';

test('The axis ends at a number whose quarters read well', () => {
  expect([0.03, 1, 1.2, 3.9, 6, 9, 27, 57, 410, 1300].map(niceCeiling)).toEqual([0.1, 1, 2, 4, 8, 10, 40, 80, 800, 2000]);
});
