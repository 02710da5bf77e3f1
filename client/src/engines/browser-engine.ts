import type { Accelerator, Backend } from './accelerator';
import { candidatesFor, nameOf, threadsFor } from './accelerator';
import type { Trial } from './calibration';
import { hasFailed, isBetter, isHopeless, rememberChoice, rememberFailure, rememberedChoice } from './calibration';
import type { Classification, ClassifyOptions, Engine, EngineErrorCode, Progress } from './engine';
import { EngineError } from './engine';
import { needsOnnxRuntime, rememberOnnxRuntime } from './fallback';
import { prepare as prepareHere } from './photo-desk';
import type { Prepared } from './photo-desk';
import type { RuntimeId } from './runtime';
import type { ClassInfo, Manifest, Variant } from './server-api';
import { sumOf, withRemainder } from './timing';
import { variantFor } from './variant';

/** What the worker is asked. */
export type ToWorker =
  | { type: 'classify'; id: number; tensor: Prepared['tensor']; topK: number; explain: boolean; manifest: Manifest; classes: ClassInfo[]; variant: Variant; accelerator: Accelerator; runtime: RuntimeId; raw: boolean }
  | { type: 'backends'; id: number; software: boolean }
  | { type: 'cancel'; id: number };

/** What it answers: one result without the parts that only the page can measure, or what the held model could be run on. */
export type BrowserAnswer = Omit<Classification, 'engine' | 'totalMs' | 'image'> & {
  /** Every address that the worker has fetched so far. */
  fetched: string[];
  /** The main output as the model gave it, where that was asked for instead of labels. */
  scores?: Float32Array;
};

interface RunOptions extends ClassifyOptions {
  /** The numbers of the main output are wanted, and no labels. */
  raw?: boolean;
}

/** What one run gave, without what stands in the page's own hands. */
type Ran = Omit<BrowserAnswer, 'fetched'>;

export type FromWorker =
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'done'; id: number; answer: BrowserAnswer | Backend[] }
  | { type: 'failed'; id: number; code: EngineErrorCode | 'cancelled'; detail?: string };

export interface BrowserSettings {
  accelerator: Accelerator;
  /** Only this one; else what was found out of the model. */
  runtime?: RuntimeId;
  /** While it is to be found out what is fastest here: up to so many threads. */
  calibration?: { threads: number };
  /** Graphics that the processor emulates count too. They are slow, and are waited for. */
  software?: boolean;
}

export interface BrowserModel {
  manifest: Manifest;
  classes: ClassInfo[];
}

/** How long a worker may be silent while it works before it counts as wedged. */
const usualPatienceMs = 30_000;
/** A graphics processor that has answered is waited for ten times as long as that took, and at least so long: one that is lost may never say so. */
const leastPatienceMs = 5_000;
/** How long nobody must have asked for anything before the calibration begins. */
const restMs = 1_500;
/** Enough for a median, behind a first run that is not counted. */
const calibrationRuns = 5;

/** The very same model in this browser. The worker is started with the first photo, and anew whenever it fails or hangs. */
export class BrowserEngine implements Engine {
  readonly id = 'browser';
  private worker: Worker | undefined;
  /** The model that the worker holds, and what it runs on. */
  private holds = '';
  /** The longest that this worker took to compute. */
  private slowestMs = 0;
  private ids = 0;
  /** Every address that was fetched to run models here. */
  readonly fetched = new Set<string>();
  /** Models at which the first runtime broke. */
  private readonly broken = new Set<string>();
  /** One run after another: two at once would only slow each other down, and spoil both measurements. */
  private queue: Promise<unknown> = Promise.resolve();
  private calibration: AbortController | undefined;

