import { describe, expect, test } from 'vitest';
import { divideRoundTrip, parseServerTiming, percentile, sumOf, withRemainder } from './timing';

const ms = (stages: ReturnType<typeof divideRoundTrip>, stage: string) => stages.filter((entry) => entry.stage === stage).reduce((sum, entry) => sum + entry.ms, 0);

describe('The stages of a round trip', () => {
  const server = { decode: 3, preprocess: 1, queue: 0.5, compute: 9, total: 15 };

  test.each([
    ['a quick answer', { start: 100, sent: 100, uploaded: 110, headers: 150, end: 152 }, server],
    ['a browser that took its time', { start: 100, sent: 106, uploaded: 110, headers: 150, end: 152 }, server],
    ['a browser that took longer than the answer leaves', { start: 0, sent: 45, uploaded: 10, headers: 50, end: 52 }, server],
    ['an upload that was reported only with the answer', { start: 0, sent: 0, uploaded: 50, headers: 50.2, end: 51 }, server],
    ['a server whose clock runs faster than ours', { start: 0, sent: 0, uploaded: 1, headers: 8, end: 9 }, server],
    ['a server that says nothing', { start: 0, sent: 0, uploaded: 5, headers: 20, end: 21 }, {}],
    ['a total smaller than its parts', { start: 0, sent: 0, uploaded: 5, headers: 40, end: 41 }, { ...server, total: 2 }],
  ])('add up to it exactly: %s', (_, marks, timing) => {
    const stages = divideRoundTrip(marks, timing);
    expect(sumOf(stages)).toBeCloseTo(marks.end - marks.start, 9);
    for (const stage of stages) expect(stage.ms, stage.stage).toBeGreaterThanOrEqual(0);
  });

  test('keep what the server measured, and name what it did not', () => {
    const stages = divideRoundTrip({ start: 0, sent: 0, uploaded: 10, headers: 50, end: 52 }, server);
    expect(ms(stages, 'upload')).toBe(10);
    expect(ms(stages, 'network')).toBe(25);
    expect(ms(stages, 'compute')).toBe(9);
    expect(ms(stages, 'other')).toBe(1.5);
    expect(ms(stages, 'download')).toBe(2);
  });

  test('count what the browser took before the first byte left as this device’s', () => {
    const stages = divideRoundTrip({ start: 0, sent: 4, uploaded: 10, headers: 50, end: 52 }, server);
    expect(stages[0]).toEqual({ stage: 'start', place: 'device', ms: 4 });
    expect(ms(stages, 'upload')).toBe(6);
    expect(ms(stages, 'network')).toBe(25);
  });

  test('shrink together when the server claims more than there was', () => {
    const stages = divideRoundTrip({ start: 0, sent: 0, uploaded: 0, headers: 6.75, end: 7 }, server);
    expect(ms(stages, 'compute') / ms(stages, 'decode')).toBeCloseTo(3, 9);
    expect(ms(stages, 'network')).toBe(0);
  });
});

test('A Server-Timing header is read, with descriptions, spaces and unknown names', () => {
  expect(parseServerTiming('decode;dur=3.1, queue;desc="waiting";dur=0.4,compute; dur=8.7, cache, total;dur=12')).toEqual({ decode: 3.1, queue: 0.4, compute: 8.7, total: 12 });
  expect(parseServerTiming(null)).toEqual({});
  expect(parseServerTiming('compute;dur=soon')).toEqual({});
});

test('What no stage claims is named, not lost', () => {
  const stages = withRemainder(10, [{ stage: 'decode', place: 'device', ms: 4 }]);
  expect(stages.at(-1)).toEqual({ stage: 'other', place: 'device', ms: 6 });
  expect(sumOf(stages)).toBe(10);
});

test('Percentiles are those of NumPy', () => {
  expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(percentile([1, 2, 3, 4, 5], 0.95)).toBeCloseTo(4.8, 9);
  expect(percentile([7], 0.95)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});
