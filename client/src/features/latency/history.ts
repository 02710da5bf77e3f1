import { useCallback, useSyncExternalStore } from 'react';
import { Listeners } from '../../components/Listeners';
import type { Classification, EngineId } from '../../engines/engine';
import { keep, recall } from '../../engines/storage';
import { onceMs, percentile } from '../../engines/timing';

/** What is remembered of a run. */
export interface HistoryEntry {
  engine: EngineId;
  model: string;
  /** What the next run like it will take: without what a first run pays once. */
  totalMs: number;
  computeMs: number;
  /** What fetching and preparing took, where this was a first run. */
  onceMs?: number;
}

export interface Summary {
  count: number;
  median: number;
  p95: number;
  latest: number[];
  /** The whole of the last first run. */
  firstMs?: number;
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
    const once = onceMs(timing);
    write([...entries, { engine, model, totalMs: totalMs - once, computeMs, ...(once > 0 && { onceMs: once }) }].slice(-kept));
  }, []);
  return { entries: all, remember, forget: useCallback(() => write([]), []) };
}

/** Median and 95th percentile of one engine's runs of one model. */
export function summarize(all: readonly HistoryEntry[], engine: EngineId, model: string): Summary | undefined {
  const runs = all.filter((entry) => entry.engine === engine && entry.model === model);
  const times = runs.map(({ totalMs }) => totalMs);
  const first = runs.findLast((run) => run.onceMs !== undefined);
  if (times.length === 0) return undefined;
  return { count: times.length, median: percentile(times, 0.5), p95: percentile(times, 0.95), latest: times.slice(-shown), ...(first && { firstMs: first.totalMs + first.onceMs! }) };
}

export function mediansOf(all: readonly HistoryEntry[], model: string): Partial<Record<EngineId, number>> {
  const medians: Partial<Record<EngineId, number>> = {};
  for (const engine of ['server', 'browser'] as const) {
    const summary = summarize(all, engine, model);
    if (summary) medians[engine] = summary.median;
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