  constructor(
    private readonly modelOf: (name: string) => Promise<BrowserModel>,
    private readonly settings: BrowserSettings = settingsHere(),
    private readonly createWorker = () => new Worker(new URL('./browser-worker.ts', import.meta.url), { type: 'module', name: 'browser-engine' }),
    /** How long a cancelled run may take to end by itself before its worker is ended. */
    private readonly cancelPatienceMs = 1_500,
    private readonly prepare: typeof prepareHere = prepareHere,
  ) {}

  async classify(signal: AbortSignal, image: Blob, options: ClassifyOptions): Promise<Classification> {
    // Whoever waits comes first; the calibration is done another time.
    this.calibration?.abort();
    const turn = this.queue.then(async () => {
      const since = performance.now();
      signal.throwIfAborted();
      const model = await this.modelOf(options.model);
      const photo = await this.prepare(signal, image, model.manifest);
      const answer = await this.run(signal, photo, options, model);
      // What another runtime or accelerator tried before, and the start of a worker, belong to this run too; so does what was decoded for another engine.
      const timing = withRemainder(performance.now() - since + photo.earlierMs, [...photo.timing, ...answer.timing]);
      const result: Classification = { ...answer, engine: this.id, image: photo.image, timing, totalMs: sumOf(timing) };
      return { photo, result };
    });
    this.queue = turn.then(({ photo }) => this.calibrate(photo, options), () => undefined);
    return (await turn).result;
  }

  /** What the model's network makes of a picture before its last layer: its embedding. */
  async embed(signal: AbortSignal, image: Blob, name: string, onProgress?: (progress: Progress) => void): Promise<Float32Array> {
    this.calibration?.abort();
    const turn = this.queue.then(async () => {
      signal.throwIfAborted();
      const { manifest, classes } = await this.modelOf(name);
      const photo = await this.prepare(signal, image, manifest);
      return this.run(signal, photo, { model: name, topK: 0, explain: false, raw: true, ...(onProgress && { onProgress }) }, { manifest: upToEmbedding(manifest), classes });
    });
    this.queue = turn.catch(() => undefined);
    return (await turn).scores!;
  }

  /**
   * Once per device, behind the first answer: which accelerator is the fastest here? Each runs the same photo in a worker of its own; the winner's is
   * kept. What was remembered stands as long as the device offers the same candidates.
   */
  private async calibrate(photo: Prepared, { model }: ClassifyOptions) {
    if (!this.settings.calibration) return;
    const { signal } = (this.calibration = new AbortController());
    if (!(await undisturbed(signal)) || !this.worker) return;
    const { accelerator: current, software = false, calibration: { threads } } = this.settings;
    const others: BrowserEngine[] = [];
    try {
      const runtime = this.runtimeFor(await this.modelOf(model));
      const backends = await this.ask<Backend[]>(signal, this.worker, { type: 'backends', id: ++this.ids, software });
      const candidates = candidatesFor(threads, backends.filter((backend) => !hasFailed(backend)));
      if (candidates.length > 1 && !rememberedChoice(candidates)) {
        const trials: Trial[] = [];
        let best: { engine: BrowserEngine; trial: Trial } | undefined;
        for (const accelerator of candidates) {
          // Nobody may wait for a trial: its worker is ended at once.
          const engine = nameOf(accelerator) === nameOf(current) ? this : new BrowserEngine(this.modelOf, { accelerator, software, runtime }, this.createWorker, 0, this.prepare);
          if (engine !== this) others.push(engine);
          const trial = await engine.attempt(signal, photo, model, best?.trial);
          if (trial) trials.push(trial);
          engine.fetched.forEach((url) => this.fetched.add(url));
          if (trial && (!best || isBetter(trial, best.trial, trials[0]!))) best = { engine, trial };
          for (const other of others) if (other !== best?.engine) other.dispose();
        }
        if (best) {
          rememberChoice(best.trial.accelerator, candidates, trials);
          if (best.engine !== this) this.takeOver(best.engine);
        }
      }
      delete this.settings.calibration;
    } catch {
      // Somebody came, or it did not work: what runs already stays, and the next photo is another chance.
    } finally {
      for (const other of others) other.dispose();
    }
  }

