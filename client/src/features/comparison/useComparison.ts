import { useCallback, useEffect, useRef, useState } from 'react';
import type { ClassifyOptions, Engine, EngineId, EngineRun } from '../../engines/engine';
import { EngineError, isAbort } from '../../engines/engine';

export type Runs = Partial<Record<EngineId, EngineRun>>;

/** Gives one photo to the engines and holds what each makes of it. A new photo ends what still runs. */
export function useComparison(engines: readonly Engine[]) {
  const [runs, setRuns] = useState<Runs>({});
  const controllers = useRef(new Map<EngineId, AbortController>());

  const set = (id: EngineId, run: EngineRun) => setRuns((before) => ({ ...before, [id]: run }));

  const cancel = useCallback((id: EngineId) => controllers.current.get(id)?.abort(), []);

  const runOne = useCallback(async (engine: Engine, image: Blob, options: ClassifyOptions) => {
    controllers.current.get(engine.id)?.abort();
    const controller = new AbortController();
    controllers.current.set(engine.id, controller);
    const current = () => controllers.current.get(engine.id) === controller;
    set(engine.id, { state: 'running' });
    try {
      const result = await engine.classify(controller.signal, image, {
        ...options,
        onProgress: (progress) => {
          if (current()) set(engine.id, { state: 'running', progress });
        },
      });
      if (current()) set(engine.id, { state: 'done', result });
      return result;
    } catch (error) {
      // A run that a newer one replaced has nothing to say any more.
      if (current()) set(engine.id, isAbort(error) ? { state: 'cancelled' } : { state: 'failed', error: asEngineError(error) });
      return undefined;
    }
  }, []);

  const run = useCallback(async (image: Blob, options: ClassifyOptions) => {
    for (const engine of engines) await runOne(engine, image, options);
  }, [engines, runOne]);

  const clear = useCallback(() => {
    const running = [...controllers.current.values()];
    controllers.current.clear();
    running.forEach((controller) => controller.abort());
    setRuns({});
  }, []);

  useEffect(() => clear, [clear]);

  return { runs, run, runOne, cancel, clear };
}

const asEngineError = (error: unknown): EngineError =>
  error instanceof EngineError ? error : new EngineError('engine-failed', error instanceof Error ? error.message : String(error));
