import type { AbstainScore, Manifest } from './manifest';

type Judged = Pick<Manifest, 'output' | 'abstain'>;

const comparesVectors = (score: AbstainScore): boolean => score === 'class-mean' || score === 'nearest' || score === 'virtual-logit';

/** Whether the threshold is one for the confidence that is shown. */
export const comparesConfidence = ({ output, abstain }: Judged): boolean => (abstain?.score ?? 'probability') === 'probability' && (output.temperature ?? 1) === 1;

/** The output that the abstain score is computed from, where that is not the main one. */
export function evidenceOf({ output, abstain }: Judged): string | undefined {
  const score = abstain?.score ?? 'probability';
  if (!abstain || score === 'probability') return undefined;
  if (comparesVectors(score)) return output.embedding ?? undefined;
  return output.kind !== 'logits' ? (output.logits ?? undefined) : undefined;
}

/**
 * The score of one picture, as `Certainty` on the server computes it.
 * @param scores The main output as the model gave it, before softmax and temperature.
 * @param evidence The output that `evidenceOf` names, where it names one.
 * @param vectors What pictures of the classes look like: rows as long as the evidence, each of length 1; of a virtual logit one for each class, and then a basis.
 */
export function certaintyOf({ output, abstain }: Judged, scores: Float32Array, evidence?: Float32Array, vectors?: Float32Array): number {
  const score = abstain?.score ?? 'probability';
  if (score === 'virtual-logit') {
    const means = scores.length * evidence!.length;
    return similarity(evidence!, vectors!.subarray(0, means)) - (abstain?.residual_weight ?? 0) * residual(evidence!, vectors!.subarray(means));
  }
  if (comparesVectors(score)) return similarity(evidence!, vectors!);
  if (score === 'probability' && output.kind !== 'logits') return largestOf(scores);
  const logits = evidence ?? scores;
  const largest = largestOf(logits);
  if (score === 'logit') return largest;
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return score === 'energy' ? largest + Math.log(sum) : 1 / sum;
}

/** The cosine to the most similar row. */
function similarity(embedding: Float32Array, vectors: Float32Array): number {
  const length = Math.sqrt(squareOf(embedding));
  return length === 0 ? 0 : largestOf(productsWith(embedding, vectors)) / length;
}

/** How long the part of the embedding's direction is that the basis does not span. */
function residual(embedding: Float32Array, basis: Float32Array): number {
  const square = squareOf(embedding);
  return square === 0 ? 0 : Math.sqrt(Math.max(0, 1 - squareOf(productsWith(embedding, basis)) / square));
}

/** The dot products of an embedding and each row. */
function productsWith(embedding: Float32Array, rows: Float32Array): Float32Array {
  const products = new Float32Array(rows.length / embedding.length);
  for (let row = 0; row < products.length; row++) {
    let product = 0;
    for (let at = 0; at < embedding.length; at++) product += rows[row * embedding.length + at]! * embedding[at]!;
    products[row] = product;
  }
  return products;
}

const squareOf = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);

const largestOf = (values: Float32Array): number => values.reduce((a, b) => Math.max(a, b), -Infinity);
