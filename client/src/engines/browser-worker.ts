/// <reference lib="webworker" />
import type { Accelerator, Backend } from './accelerator';
import { backendsHere } from './accelerator';
import { evidenceOf } from './certainty';
import type { FetchBytes } from './download';
import { download } from './download';
import type { Progress, StageTime } from './engine';
import { EngineError } from './engine';
import { classActivationMap, contrast, select } from './postprocess';
import type { Runtime, RuntimeId } from './runtime';
import { UnsupportedOperatorError } from './runtime';
import type { ClassInfo, Manifest, ModelFile, Variant } from './server-api';
import { modelFileUrl } from './server-api';
import type { BrowserAnswer, FromWorker, ToWorker } from './browser-engine';

/**
 * Holds one model and runs it, for as long as it lives; another model gets another worker, and the memory of this one goes with it. A dedicated
 * worker: a long run cannot make the page stutter.
 */
let held: LoadedModel | undefined;
const running = new Map<number, AbortController>();

interface LoadedModel {
  manifest: Manifest;
  variant: Variant;
  classes: ClassInfo[];
  runtime: Runtime;
  /** What the abstain score compares with, where it does. */
  vectors?: Float32Array;
  /** Fetched with the first question that needs them. */
  classifierWeights?: Float32Array;
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'cancel') return running.get(data.id)?.abort();
  const controller = new AbortController();
  running.set(data.id, controller);
  const say = (message: FromWorker) => self.postMessage(message);
  const answer = data.type === 'backends' ? backends(data.software) : classify(controller.signal, data, (progress) => say({ type: 'progress', id: data.id, progress }));
  void answer
    .then((result) => say({ type: 'done', id: data.id, answer: result }))
    .catch((error: unknown) => say({ type: 'failed', id: data.id, ...describe(error, controller.signal, data) }))
    .finally(() => running.delete(data.id));
};

/** What the model that is held here could be run on. */
async function backends(software: boolean): Promise<Backend[]> {
  return (await backendsHere(software)).filter((backend) => held?.runtime.backends.includes(backend));
}

type ClassifyMessage = Extract<ToWorker, { type: 'classify' }>;

/** From the model's input to labels, with the server's own stage names. */
async function classify(signal: AbortSignal, request: ClassifyMessage, onProgress: (progress: Progress) => void): Promise<BrowserAnswer> {
  const timing: StageTime[] = [];
  const model = await load(signal, request, onProgress, (stage, ms) => timing.push({ stage, place: stage === 'fetch' ? 'network' : 'device', ms }));
  const { manifest, variant, classes, runtime, vectors } = model;
  signal.throwIfAborted();

  const start = performance.now();
  const { features, ...answer } = await runtime.run(request.tensor);
  timing.push({ stage: 'compute', place: 'device', ms: performance.now() - start });
  const weights = request.explain && features ? await weightsOf(signal, model, onProgress) : undefined;
  const mapOf = weights && features ? (index: number) => classActivationMap(features, weights, index) : undefined;
  return {
    ...(request.raw ? { predictions: [], abstained: false, scores: answer.scores } : select(answer, classes, manifest, request.topK, { ...(mapOf && { mapOf }), ...(vectors && { vectors }) })),
    model: manifest.name,
    version: manifest.version,
    variant,
    accelerator: runtime.name,
    timing,
    fetched: performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.startsWith('http')),
  };
}

