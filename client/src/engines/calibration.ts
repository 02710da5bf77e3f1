import type { Accelerator, Backend } from './accelerator';
import { nameOf } from './accelerator';
import type { Prediction } from './engine';
import { keep, recall } from './storage';
import { percentile } from './timing';

/** An accelerator, tried: how long its runs took, the result read back, and what it answered for every class. */
export interface Trial {
  accelerator: Accelerator;
  computeMs: number[];
  predictions: Prediction[];
}

/** How far two answers to one photo may lie apart before one of them is wrong. Graphics processors with 16-bit textures miss it. */
export const agreementLimit = 1e-3;
/** Less than this is noise, and more threads warm the phone. */
const worthwhile = 0.9;

/**
 * Whether an accelerator earns the place of the one that was kept so far: it must save a tenth of the time, by median, and answer what one thread of
 * WebAssembly answers.
 */
export function isBetter(candidate: Trial, kept: Trial, reference: Trial): boolean {
  return differenceOf(candidate.predictions, reference.predictions) < agreementLimit && medianOf(candidate) < worthwhile * medianOf(kept);
}

/** Two runs that each take more than twice the time are no chance; a phone's battery is spared the others. */
export function isHopeless({ computeMs }: Trial, kept: Trial): boolean {
  return computeMs.length > 1 && Math.min(...computeMs) > 2 * medianOf(kept);
}

const medianOf = ({ computeMs }: Trial): number => percentile(computeMs, 0.5);

/** The largest difference of a confidence; 1 where the best label is another. */
function differenceOf(predictions: readonly Prediction[], reference: readonly Prediction[]): number {
  if (predictions[0]?.index !== reference[0]?.index) return 1;
  const expected = new Map(reference.map(({ index, confidence }) => [index, confidence]));
  // Written so that a confidence that is no number counts as different.
  return predictions.reduce((most, { index, confidence }) => {
    const difference = Math.abs(confidence - (expected.get(index) ?? Infinity));
    return difference <= most ? most : Number.isNaN(difference) ? 1 : difference;
  }, 0);
}

const key = 'whatsit.accelerator';

interface Memory {
  /** The choice, and what it was made from; another browser, processor or version of this app makes it void. */
  choice?: { circumstances: string; accelerator: Accelerator; candidates: string[]; trials: { name: string; medianMs: number; difference: number }[] };
  /** Graphics that failed at work: never tried again on this device. */
  failed?: Backend[];
}

const memory = () => recall<Memory>(key, {});

const circumstances = () => [navigator.hardwareConcurrency, crossOriginIsolated ? 'isolated' : 'not isolated', navigator.userAgent, appVersion].join(', ');

/** What was chosen on this device. Where it was chosen from other candidates than `candidates`, where they are known, it is void. */
export function rememberedChoice(candidates?: readonly Accelerator[]): Accelerator | undefined {
  const { choice } = memory();
  if (choice?.circumstances !== circumstances()) return undefined;
  return !candidates || candidates.map(nameOf).join() === choice.candidates.join() ? choice.accelerator : undefined;
}

export function rememberChoice(accelerator: Accelerator, candidates: readonly Accelerator[], trials: readonly Trial[]) {
  const tried = trials.map((trial) => ({ name: nameOf(trial.accelerator), medianMs: medianOf(trial), difference: differenceOf(trial.predictions, trials[0]!.predictions) }));
  keep(key, { ...memory(), choice: { circumstances: circumstances(), accelerator, candidates: candidates.map(nameOf), trials: tried } });
}

export const hasFailed = (backend: Backend): boolean => memory().failed?.includes(backend) ?? false;

export function rememberFailure(backend: Backend) {
  keep(key, { failed: [...new Set([...(memory().failed ?? []), backend])] });
}
