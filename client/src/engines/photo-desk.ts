import type { EngineErrorCode, ImageFacts, StageTime } from './engine';
import { EngineError } from './engine';
import type { Preparation } from './manifest';

/** A photo as the model takes it. */
export interface Prepared {
  tensor: Uint8Array | Float32Array;
  image: ImageFacts;
  /** What decoding and preprocessing took, as if only this had been asked for. */
  timing: StageTime[];
  /** The part of it that was done for another engine before. */
  earlierMs: number;
}

/** What the worker is asked. The same key is the same photo for the same preparation. */
export interface ToPhotoWorker {
  type: 'shrink' | 'prepare';
  id: number;
  key: string;
  image: Blob;
  model: Preparation;
}

export type FromPhotoWorker = { id: number; answer: Prepared | Blob | undefined } | { id: number; code: EngineErrorCode; detail?: string };

/** Large photos on old phones take seconds. */
const patienceMs = 30_000;

let worker: Worker | undefined;
let ids = 0;
const numbers = new WeakMap<Blob, number>();

/** A photo decoded and prepared for the model, by the worker that also makes photos smaller for the server: one decode serves both. */
export const prepare = (signal: AbortSignal, image: Blob, model: Preparation) => ask(signal, 'prepare', image, model) as Promise<Prepared>;

/** A photo as a smaller JPEG; nothing where it is not larger than what the model looks at. */
export const shrinkPhoto = (signal: AbortSignal, image: Blob, model: Preparation) => ask(signal, 'shrink', image, model) as Promise<Blob | undefined>;

function ask(signal: AbortSignal, type: ToPhotoWorker['type'], image: Blob, { preprocessing, input }: Preparation): Promise<unknown> {
  const asked = (worker ??= new Worker(new URL('./photo-worker.ts', import.meta.url), { type: 'module', name: 'photo' }));
  const id = ++ids;
  if (!numbers.has(image)) numbers.set(image, id);
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      asked.removeEventListener('message', answer);
      asked.removeEventListener('error', broken);
      signal.removeEventListener('abort', abort);
    };
    const broken = () => {
      done();
      asked.terminate();
      if (worker === asked) worker = undefined;
      reject(new EngineError('engine-failed'));
    };
    const abort = () => {
      done();
      reject(new DOMException('The run was cancelled.', 'AbortError'));
    };
    const answer = ({ data }: MessageEvent<FromPhotoWorker>) => {
      if (data.id !== id) return;
      done();
      if ('code' in data) reject(new EngineError(data.code, data.detail));
      else resolve(data.answer);
    };
    const timer = setTimeout(broken, patienceMs);
    if (signal.aborted) return abort();
    asked.addEventListener('message', answer);
    asked.addEventListener('error', broken);
    signal.addEventListener('abort', abort);
    const key = JSON.stringify([numbers.get(image), preprocessing, input]);
    asked.postMessage({ type, id, key, image, model: { preprocessing, input } } satisfies ToPhotoWorker);
  });
}
