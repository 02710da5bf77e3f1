import { describe, expect, test } from 'vitest';
import type { Classification } from '../../engines/engine';
import { agreementOf } from './agreement';
import { enginesFor } from './routing';

const answer = (...confidences: [index: number, confidence: number][]) => ({ predictions: confidences.map(([index, confidence]) => ({ index, confidence, label: String(index) })) }) as Classification;

describe('Two engines agree', () => {
  test('when the same class comes first; the largest difference is over what both name', () => {
    const agreement = agreementOf(answer([3, 0.9], [1, 0.05], [7, 0.01]), answer([3, 0.88], [1, 0.06], [9, 0.02]));
    expect(agreement.sameTop).toBe(true);
    expect(agreement.largest).toBeCloseTo(0.02, 9);
  });

  test('not when another class comes first', () => {
    expect(agreementOf(answer([3, 0.5], [1, 0.4]), answer([1, 0.46], [3, 0.44])).sameTop).toBe(false);
  });
});

describe('The faster engine', () => {
  test('is asked alone once both have been measured', () => {
    expect(enginesFor('faster', { server: 80, browser: 25 })).toEqual(['browser']);
    expect(enginesFor('faster', { server: 12, browser: 25 })).toEqual(['server']);
  });

  test('is not known before', () => {
    expect(enginesFor('faster', { server: 12 })).toEqual(['server', 'browser']);
    expect(enginesFor('both', { server: 12, browser: 25 })).toEqual(['server', 'browser']);
  });
});
