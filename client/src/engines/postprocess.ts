import { certaintyOf } from './certainty';
import type { Prediction } from './engine';
import type { FeatureMap, RuntimeAnswer } from './runtime';
import type { ClassInfo, Manifest } from './server-api';

/** From the model's output to labels, as `src/Inference/Postprocessing` on the server does it. */
export function select(
  { scores, evidence }: Pick<RuntimeAnswer, 'scores' | 'evidence'>,
  classes: readonly ClassInfo[],
  manifest: Pick<Manifest, 'output' | 'abstain'>,
  topK: number,
  { mapOf, vectors }: { mapOf?: (index: number) => number[][]; vectors?: Float32Array } = {},
): { predictions: Prediction[]; abstained: boolean } {
  const { abstain } = manifest;
  const abstained = abstain != null && certaintyOf(manifest, scores, evidence, vectors) < abstain.threshold;
  const probabilities = toProbabilities(scores, manifest.output);
  const predictions = topIndexes(probabilities, topK).map((index) => ({
    label: classes[index]?.label ?? String(index),
    index,
    confidence: probabilities[index]!,
    ...(mapOf && { map: mapOf(index) }),
  }));
  return { predictions, abstained };
}

/** The probabilities that are the answer: softmax where the model gives logits, and the temperature, but of several labels neither. What is 0 stays 0. */
function toProbabilities(scores: Float32Array, { kind, temperature }: Manifest['output']): Float32Array {
  if (kind === 'multi-label') return scores;
  const tempered = temperature ?? 1;
  if (tempered === 1) return kind === 'logits' ? softmax(scores) : scores;
  return softmax(scores.map((score) => (kind === 'logits' ? score : Math.log(score)) / tempered));
}

/** The largest logit is subtracted first, so that no exponential overflows. */
export function softmax(logits: Float32Array): Float32Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** Largest first; of equal scores the lower index comes first, as in `numpy.argsort(-scores, kind="stable")`. */
export function topIndexes(scores: Float32Array, count: number): number[] {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, count);
}

/**
 * The classifier's weights less their mean over the classes, where a softmax follows: it gives the same answer for both, and so must a map. As
 * `ClassActivationMap.Contrast` on the server does it.
 */
export function contrast(weights: Float32Array, classes: number, { kind }: Manifest['output']): Float32Array {
  if (kind === 'multi-label') return weights;
  const channels = weights.length / classes;
  const mean = new Float32Array(channels);
  weights.forEach((weight, at) => { mean[at % channels]! += weight; });
  return weights.map((weight, at) => weight - mean[at % channels]! / classes);
}

/**
 * Where the evidence for a class lies: the classifier's weights ([classes, channels]) applied to every cell of the last feature map instead
 * of to its mean. Negative evidence is cut off, the largest cell is 1. Zhou et al. 2016, equation 2.
 */
export function classActivationMap(features: FeatureMap, weights: Float32Array, index: number): number[][] {
  const { data, channels, height, width, channelStep, cellStep } = features;
  const cells = new Float32Array(height * width);
  for (let channel = 0; channel < channels; channel++) {
    const weight = weights[index * channels + channel]!;
    for (let cell = 0; cell < cells.length; cell++) cells[cell] = cells[cell]! + data[channel * channelStep + cell * cellStep]! * weight;
  }
  const largest = cells.reduce((a, b) => Math.max(a, b), 0);
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (__, x) => (largest === 0 ? 0 : Math.round((Math.max(0, cells[y * width + x]!) / largest) * 1e4) / 1e4)),
  );
}
