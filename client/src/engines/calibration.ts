import type { Prediction } from './engine';
import { percentile } from './timing';

/** A number of threads, tried: how long its runs took and what it answered. */
export interface Trial {
  threads: number;
  computeMs: number[];
  predictions: Prediction[];
}

/** How far two answers to one photo may lie apart before one of them is wrong. */
const tolerance = 1e-3;
/** Less than this is noise, and more threads warm the phone. */
const worthwhile = 0.9;

/**
 * The faster of two trials, by median. More threads must earn their place: they are taken where they save a tenth of the time, and only where they
 * answer what one thread answers.
 */
export function better(single: Trial, several: Trial): number {
  if (!agree(single.predictions, several.predictions)) return single.threads;
  return percentile(several.computeMs, 0.5) < worthwhile * percentile(single.computeMs, 0.5) ? several.threads : single.threads;
}

function agree(a: readonly Prediction[], b: readonly Prediction[]): boolean {
  return a.length === b.length && a.every(({ index, confidence }, at) => b[at]?.index === index && Math.abs(b[at].confidence - confidence) < tolerance);
}

const key = 'whatsit.threads';

/** What was found out on this device; another processor or isolation makes it void. */
export function rememberedThreads(most: number): number | undefined {
  try {
    const saved = JSON.parse(localStorage.getItem(key) ?? 'null') as { most: number; threads: number } | null;
    return saved?.most === most && Number.isInteger(saved.threads) ? saved.threads : undefined;
  } catch {
    return undefined;
  }
}

export function rememberThreads(most: number, threads: number) {
  try {
    localStorage.setItem(key, JSON.stringify({ most, threads }));
  } catch {
    // Where nothing may be kept, it is found out anew each time.
  }
}
