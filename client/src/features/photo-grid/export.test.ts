import { expect, test } from 'vitest';
import type { Classification } from '../../engines/engine';
import { toCsv, toJson } from './export';

const result = {
  engine: 'server', model: 'grocery', version: '1', variant: 'fp32', abstained: false, totalMs: 12.34, timing: [],
  image: { width: 348, height: 348, format: 'jpeg', bytes: 1000 },
  predictions: [{ label: 'Lemon, unwaxed', index: 8, confidence: 0.97123, map: [[1]] }],
} satisfies Classification;

const rows = [{ file: 'a "good" one.jpg', result }, { file: '=cmd()', error: 'Not readable' }];

test('A CSV has one line per photo, quoted where it must be, and no formulas', () => {
  expect(toCsv(rows).split('\r\n')).toEqual([
    'file,label,index,confidence,not sure,engine,total ms,error',
    '"a ""good"" one.jpg","Lemon, unwaxed",8,0.9712,false,server,12.3,',
    "'=cmd(),,,,,,,Not readable",
    '',
  ]);
});

test('JSON keeps every prediction, without the maps', () => {
  const [first, second] = JSON.parse(toJson(rows)) as { predictions?: object[]; error?: string }[];
  expect(first?.predictions).toEqual([{ label: 'Lemon, unwaxed', index: 8, confidence: 0.97123 }]);
  expect(second).toEqual({ file: '=cmd()', error: 'Not readable' });
});