  /** The same photo a few times, all classes. Nothing where the graphics processor fails at it: then it is no candidate. */
  private async attempt(signal: AbortSignal, photo: Prepared, model: string, best?: Trial): Promise<Trial | undefined> {
    const { accelerator } = this.settings;
    const trial: Trial = { accelerator, computeMs: [], predictions: [] };
    try {
      for (let turn = -1; turn < calibrationRuns; turn++) {
        const { timing, predictions } = await this.runHere(signal, photo, { model, topK: Infinity, explain: false }, await this.modelOf(model));
        if (turn >= 0) trial.computeMs.push(computeMs({ timing }));
        trial.predictions = predictions;
        if (best && isHopeless(trial, best)) break;
      }
    } catch (error) {
      if (accelerator.backend !== 'wasm' && error instanceof EngineError && error.code === 'engine-failed') return undefined;
      throw error;
    }
    return trial;
  }

  private takeOver(winner: BrowserEngine) {
    this.dispose();
    this.settings.accelerator = winner.settings.accelerator;
    [this.worker, this.holds, this.slowestMs] = [winner.worker, winner.holds, winner.slowestMs];
    winner.worker = undefined;
  }

  /**
   * What fails on a graphics processor, or whose kernels cannot be fetched, is run on the processor; what TensorFlow.js' kernels cannot load or run
   * there, ONNX Runtime runs: for this very photo, and remembered. Only what all of them fail at is an error.
   */
  private async run(signal: AbortSignal, photo: Prepared, options: RunOptions, model: BrowserModel): Promise<Ran> {
    const { backend, threads } = this.settings.accelerator;
    const runtime = this.runtimeFor(model);
    try {
      return await this.runHere(signal, photo, options, model);
    } catch (error) {
      const code = error instanceof EngineError ? error.code : undefined;
      if (runtime === 'onnxruntime' || !code) throw error;
      if (backend !== 'wasm' && (code === 'engine-failed' || code === 'download-failed')) {
        this.settings.accelerator = { backend: 'wasm', threads };
        const answer = await this.run(signal, photo, options, model);
        // Where WebAssembly answers with the same kernels, it was not the photo's or the model's fault.
        if (code === 'engine-failed' && this.runtimeFor(model) === runtime) rememberFailure(backend);
        return answer;
      }
      if (this.settings.runtime || (code !== 'engine-failed' && code !== 'model-unsupported')) throw error;
      const answer = await this.runHere(signal, photo, options, model, 'onnxruntime');
      // What broke without a word may do on another visit.
      if (code === 'model-unsupported') rememberOnnxRuntime(model.manifest);
      else this.broken.add(model.manifest.name);
      return answer;
    }
  }

  private runtimeFor({ manifest }: BrowserModel): RuntimeId {
    return this.settings.runtime ?? (this.broken.has(manifest.name) || needsOnnxRuntime(manifest) ? 'onnxruntime' : 'tensorflow');
  }

  private async runHere(signal: AbortSignal, { tensor }: Prepared, { topK, explain, raw = false, onProgress }: RunOptions, model: BrowserModel, runtime = this.runtimeFor(model)): Promise<Ran> {
    signal.throwIfAborted();
    const { manifest, classes } = model;
    const variant = variantFor(manifest);

    const { accelerator } = this.settings;
    const wanted = `${manifest.name} ${manifest.version} ${manifest.files[variant]?.sha256} ${raw ? 'embedding' : 'labels'} ${runtime} ${nameOf(accelerator)}`;
    if (this.holds !== wanted) this.dispose();
    this.holds = wanted;
    if (!this.worker) this.slowestMs = 0;
    const worker = (this.worker ??= this.createWorker());

    const { fetched, ...answer } = await this.ask<BrowserAnswer>(signal, worker, { type: 'classify', id: ++this.ids, tensor, topK, explain, manifest, classes, variant, accelerator, runtime, raw }, onProgress);
    fetched.forEach((url) => this.fetched.add(url));
    this.slowestMs = Math.max(this.slowestMs, computeMs(answer));
    return answer;
  }

