import { EngineError } from '../../engines/engine';
import type { LabelledEmbeddings } from './softmax-regression';
import type { Learnt } from './training';
import type { FromTrainingWorker, ToTrainingWorker } from './training-worker';

/** Learns in a worker of its own, which ends with it: the page stays alive, and a cancelled training stops at once. */
export function train(signal: AbortSignal, data: LabelledEmbeddings, { before, onStep }: { before?: Learnt; onStep?: (done: number, of: number) => void } = {}): Promise<Learnt> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new DOMException('The training was cancelled.', 'AbortError'));
    const worker = new Worker(new URL('./training-worker.ts', import.meta.url), { type: 'module', name: 'training' });
    const end = (settle: () => void) => {
      worker.terminate();
      signal.removeEventListener('abort', cancel);
      settle();
    };
    function cancel() {
      end(() => reject(new DOMException('The training was cancelled.', 'AbortError')));
    }
    signal.addEventListener('abort', cancel, { once: true });
    worker.onmessage = ({ data: message }: MessageEvent<FromTrainingWorker>) => {
      if ('learnt' in message) end(() => resolve(message.learnt));
      else if ('problem' in message) end(() => reject(new EngineError('engine-failed', message.problem)));
      else onStep?.(message.done, message.of);
    };
    worker.onerror = ({ message }) => end(() => reject(new EngineError('engine-failed', message || 'The worker could not be started.')));
    worker.postMessage({ data, ...(before && { before }) } satisfies ToTrainingWorker);
  });
}
