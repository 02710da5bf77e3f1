import { backendsHere, candidatesFor, threadsFor } from '../src/engines/accelerator';
import type { Accelerator } from '../src/engines/accelerator';
import { BrowserEngine } from '../src/engines/browser-engine';
import type { RuntimeId } from '../src/engines/runtime';
import { getClasses, getModel } from '../src/engines/server-api';
import { ServerEngine } from '../src/engines/server-engine';
import { shrink } from '../src/engines/shrink';
import type { Prediction } from '../src/engines/engine';

/** What scripts/measure-engines.mjs calls in the page. */
declare global {
  interface Window {
    accelerators: typeof accelerators;
    measure: typeof measure;
    measureGraphModel: typeof measureGraphModel;
    sendBothWays: typeof sendBothWays;
  }
}

const modelOf = async (name: string) => ({ manifest: (await getModel(name)).manifest, classes: await getClasses(name) });
const image = async (url: string) => (await fetch(url)).blob();

/** What the page would try here (calibration.ts); `software` as in the page's `?software-gpu`. */
const accelerators = async (software: boolean) => candidatesFor(threadsFor(navigator.hardwareConcurrency, crossOriginIsolated), await backendsHere(software));

/** One engine, freshly made: the first answer with everything that it fetches, then runs one after another. */
async function measure(choice: { runtime: RuntimeId; accelerator: Accelerator }, model: string, photo: string, runs: number) {
  const engine = new BrowserEngine(modelOf, choice);
  const blob = await image(photo);
  const signal = new AbortController().signal;
  const options = { model, topK: 5, explain: false };
  const start = performance.now();
  const first = await engine.classify(signal, blob, options);
  const firstMs = performance.now() - start;
  const compute: number[] = [];
  const total: number[] = [];
  for (let run = 0; run < runs; run++) {
    const { timing, totalMs } = await engine.classify(signal, blob, options);
    compute.push(timing.find(({ stage }) => stage === 'compute')?.ms ?? NaN);
    total.push(totalMs);
  }
  engine.dispose();
  return { name: first.accelerator, variant: first.variant, firstMs, compute, total, predictions: first.predictions };
}

/** The same for TensorFlow.js' own loader and the exported graph model. */
async function measureGraphModel(threads: number, model: string, photo: string, runs: number) {
  const blob = await image(photo);
  const start = performance.now();
  const [{ manifest }, classes, { createGraphModel }] = await Promise.all([getModel(model), getClasses(model), import('./graph-model')]);
  const run = await createGraphModel(manifest, classes, threads);
  let predictions: Prediction[] = (await run(blob)).predictions;
  const firstMs = performance.now() - start;
  const compute: number[] = [];
  const total: number[] = [];
  for (let turn = 0; turn < runs; turn++) {
    const before = performance.now();
    const answer = await run(blob);
    predictions = answer.predictions;
    compute.push(answer.computeMs);
    total.push(performance.now() - before);
  }
  return { name: `TensorFlow.js, its graph model × ${threads}`, variant: 'tfjs', firstMs, compute, total, predictions };
}

let device: BrowserEngine | undefined;

/**
 * One photo to the server as it is, and as the page sends it, and to this device. A photo that is smaller than what phones take is enlarged first, when `shortSide` says so.
 */
async function sendBothWays(model: string, photo: string, shortSide: number) {
  const { manifest } = await getModel(model);
  let blob = await image(photo);
  if (shortSide > 0) blob = await enlarged(blob, shortSide);
  const server = new ServerEngine();
  const signal = new AbortController().signal;
  const options = { model, topK: 5, explain: false };
  const whole = await server.classify(signal, blob, options);
  // Whatever this link is worth.
  const shrunk = await shrink(signal, blob, manifest);
  const sent = await server.classify(signal, shrunk?.image ?? blob, options);
  device ??= new BrowserEngine(modelOf, { accelerator: { backend: 'wasm', threads: 1 }, runtime: 'tensorflow' });
  const here = await device.classify(signal, blob, options);
  return { here: here.predictions, bytes: blob.size, sentBytes: shrunk?.image.size ?? blob.size, shrinkMs: shrunk?.ms, whole: whole.predictions, sent: sent.predictions, abstained: whole.abstained };
}

async function enlarged(photo: Blob, shortSide: number): Promise<Blob> {
  const full = await createImageBitmap(photo);
  const scale = Math.max(1, shortSide / Math.min(full.width, full.height));
  const canvas = new OffscreenCanvas(Math.round(full.width * scale), Math.round(full.height * scale));
  const context = canvas.getContext('2d')!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(full, 0, 0, canvas.width, canvas.height);
  full.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
}

window.accelerators = accelerators;
window.measure = measure;
window.sendBothWays = sendBothWays;
window.measureGraphModel = measureGraphModel;
