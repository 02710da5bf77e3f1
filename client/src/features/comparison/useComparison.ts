import { useCallback, useEffect, useRef, useState } from 'react';
import type { Classification, ClassifyOptions, Engine, EngineId, EngineRun } from '../../engines/engine';
import { asEngineError, isAbort } from '../../engines/engine';

export type Runs = Partial<Record<EngineId, EngineRun>>;

/** Gives one photo to the engines and holds what each makes of it. A new photo ends what still runs. */
export function useComparison(onResult: (result: Classification) => void) {
  const [runs, setRuns] = useState<Runs>({});
  const controllers = useRef(new Map<EngineId, AbortController>());
  const turns = useRef<AbortController>(undefined);
  const skipped = useRef(new Set<EngineId>());
  /** Runs whose maps were asked for. */
  const explained = useRef(new WeakSet<AbortController>());
  /** Ends the wait for the engine before. */
  const hurry = useRef<() => void>(undefined);

  const cancel = useCallback((id: EngineId) => {
    const controller = controllers.current.get(id);
    if (controller) return controller.abort();
    // It still waits for its turn.
    skipped.current.add(id);
    setRuns((before) => ({ ...before, [id]: { state: 'cancelled' } }));
  }, []);

  const clear = useCallback(() => {
    const running = [...controllers.current.values()];
    controllers.current.clear();
    running.forEach((controller) => controller.abort());
    setRuns({});
  }, []);

  /** Resolves to whether the engine answered. */
  const runOne = useCallback(async (engine: Engine, image: Blob, options: ClassifyOptions): Promise<boolean> => {
    controllers.current.get(engine.id)?.abort();
    const controller = new AbortController();
    controllers.current.set(engine.id, controller);
    // A run that a newer one replaced has nothing to say any more.
    const set = (run: EngineRun) => {
      if (controllers.current.get(engine.id) === controller) setRuns((before) => ({ ...before, [engine.id]: run }));
    };
    set({ state: 'running' });
    try {
      const result = await engine.classify(controller.signal, image, { ...options, onProgress: (progress) => set({ state: 'running', progress }) });
      set({ state: 'done', result });
      onResult(result);
      return true;
    } catch (error) {
      set(isAbort(error) ? { state: 'cancelled' } : { state: 'failed', error: asEngineError(error) });
      return isAbort(error);
    }
  }, [onResult]);

  /** Asks again for the maps of an answer that came without. Resolves to whether they are there, or on their way. */
  const explain = useCallback(async (engine: Engine, image: Blob, options: ClassifyOptions): Promise<boolean> => {
    const controller = controllers.current.get(engine.id);
    if (!controller || explained.current.has(controller)) return true;
    explained.current.add(controller);
    const amend = (change: (result: Classification) => Partial<Classification>) => {
      if (controllers.current.get(engine.id) !== controller) return;
      setRuns((before) => {
        const run = before[engine.id];
        return run?.state === 'done' ? { ...before, [engine.id]: { state: 'done', result: { ...run.result, ...change(run.result) } } } : before;
      });
    };
    try {
      const { predictions, explanation } = await engine.classify(controller.signal, image, { ...options, explain: true });
      amend(() => ({ predictions, ...(explanation && { explanation }) }));
      return true;
    } catch (error) {
      explained.current.delete(controller);
      if (isAbort(error)) return false;
      const { code, message, said = { code, detail: message, parameters: {} } } = asEngineError(error);
      amend(({ warnings = [] }) => ({ warnings: [...warnings.filter((warning) => warning.code !== said.code), said] }));
      return false;
    }
  }, []);

  /** One engine after the other, so that neither spoils the other's time, unless somebody is in a hurry; what stands in `takesOver` answers where none of them could. */
  const run = useCallback(async (engines: readonly Engine[], takesOver: Engine | undefined, image: Blob, options: ClassifyOptions) => {
    clear();
    const turn = new AbortController();
    const current = () => !turn.signal.aborted;
    turns.current?.abort();
    turns.current = turn;
    engines.forEach(({ id }) => setRuns((before) => ({ ...before, [id]: { state: 'waiting' } })));
    const answers: Promise<boolean>[] = [];
    skipped.current.clear();
    for (const engine of engines) {
      if (!current()) return;
      if (skipped.current.has(engine.id)) continue;
      const answer = runOne(engine, image, options);
      answers.push(answer);
      await Promise.race([answer, new Promise<void>((resolve) => (hurry.current = resolve))]);
    }
    const answered = await Promise.all(answers);
    if (current() && takesOver && !answered.includes(true)) await runOne(takesOver, image, options);
  }, [clear, runOne]);

  const end = useCallback(() => {
    turns.current?.abort();
    clear();
  }, [clear]);

  useEffect(() => end, [end]);

  return { runs, run, runOne, explain, cancel, clear: end, startNow: useCallback(() => hurry.current?.(), []) };
}