async function load(signal: AbortSignal, { manifest, variant, classes, accelerator, runtime, explain }: ClassifyMessage, onProgress: (progress: Progress) => void, onStage: (stage: 'fetch' | 'prepare', ms: number) => void): Promise<LoadedModel> {
  if (held) return held;
  const begin = performance.now();
  let fetching = 0;
  const fetched = async <T>(work: Promise<T>): Promise<T> => {
    const from = performance.now();
    const result = await work;
    fetching += performance.now() - from;
    return result;
  };
  const file = manifest.files[variant];
  if (!file) throw new EngineError('model-unsupported');
  const bytes = await fetched(fetchModelFile(signal, manifest, file, onProgress));
  const beside: Beside = { manifest, classes };
  const compared = evidenceOf(manifest) ? manifest.abstain?.vectors : undefined;
  if (compared) beside.vectors = await fetched(fetchFloats(signal, manifest, compared, onProgress));
  if (explain) await fetched(weightsOf(signal, beside, onProgress));
  const fetchThenStart: FetchBytes = async (url) => {
    const wasm = await fetched(download(signal, url, (loaded, total) => onProgress({ step: 'runtime', loaded, total }), runtimeBytes[basename(url)]));
    onProgress({ step: 'start', loaded: 0, total: 0 });
    return wasm;
  };
  const create = await fetched(runtimes[runtime]());
  const started = await create(bytes, manifest, accelerator, fetchThenStart);
  // The first run lays the weights out for the kernels, and compiles those of a graphics processor; that belongs to getting ready.
  onProgress({ step: 'start', loaded: 0, total: 0 });
  const { width, height, type } = manifest.input;
  await started.run(type === 'uint8' ? new Uint8Array(width * height * 3) : new Float32Array(width * height * 3));
  signal.throwIfAborted();
  onStage('fetch', fetching);
  onStage('prepare', performance.now() - begin - fetching);
  return (held = { ...beside, variant, runtime: started });
}

/** Each is fetched only when it is needed. TensorFlow.js is the smaller and the faster one; what it cannot run, ONNX Runtime can. */
const runtimes: Record<RuntimeId, () => Promise<(model: Uint8Array, manifest: Manifest, accelerator: Accelerator, fetchBytes: FetchBytes) => Promise<Runtime>>> = {
  tensorflow: async () => (await import('./tensorflow-runtime')).createTensorFlowRuntime,
  onnxruntime: async () => (await import('./onnxruntime-runtime')).createOnnxRuntime,
};

type Beside = Omit<LoadedModel, 'variant' | 'runtime'>;

async function weightsOf(signal: AbortSignal, model: Beside, onProgress: (progress: Progress) => void): Promise<Float32Array | undefined> {
  const file = model.manifest.output.classifier_weights;
  if (!file) return undefined;
  return (model.classifierWeights ??= contrast(await fetchFloats(signal, model.manifest, file, onProgress), model.classes.length, model.manifest.output));
}

const fetchFloats = async (signal: AbortSignal, manifest: Manifest, file: ModelFile, onProgress: (progress: Progress) => void): Promise<Float32Array> =>
  new Float32Array((await fetchModelFile(signal, manifest, file, onProgress)).buffer);

async function fetchModelFile(signal: AbortSignal, manifest: Manifest, file: ModelFile, onProgress: (progress: Progress) => void): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await download(signal, modelFileUrl(manifest.name, file.file, file.sha256), (loaded, total) => onProgress({ step: 'model', loaded, total }), file.bytes);
  if (bytes.length !== file.bytes) throw new EngineError('download-failed', `${file.file} has ${bytes.length} bytes; the manifest says ${file.bytes}.`);
  return bytes;
}

const basename = (url: string): string => url.slice(url.lastIndexOf('/') + 1).replace(/-[\w-]{8}(?=\.wasm$)/, '');

function describe(error: unknown, signal: AbortSignal, request: ToWorker): Pick<Extract<FromWorker, { type: 'failed' }>, 'code' | 'detail'> {
  if (signal.aborted) return { code: 'cancelled' };
  if (error instanceof EngineError) return { code: error.code, ...(error.detail && { detail: error.detail }) };
  const detail = error instanceof Error ? error.message : String(error);
  // On a graphics processor it may be the device that failed; on the processor whatever these kernels throw is what they cannot do.
  const refused = request.type === 'classify' && request.runtime === 'tensorflow' && request.accelerator.backend === 'wasm';
  return { code: refused || error instanceof UnsupportedOperatorError ? 'model-unsupported' : 'engine-failed', detail };
}
