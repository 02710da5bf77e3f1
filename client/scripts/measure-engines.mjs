// npm run measure:engines -- [--model grocery] [--runs 30] [--rounds 3]
// The browser engine's candidates on the very same model and photo, in one Chromium, alternating: bytes to fetch, time to the first answer with an
// empty cache over 10 Mbit/s, and steady speed. Needs a running server for the model (WHATSIT_URL).
import { chromium } from '@playwright/test';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { cpus } from 'node:os';
import { extname, join } from 'node:path';
import { Transform } from 'node:stream';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { browserOptions } from '../e2e/browser.js';

const { values: options } = parseArgs({ options: { model: { type: 'string', default: 'grocery' }, runs: { type: 'string', default: '30' }, rounds: { type: 'string', default: '3' }, photo: { type: 'string' } } });
const server = new URL(process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080');
const candidates = [
  { runtime: 'tensorflow', threads: 1 },
  { runtime: 'tensorflow', threads: 2 },
  { runtime: 'graph-model', threads: 1 },
  { runtime: 'graph-model', threads: 2 },
  { runtime: 'onnxruntime', threads: 1 },
  { runtime: 'onnxruntime', threads: 2 },
];

await build({ mode: 'bench', logLevel: 'error' });
const state = { bytes: 0, bitsPerSecond: 0 };
const page = await serve('bench/dist', state);
const { manifest } = await (await fetch(new URL(`/models/${options.model}`, server))).json();
const photo = options.photo ?? `/models/${options.model}/files/${manifest.samples?.[0]?.file ?? manifest.sample.file}`;

const results = candidates.map(() => ({ bytes: 0, first: [], compute: [], total: [], name: '', variant: '', best: undefined }));
for (let round = 0; round < Number(options.rounds); round++) {
  for (const [at, candidate] of candidates.entries()) {
    // A fresh browser each time: no cache, no compiled code.
    const browser = await chromium.launch(browserOptions);
    for (const [bitsPerSecond, runs] of [[10e6, 0], [0, Number(options.runs)]]) {
      const tab = await (await browser.newContext()).newPage();
      await tab.goto(page);
      Object.assign(state, { bytes: 0, bitsPerSecond });
      const answer = await tab.evaluate(
        ([choice, model, url, count]) => (choice.runtime === 'graph-model' ? window.measureGraphModel(choice.threads, model, url, count) : window.measure(choice, model, url, count)),
        [candidate, options.model, photo, runs],
      );
      const result = results[at];
      if (bitsPerSecond) {
        result.bytes = state.bytes;
        result.first.push(answer.firstMs);
      }
      result.compute.push(...answer.compute);
      result.total.push(...answer.total);
      Object.assign(result, { name: answer.name, variant: answer.variant, best: answer.predictions[0] });
      await tab.context().close();
    }
    await browser.close();
  }
}

console.log(`${cpus()[0].model}, ${cpus().length} logical cores, Chromium; ${options.model}, ${options.rounds} rounds of ${options.runs} runs, alternating; medians\n`);
console.log('| Engine | Weights | Fetched | First answer at 10 Mbit/s | Compute | Total | Best label |\n|---|---|--:|--:|--:|--:|---|');
for (const { name, variant, bytes, first, compute, total, best } of results) {
  console.log(`| ${name} | ${variant} | ${(bytes / 1e6).toFixed(2)} MB | ${(median(first) / 1000).toFixed(1)} s | ${median(compute).toFixed(1)} ms | ${median(total).toFixed(1)} ms | ${best.label} ${(best.confidence * 100).toFixed(2)} % |`);
}
process.exit(0);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** A static server as ours is (compressed files, isolation), with a link of a chosen width; what it does not have comes from the real one. */
function serve(folder, link) {
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
  const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  const slowly = () =>
    new Transform({
      highWaterMark: 16384,
      transform(chunk, _, done) {
        link.bytes += chunk.length;
        const now = performance.now();
        // One line for all: each chunk waits for those before it.
        link.freeAt = Math.max(link.freeAt ?? 0, now) + (link.bitsPerSecond ? (chunk.length * 8000) / link.bitsPerSecond : 0);
        setTimeout(() => done(null, chunk), link.freeAt - now);
      },
    });
  const http = createServer((request, response) => {
    const path = join(folder, request.url === '/' ? 'index.html' : decodeURIComponent(new URL(request.url, 'http://x').pathname));
    if (!existsSync(path) || !statSync(path).isFile()) {
      forward({ host: server.hostname, port: server.port, path: request.url, method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(slowly()).pipe(response);
      }).end();
      return;
    }
    const packed = existsSync(`${path}.br`);
    const file = packed ? `${path}.br` : path;
    response.writeHead(200, { ...isolation, 'content-type': types[extname(path)] ?? 'application/octet-stream', 'content-length': statSync(file).size, ...(packed && { 'content-encoding': 'br' }) });
    createReadStream(file).pipe(slowly()).pipe(response);
  });
  return new Promise((resolve) => http.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${http.address().port}/`)));
}
