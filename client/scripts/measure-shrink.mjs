// npm run measure:shrink -- --photos DIR [--model grocery] [--short-side 2000] [--limit 300]
// What making photos smaller before the upload saves and what it costs: every photo of a folder goes to the server twice, as it is and as the page sends
// it, and to this device, and the answers are compared. Photos below --short-side are enlarged to it first (0: never), because only large ones are made smaller. Needs a
// running server (WHATSIT_URL).
import { chromium } from '@playwright/test';
import { createReadStream, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { browserOptions } from '../e2e/browser.js';
import { benchPage } from './bench-page.mjs';

const { values: options } = parseArgs({ options: { photos: { type: 'string' }, model: { type: 'string', default: 'grocery' }, 'short-side': { type: 'string', default: '2000' }, limit: { type: 'string', default: '300' } } });
if (!options.photos) throw new Error('Which photos? --photos names a folder.');
const all = readdirSync(options.photos, { recursive: true }).filter((file) => /\.(jpe?g|png|webp)$/i.test(file)).sort();
const step = Math.max(1, all.length / Number(options.limit));
const photos = Array.from({ length: Math.min(all.length, Number(options.limit)) }, (_, at) => all[Math.floor(at * step)]);
if (photos.length === 0) throw new Error(`There is no photo in ${options.photos}.`);

// The page may read them from here, and from nowhere else.
const shelf = createServer((request, response) => {
  response.writeHead(200, { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' });
  createReadStream(join(options.photos, photos[Number(request.url.slice(1))])).pipe(response);
});
await new Promise((resolve) => shelf.listen(0, '127.0.0.1', resolve));
const page = await benchPage(new URL(process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080'), { bytes: 0, bitsPerSecond: 0 });
const browser = await chromium.launch(browserOptions);
const tab = await browser.newPage();
await tab.goto(page);

const rows = [];
for (const [at, file] of photos.entries()) {
  const row = await tab.evaluate(([model, url, side]) => window.sendBothWays(model, url, side), [options.model, `http://127.0.0.1:${shelf.address().port}/${at}`, Number(options['short-side'])]);
  rows.push({ file, ...row });
}
await browser.close();

const made = rows.filter(({ shrinkMs }) => shrinkMs !== undefined);
const changed = made.filter(({ whole, sent }) => whole[0].index !== sent[0].index);
const sure = made.filter(({ abstained }) => !abstained);
const share = (part, whole) => `${part} of ${whole} (${((100 * part) / whole).toFixed(1)} %)`;
const megabytes = (pick) => `${(made.reduce((sum, row) => sum + pick(row), 0) / made.length / 1e6).toFixed(2)} MB`;
console.log(`${rows.length} photos, ${made.length} of them made smaller`);
console.log(`  another best label on this device than on the server, from the whole photo  ${share(rows.filter(({ whole, here }) => whole[0].index !== here[0].index).length, rows.length)}`);
if (made.length > 0) {
  console.log(`  bytes, on average                ${megabytes(({ bytes }) => bytes)} to ${megabytes(({ sentBytes }) => sentBytes)}`);
  console.log(`  another best label               ${share(changed.length, made.length)}`);
  console.log(`  where the model was sure         ${share(changed.filter(({ abstained }) => !abstained).length, sure.length)}`);
  console.log(`  confidence of the best, moved by ${(100 * median(made.map(({ whole, sent }) => Math.abs(whole[0].confidence - (sent.find(({ index }) => index === whole[0].index)?.confidence ?? 0))))).toFixed(2)} points (median)`);
  console.log(`  time to make it smaller          ${median(made.map(({ shrinkMs }) => shrinkMs)).toFixed(0)} ms (median)`);
}
process.exit(0);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
