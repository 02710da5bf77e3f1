import { useCallback, useSyncExternalStore } from 'react';
import { Listeners } from '../../components/Listeners';
import type { Classification, EngineId } from '../../engines/engine';
import { keep, recall } from '../../engines/storage';
import { percentile } from '../../engines/timing';

/** What is remembered of a run. */
export interface HistoryEntry {
  engine: EngineId;
  model: string;
  totalMs: number;
  computeMs: number;
}

export interface Summary {
  count: number;
  median: number;
  p95: number;
  latest: number[];
}

const key = 'whatsit.history';
const kept = 200;
const shown = 30;
const listeners = new Listeners<void>();
let entries: HistoryEntry[] = read();

/** The last runs of both engines, kept in this browser. */
export function useHistory() {
  const all = useSyncExternalStore(listeners.add, () => entries);
  const remember = useCallback(({ engine, model, totalMs, timing }: Classification) => {
    const computeMs = timing.find(({ stage }) => stage === 'compute')?.ms ?? 0;
    write([...entries, { engine, model, totalMs, computeMs }].slice(-kept));
  }, []);
  return { entries: all, remember, forget: useCallback(() => write([]), []) };
}

/** Median and 95th percentile of one engine's runs of one model. */
export function summarize(all: readonly HistoryEntry[], engine: EngineId, model: string): Summary | undefined {
  const times = all.filter((entry) => entry.engine === engine && entry.model === model).map(({ totalMs }) => totalMs);
  return times.length === 0 ? undefined : { count: times.length, median: percentile(times, 0.5), p95: percentile(times, 0.95), latest: times.slice(-shown) };
}

/** How many runs of each engine say enough to call one of them faster. */
const enough = 3;

export function mediansOf(all: readonly HistoryEntry[], model: string): Partial<Record<EngineId, number>> {
  const medians: Partial<Record<EngineId, number>> = {};
  for (const engine of ['server', 'browser'] as const) {
    const summary = summarize(all, engine, model);
    if (summary && summary.count >= enough) medians[engine] = summary.median;
  }
  return medians;
}

function write(next: HistoryEntry[]) {
  entries = next;
  listeners.tell();
  keep(key, next);
}

function read(): HistoryEntry[] {
  const saved = recall<HistoryEntry[]>(key, []);
  return Array.isArray(saved) ? saved.filter(({ totalMs }) => Number.isFinite(totalMs)) : [];
}