  private ask<Answer extends BrowserAnswer | Backend[]>(signal: AbortSignal, worker: Worker, request: Exclude<ToWorker, { type: 'cancel' }>, onProgress?: (progress: Progress) => void): Promise<Answer> {
    const { cancelPatienceMs } = this;
    const most = this.settings.software ? 4 * usualPatienceMs : usualPatienceMs;
    const patienceMs = this.settings.accelerator.backend === 'wasm' || this.slowestMs === 0 ? most : Math.min(most, Math.max(leastPatienceMs, 10 * this.slowestMs));
    return new Promise<Answer>((resolve, reject) => {
      let patience = setTimeout(wedged, patienceMs);
      const settle = (end: () => void) => {
        clearTimeout(patience);
        signal.removeEventListener('abort', cancel);
        worker.onmessage = worker.onerror = worker.onmessageerror = null;
        end();
      };
      const replace = (error: Error) => {
        worker.terminate();
        if (this.worker === worker) this.worker = undefined;
        settle(() => reject(error));
      };
      function wedged() {
        replace(new EngineError('engine-failed', `The worker was silent for ${patienceMs / 1000} seconds.`));
      }
      function cancel() {
        // Nobody waits for what the calibration asks, and the worker holds a model.
        if (request.type === 'backends') return settle(() => reject(new DOMException('The run was cancelled.', 'AbortError')));
        worker.postMessage({ type: 'cancel', id: request.id } satisfies ToWorker);
        clearTimeout(patience);
        patience = setTimeout(() => replace(new DOMException('The run was cancelled.', 'AbortError')), cancelPatienceMs);
      }

      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.id !== request.id) return;
        if (data.type === 'done') return settle(() => resolve(data.answer as Answer));
        if (data.type === 'failed') {
          if (data.code === 'cancelled') return settle(() => reject(new DOMException('The run was cancelled.', 'AbortError')));
          const error = new EngineError(data.code, data.detail);
          return data.code === 'engine-failed' ? replace(error) : settle(() => reject(error));
        }
        if (signal.aborted) return;
        clearTimeout(patience);
        patience = setTimeout(wedged, patienceMs);
        onProgress?.(data.progress);
      };
      worker.onerror = ({ message }) => replace(new EngineError('engine-failed', message || 'The worker could not be started.'));
      worker.onmessageerror = () => replace(new EngineError('engine-failed', 'A message to or from the worker could not be read.'));
      signal.addEventListener('abort', cancel, { once: true });
      worker.postMessage(request);
    });
  }

  dispose() {
    this.worker?.terminate();
    this.worker = undefined;
  }
}

const computeMs = ({ timing }: Pick<Ran, 'timing'>): number => timing.find(({ stage }) => stage === 'compute')?.ms ?? 0;

/** A model whose main output is its embedding. */
function upToEmbedding(manifest: Manifest): Manifest {
  const { embedding } = manifest.output;
  if (!embedding) throw new EngineError('model-unsupported', `The model '${manifest.name}' has no embedding.`);
  return { ...manifest, output: { name: embedding, kind: 'logits' }, abstain: null };
}

/** Whether nobody came for a while. */
function undisturbed(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), restMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

/** `?software-gpu` in the page's address lets the tests count graphics that the processor emulates. */
function settingsHere(): BrowserSettings {
  const threads = threadsFor(navigator.hardwareConcurrency, crossOriginIsolated);
  return {
    accelerator: rememberedChoice() ?? { backend: 'wasm', threads },
    calibration: { threads },
    software: new URLSearchParams(location.search).has('software-gpu'),
  };
}
