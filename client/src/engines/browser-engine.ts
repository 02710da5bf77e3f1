import type { Classification, ClassifyOptions, Engine, EngineErrorCode, Progress } from './engine';
import { EngineError } from './engine';
import type { ClassInfo, Manifest, Variant } from './server-api';
import { sumOf, withRemainder } from './timing';

export type RuntimeChoice = 'auto' | 'tensorflow' | 'onnxruntime';

/** What the worker is asked. */
export type ToWorker =
  | { type: 'classify'; id: number; image: Blob; topK: number; explain: boolean; manifest: Manifest; classes: ClassInfo[]; variant: Variant; threads: number; runtime: RuntimeChoice }
  | { type: 'cancel'; id: number };

/** What it answers: one result without the parts that only the page can measure. */
export type BrowserAnswer = Omit<Classification, 'engine' | 'totalMs'>;

export type FromWorker =
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'done'; id: number; answer: BrowserAnswer }
  | { type: 'failed'; id: number; code: EngineErrorCode | 'cancelled'; detail?: string };

export interface BrowserModel {
  manifest: Manifest;
  classes: ClassInfo[];
}

/** How long a worker may be silent while it works before it counts as wedged. Large photos on old phones take seconds. */
const patienceMs = 30_000;
/** How long a cancelled run may take to end by itself before its worker is ended. */
const cancelPatienceMs = 1_500;

/** The very same model in this browser. The worker is started with the first photo, and anew whenever it fails or hangs. */
export class BrowserEngine implements Engine {
  readonly id = 'browser';
  private worker: Worker | undefined;
  /** The model that the worker holds. */
  private holds = '';
  private ids = 0;
  /** One run after another: two at once would only slow each other down, and spoil both measurements. */
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly modelOf: (name: string) => Promise<BrowserModel>,
    private readonly createWorker = () => new Worker(new URL('./browser-worker.ts', import.meta.url), { type: 'module', name: 'browser-engine' }),
    private readonly settings: { threads: number; runtime: RuntimeChoice } = { threads: threadsFor(navigator.hardwareConcurrency, crossOriginIsolated), runtime: 'auto' },
  ) {}

  async classify(signal: AbortSignal, image: Blob, options: ClassifyOptions): Promise<Classification> {
    const turn = this.queue.then(() => this.run(signal, image, options));
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  private async run(signal: AbortSignal, image: Blob, { model, topK, explain, onProgress }: ClassifyOptions): Promise<Classification> {
    signal.throwIfAborted();
    const { manifest, classes } = await this.modelOf(model);
    const variant = variantFor(manifest);
    signal.throwIfAborted();

    const start = performance.now();
    let lastWait = start;
    const answer = await this.ask(signal, { type: 'classify', id: ++this.ids, image, topK, explain, manifest, classes, variant, ...this.settings }, (progress) => {
      // What is fetched and started once is no part of a run; the run begins when that is done.
      lastWait = performance.now();
      onProgress?.(progress);
    });
    const stages = sumOf(answer.timing);
    const timing = lastWait > start ? answer.timing : withRemainder(performance.now() - start, answer.timing);
    return { ...answer, engine: this.id, timing, totalMs: Math.max(stages, sumOf(timing)) };
  }

  private ask(signal: AbortSignal, request: Extract<ToWorker, { type: 'classify' }>, onProgress: (progress: Progress) => void): Promise<BrowserAnswer> {
    const { manifest, variant } = request;
    const wanted = `${manifest.name} ${manifest.version} ${manifest.files[variant]?.sha256}`;
    if (this.holds !== wanted) this.dispose();
    this.holds = wanted;
    const worker = (this.worker ??= this.createWorker());
    return new Promise<BrowserAnswer>((resolve, reject) => {
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
        worker.postMessage({ type: 'cancel', id: request.id } satisfies ToWorker);
        clearTimeout(patience);
        patience = setTimeout(() => replace(new DOMException('The run was cancelled.', 'AbortError')), cancelPatienceMs);
      }

      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.id !== request.id) return;
        if (data.type === 'done') return settle(() => resolve(data.answer));
        if (data.type === 'failed') {
          if (data.code === 'cancelled') return settle(() => reject(new DOMException('The run was cancelled.', 'AbortError')));
          const error = new EngineError(data.code, data.detail);
          return data.code === 'engine-failed' ? replace(error) : settle(() => reject(error));
        }
        if (signal.aborted) return;
        clearTimeout(patience);
        patience = setTimeout(wedged, patienceMs);
        onProgress(data.progress);
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

/** 16-bit weights: half the download, the same speed (they are widened when they are read). 8-bit ones are slower here. */
export function variantFor({ files }: Manifest): Variant {
  const variant = (['fp16', 'fp32'] as const).find((candidate) => files[candidate]);
  if (!variant) throw new EngineError('model-unsupported');
  return variant;
}

/** Half of the logical cores, at most four: more gain nothing on a network of this size. One without cross-origin isolation. */
export function threadsFor(cores: number | undefined, isolated: boolean): number {
  return isolated ? Math.min(4, Math.max(1, Math.ceil((cores ?? 1) / 2), Math.min(2, cores ?? 1))) : 1;
}
