// npm run measure:engines -- [--model grocery] [--runs 30] [--rounds 3] [--software-gpu]
// The browser engine's candidates on the very same model and photo, in one Chromium, alternating: bytes to fetch, time to the first answer with an
// empty cache over 10 Mbit/s, and steady speed. Needs a running server for the model (WHATSIT_URL). WebGL and WebGPU are measured where the browser
// has them; --software-gpu adds emulated ones, which says what is fetched and that they answer, and nothing about speed.
import { chromium } from '@playwright/test';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { browserOptions, softwareGraphics } from '../e2e/browser.js';
import { benchPage } from './bench-page.mjs';

const { values: options } = parseArgs({ options: { model: { type: 'string', default: 'grocery' }, runs: { type: 'string', default: '30' }, rounds: { type: 'string', default: '3' }, photo: { type: 'string' }, 'software-gpu': { type: 'boolean', default: false } } });
const server = new URL(process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080');
const state = { bytes: 0, bitsPerSecond: 0 };
const page = await benchPage(server, state);
// Without --disable-gpu, which the tests run with: whatever this machine has counts.
const launchOptions = { ...browserOptions, args: options['software-gpu'] ? softwareGraphics : browserOptions.args.filter((arg) => arg !== '--disable-gpu') };
const accelerators = await inBrowser(async (tab) => tab.evaluate((software) => window.accelerators(software), options['software-gpu']));
const processor = accelerators.filter(({ backend }) => backend === 'wasm');
const candidates = [
  ...accelerators.map((accelerator) => ({ runtime: 'tensorflow', accelerator })),
  ...processor.map((accelerator) => ({ runtime: 'graph-model', accelerator })),
  ...processor.map((accelerator) => ({ runtime: 'onnxruntime', accelerator })),
];
const { manifest } = await (await fetch(new URL(`/models/${options.model}`, server))).json();
const photo = options.photo ?? `/models/${options.model}/files/${manifest.samples?.[0]?.file ?? manifest.sample.file}`;

const results = candidates.map(() => ({ bytes: 0, first: [], compute: [], total: [], name: '', variant: '', best: undefined }));
for (let round = 0; round < Number(options.rounds); round++) {
  for (const [at, candidate] of candidates.entries()) {
    // A fresh browser each time: no cache, no compiled code.
    await inBrowser(async (tab) => {
      for (const [bitsPerSecond, runs] of [[10e6, 0], [0, Number(options.runs)]]) {
        await tab.goto(page);
        Object.assign(state, { bytes: 0, bitsPerSecond });
        const answer = await tab.evaluate(
          ([choice, model, url, count]) => (choice.runtime === 'graph-model' ? window.measureGraphModel(choice.accelerator.threads, model, url, count) : window.measure(choice, model, url, count)),
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
      }
    });
  }
}

console.log(`Accelerators that this browser offers the page: ${[...new Set(results.filter((_, at) => candidates[at].runtime === 'tensorflow').map(({ name }) => name.split(', ')[1]))].join(', ')}`);
console.log(`${cpus()[0].model}, ${cpus().length} logical cores, load ${loadavg()[0].toFixed(1)}, Chromium; ${options.model}, ${options.rounds} rounds of ${options.runs} runs, alternating; medians, and the fastest tenth\n`);
console.log('| Engine | Weights | Fetched | First answer at 10 Mbit/s | Compute | Fastest | Total | Best label |\n|---|---|--:|--:|--:|--:|--:|---|');
for (const { name, variant, bytes, first, compute, total, best } of results) {
  console.log(`| ${name} | ${variant} | ${(bytes / 1e6).toFixed(2)} MB | ${(median(first) / 1000).toFixed(1)} s | ${median(compute).toFixed(1)} ms | ${fastest(compute).toFixed(1)} ms | ${median(total).toFixed(1)} ms | ${best.label} ${(best.confidence * 100).toFixed(2)} % |`);
}

// The page takes the fastest of its accelerators by itself (calibration.ts); so may the others. Whatever else runs on this machine slows all of
// them and is no engine's fault: the fastest tenth of the runs is compared.
const bestOf = (isOurs) => Math.min(...results.filter((_, at) => (candidates[at].runtime === 'tensorflow') === isOurs).map(({ compute }) => fastest(compute)));
// The first answer always comes from WebAssembly: graphics are tried behind it.
const coldest = Math.max(...results.filter((_, at) => candidates[at].runtime === 'tensorflow' && candidates[at].accelerator.backend === 'wasm').map(({ first }) => median(first)));
const ratio = bestOf(true) / bestOf(false);
console.log(`\nThe page's engine takes ${ratio.toFixed(2)} of the faster other one's time (limit 1.00, measured to 5 %); its first answer comes after ${(coldest / 1000).toFixed(1)} s (limit 8)`);
process.exit(ratio <= 1.05 && coldest <= 8000 ? 0 : 1);

/** The time under which a tenth of the runs lies. */
function fastest(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 10)];
}

/** One page in a Chromium of its own. */
async function inBrowser(work) {
  const browser = await chromium.launch(launchOptions);
  try {
    const tab = await browser.newPage();
    await tab.goto(page);
    return await work(tab);
  } finally {
    await browser.close();
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
