import { EngineError, isAbort } from './engine';
import { noteShrinking } from './link';

/** What the page sends where the model looks at less than the photo holds. */
export interface Shrunk {
  image: Blob;
  ms: number;
}

/** What the worker is asked and answers; without an image the photo is better sent as it is. */
export interface ShrinkRequest {
  id: number;
  image: Blob;
  shortSide: number;
}
export interface ShrinkAnswer {
  id: number;
  image?: Blob;
}

/** Smaller files are sent faster than they are made smaller. */
const worthwhileBytes = 150_000;
const patienceMs = 10_000;

let worker: Worker | undefined;
let ids = 0;

/**
 * Makes a large photo smaller on this device, upright and in high quality: 4 MB become some 40 KB. Twice the model's side is kept, so that the
 * server's own resizer still has something to average. Where that fails, or gains nothing, the photo goes as it is.
 */
export async function shrink(signal: AbortSignal, image: Blob, input: { width: number; height: number }): Promise<Shrunk | undefined> {
  if (image.size < worthwhileBytes || typeof Worker === 'undefined') return undefined;
  const start = performance.now();
  try {
    const smaller = await ask(signal, { id: ++ids, image, shortSide: 2 * Math.max(input.width, input.height) });
    const ms = performance.now() - start;
    noteShrinking(image.size, ms);
    return smaller && smaller.size < image.size * 0.8 ? { image: smaller, ms } : undefined;
  } catch (error) {
    if (isAbort(error)) throw error;
    return undefined;
  }
}

function ask(signal: AbortSignal, request: ShrinkRequest): Promise<Blob | undefined> {
  const asked = (worker ??= new Worker(new URL('./shrink-worker.ts', import.meta.url), { type: 'module', name: 'shrink' }));
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
    const answer = ({ data }: MessageEvent<ShrinkAnswer>) => {
      if (data.id !== request.id) return;
      done();
      resolve(data.image);
    };
    const timer = setTimeout(broken, patienceMs);
    if (signal.aborted) return abort();
    asked.addEventListener('message', answer);
    asked.addEventListener('error', broken);
    signal.addEventListener('abort', abort);
    asked.postMessage(request);
  });
}

/** The size to shrink to, sides in proportion; undefined where the photo is not larger than that. */
export function shrunkSize(width: number, height: number, shortSide: number): { width: number; height: number } | undefined {
  const scale = shortSide / Math.min(width, height);
  return scale < 0.9 ? { width: Math.round(width * scale), height: Math.round(height * scale) } : undefined;
}
