import { softmax } from '../../engines/postprocess';
import type { DenseHead, LabelledEmbeddings } from './softmax-regression';
import { logitsOf, SoftmaxRegression } from './softmax-regression';

const folds = 5;
// Strong enough that classes hardly differ, to so weak that every training photo is right; the command tries the same.
const strengths = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003];

/** How good one strength of regularisation is on photos that it did not see. */
export interface Trial {
  /** λ times the number of photos, 1 ÷ C in scikit-learn. */
  strength: number;
  /** The mean of −log p(class). */
  loss: number;
  /** The share of photos whose class is the most probable one. */
  top1: number;
}

export interface CrossValidated {
  /** The strength with the least loss. */
  strength: number;
  trials: Trial[];
  /** For each photo the probabilities by a head that was trained without it, with the best strength. */
  probabilities: Float32Array[];
}

/**
 * Chooses how strongly a head's weights are held small: the photos are divided into five parts, stratified by class, and each part is judged by a head that
 * was trained on the others.
 */
export function crossValidate(data: LabelledEmbeddings, random: () => number = seeded(1), onStep?: (done: number, of: number) => void): CrossValidated {
  const parts = divide(data.labels, data.classes, random);
  const starts: (DenseHead | undefined)[] = [];
  const regressions: SoftmaxRegression[] = [];
  const trials: Trial[] = [];
  let best: { trial: Trial; probabilities: Float32Array[] } | undefined;
  for (const [tried, strength] of strengths.entries()) {
    const probabilities = new Array<Float32Array>(data.labels.length);
    for (let fold = 0; fold < folds; fold++) {
      onStep?.(tried * folds + fold, strengths.length * folds);
      const others = [...data.labels.keys()].filter((photo) => parts[photo] !== fold);
      const judged = [...data.labels.keys()].filter((photo) => parts[photo] === fold);
      if (judged.length === 0 || others.length === 0) continue;
      const regression = (regressions[fold] ??= new SoftmaxRegression({
        ...data,
        embeddings: others.map((photo) => data.embeddings[photo]!),
        labels: others.map((photo) => data.labels[photo]!),
      }));
      const start = starts[fold];
      // What is near enough to choose by; the final head is trained to the end.
      const { head } = regression.fit(strength / others.length, { ...(start && { start }), tolerance: 1e-6, maxIterations: 200 });
      starts[fold] = head;
      for (const photo of judged) probabilities[photo] = softmax(logitsOf(head, data.embeddings[photo]!));
    }
    const trial = measure(strength, data.labels, probabilities);
    trials.push(trial);
    if (!best || trial.loss < best.trial.loss) best = { trial, probabilities };
    // The loss has one valley: from here it only rises.
    else if (trial.loss > 1.02 * best.trial.loss) break;
  }
  return { strength: best!.trial.strength, trials, probabilities: best!.probabilities };
}

/** The part of each photo: within each class in turn, shuffled; where one class ends the next begins, so that the parts are of one size. */
function divide(labels: readonly number[], classes: number, random: () => number): number[] {
  const parts = new Array<number>(labels.length).fill(0);
  let next = 0;
  for (let index = 0; index < classes; index++) {
    const photos = [...labels.keys()].filter((photo) => labels[photo] === index);
    for (let at = photos.length - 1; at > 0; at--) {
      const other = Math.floor(random() * (at + 1));
      [photos[at], photos[other]] = [photos[other]!, photos[at]!];
    }
    for (const photo of photos) parts[photo] = next++ % folds;
  }
  return parts;
}

function measure(strength: number, labels: readonly number[], probabilities: readonly (Float32Array | undefined)[]): Trial {
  let [loss, right, count] = [0, 0, 0];
  for (const [photo, answer] of probabilities.entries()) {
    if (!answer) continue;
    const label = labels[photo]!;
    count++;
    loss -= Math.log(Math.max(answer[label]!, 1e-30));
    if (answer.every((value) => value <= answer[label]!)) right++;
  }
  return { strength, loss: loss / Math.max(1, count), top1: right / Math.max(1, count) };
}

/** Numbers from 0 to 1 that are the same each time: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
