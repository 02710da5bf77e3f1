import { describe, expect, test } from 'vitest';
import type { Classification, Engine } from '../../engines/engine';
import type { HistoryEntry } from './history';
import { mediansOf, summarize } from './history';
import { measureEngine, measuredRuns, toCsv, toMarkdown } from './measure';
import { niceCeiling } from './Waterfall';

test('The axis ends at a number whose quarters read well', () => {
  expect([0.03, 1, 1.2, 3.9, 6, 9, 27, 57, 410, 1300].map(niceCeiling)).toEqual([0.1, 1, 2, 4, 8, 10, 40, 80, 800, 2000]);
});

describe('The history', () => {
  const run = (engine: HistoryEntry['engine'], totalMs: number, model = 'grocery'): HistoryEntry => ({ engine, model, totalMs, computeMs: totalMs / 2 });
  const entries = [run('server', 10), run('server', 30), run('browser', 20), run('server', 20), run('server', 999, 'other')];

  test('is summed up per engine and model', () => {
    expect(summarize(entries, 'server', 'grocery')).toEqual({ count: 3, median: 20, p95: 29, latest: [10, 30, 20] });
    expect(summarize(entries, 'browser', 'other')).toBeUndefined();
  });

  test('knows an engine by its first run: what that paid once is told beside it, not counted', () => {
    const first: HistoryEntry = { ...run('browser', 22), onceMs: 31_000 };
    expect(mediansOf([...entries.slice(0, 2), first], 'grocery')).toEqual({ server: 20, browser: 22 });
    expect(summarize([first, run('browser', 20)], 'browser', 'grocery')).toEqual({ count: 2, median: 21, p95: 21.9, latest: [22, 20], firstMs: 31_022 });
  });
});

describe('A measurement', () => {
  let runs = 0;
  const engine: Engine = {
    id: 'browser',
    classify: () => Promise.resolve({ engine: 'browser', variant: 'fp16', accelerator: 'a "fast" one', totalMs: ++runs, timing: [{ stage: 'compute', place: 'device', ms: runs / 2 }] } as Classification),
  };
  const options = { model: 'grocery', topK: 5, explain: false };

  test('leaves the warm-up out and keeps median and 95th percentile', async () => {
    runs = 0;
    const seen: number[] = [];
    const measurement = await measureEngine(new AbortController().signal, engine, new Blob(), options, { modelBytes: 4_600_000, firstMs: 31_000 }, (run) => seen.push(run));
    expect(runs).toBe(measuredRuns + 2);
    expect(seen.at(-1)).toBe(measuredRuns);
    expect(measurement.total.median).toBe(17.5);
    expect(measurement.total.p95).toBeCloseTo(30.55, 9);
    expect(measurement.inference.median).toBe(8.75);

    const csv = toCsv([measurement], () => 'This device');
    expect(csv.split('\r\n')[1]).toBe('"This device (a ""fast"" one)",30,31000.00,17.50,30.55,8.75,15.27,4600000');
    expect(toMarkdown([measurement], () => 'This device').split('\n')[2]).toBe('| This device (a "fast" one) | 30 | 31000.00 | 17.50 | 30.55 | 8.75 | 15.27 | 4600000 |');
  });
});
