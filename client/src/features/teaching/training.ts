import { certaintyOf } from '../../engines/certainty';
import { softmax } from '../../engines/postprocess';
import { crossValidate } from './cross-validation';
import type { DenseHead, LabelledEmbeddings } from './softmax-regression';
import { logitsOf, SoftmaxRegression } from './softmax-regression';

/** A head with all that makes its answers honest: how sure it may sound, and when it must not answer. */
export interface Learnt {
  head: DenseHead;
  /** λ times the number of photos, chosen by cross-validation. */
  strength: number;
  /** Divides the logits, so that a confidence is the share of answers that are right. */
  temperature: number;
  /** Photos whose class was named by a head that was trained without them, of so many. */
  right: number;
  judged: number;
  /** The mean direction of each class's photos, [classes, features], and the cosine to the nearest one under which no answer is given. */
  means: Float32Array;
  threshold: number;
}

/** The share of photos of the classes that may be refused. */
const refuse = 0.05;

/** Chooses the strength, finds the head, and measures both on photos that were not learnt from. */
export function learn(data: LabelledEmbeddings, onStep?: (done: number, of: number) => void): Learnt {
  const { strength, probabilities } = crossValidate(data, undefined, onStep);
  const judged = data.labels.map((label, photo) => ({ label, probabilities: probabilities[photo] })).filter((one): one is Judged => one.probabilities !== undefined);
  return {
    ...fitted(data, strength),
    temperature: temperatureFor(judged),
    right: judged.filter(({ label, probabilities: found }) => found.every((value, index) => index === label || value < found[label]!)).length,
    judged: judged.length,
  };
}

/** The same with a few photos more: from where the head stands, with the strength that was chosen. */
export function learnMore(data: LabelledEmbeddings, before: Learnt): Learnt {
  return { ...before, ...fitted(data, before.strength, before.head) };
}

function fitted(data: LabelledEmbeddings, strength: number, start?: DenseHead): Pick<Learnt, 'head' | 'strength' | 'means' | 'threshold'> {
  const { head } = new SoftmaxRegression(data).fit(strength / data.labels.length, start ? { start } : {});
  return { head, strength, ...doubt(data) };
}

interface Judged {
  label: number;
  probabilities: Float32Array;
}

/** The temperature with the least −log p(class): Guo et al. 2017, section 4.2. The loss has one valley over the logarithm: golden section search. */
export function temperatureFor(judged: readonly Judged[]): number {
  const loss = (logarithm: number) =>
    judged.reduce((sum, { label, probabilities }) => sum - Math.log(Math.max(1e-30, softmax(probabilities.map((value) => Math.log(Math.max(1e-30, value)) / Math.exp(logarithm)))[label]!)), 0);
  const ratio = (Math.sqrt(5) - 1) / 2;
  // Where everything was named rightly there is nothing to be seen of how sure it may be: it does not get surer.
  let [low, high] = [judged.every(isRight) ? 0 : Math.log(0.05), Math.log(20)];
  while (high - low > 1e-3) {
    const [left, right] = [high - ratio * (high - low), low + ratio * (high - low)];
    if (loss(left) < loss(right)) high = right;
    else low = left;
  }
  return Math.round(Math.exp((low + high) / 2) * 1000) / 1000;
}

const isRight = ({ label, probabilities }: Judged) => probabilities.every((value) => value <= probabilities[label]!);

/** Class means, and the threshold that refuses at most a twentieth of the photos, each compared with the means as if it were not among them. */
function doubt({ embeddings, labels, classes }: LabelledEmbeddings): Pick<Learnt, 'means' | 'threshold'> {
  const features = embeddings[0]!.length;
  const directions = embeddings.map(direction);
  const sums = new Float32Array(classes * features);
  for (const [photo, one] of directions.entries()) one.forEach((value, at) => (sums[labels[photo]! * features + at]! += value));
  const means = new Float32Array(sums.length);
  for (let index = 0; index < classes; index++) means.set(direction(sums.subarray(index * features, (index + 1) * features)), index * features);
  const certainties = directions
    .map((one, photo) => {
      const at = labels[photo]! * features;
      const others = means.slice();
      others.set(direction(sums.subarray(at, at + features).map((value, feature) => value - one[feature]!)), at);
      return certaintyOf({ output: { name: '', kind: 'probabilities' }, abstain: { threshold: 0, score: 'class-mean' } }, one, one, others);
    })
    .sort((a, b) => a - b);
  const under = Math.floor(refuse * certainties.length + 1e-9);
  return { means, threshold: under === 0 ? certainties[0]! - 1e-3 * Math.max(1e-3, Math.abs(certainties[0]!)) : (certainties[under - 1]! + certainties[under]!) / 2 };
}

/** The same vector with a length of 1; of nothing, nothing. */
export function direction(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector.slice() : vector.map((value) => value / length);
}

/** What a head says of an embedding. */
export function answerOf({ head, temperature, means, threshold }: Learnt, embedding: Float32Array): { probabilities: Float32Array; abstained: boolean } {
  const certainty = certaintyOf({ output: { name: '', kind: 'probabilities' }, abstain: { threshold, score: 'class-mean' } }, embedding, embedding, means);
  return { probabilities: softmax(logitsOf(head, embedding).map((logit) => logit / temperature)), abstained: certainty < threshold };
}
