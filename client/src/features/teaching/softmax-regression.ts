import { minimize } from './lbfgs';

/** The last layer of a classifier: logits = weights · embedding + bias. */
export interface DenseHead {
  /** [classes, features] row-major. */
  weights: Float32Array;
  /** One per class. */
  bias: Float32Array;
}

/** Embeddings with their classes: what a head learns from. */
export interface LabelledEmbeddings {
  /** One per photo, all of one length. */
  embeddings: readonly Float32Array[];
  /** The class of each, from 0. */
  labels: readonly number[];
  classes: number;
  /** How much the loss of each class weighs; without it all weigh 1. */
  classWeights?: readonly number[] | undefined;
}

/**
 * Softmax regression, as `SoftmaxRegression` of the command does it: finds the head with the least
 *
 *     1/n · Σ weight(class) · −log p(class | embedding)  +  λ/2 · |weights|²
 *
 * Within, embeddings are centred and brought to a mean length of 1, which moves the bias and the unit of λ and nothing else, and makes the search several times
 * shorter.
 */
export class SoftmaxRegression {
  private readonly features: number;
  private readonly mean: Float64Array;
  private readonly scale: number;
  private readonly rows: Float64Array[];

  constructor(private readonly data: LabelledEmbeddings) {
    const { embeddings } = data;
    this.features = embeddings[0]?.length ?? 0;
    this.mean = new Float64Array(this.features);
    for (const embedding of embeddings) embedding.forEach((value, at) => (this.mean[at] = this.mean[at]! + value / embeddings.length));
    const centred = embeddings.map((embedding) => Float64Array.from(embedding, (value, at) => value - this.mean[at]!));
    const squares = centred.reduce((sum, row) => sum + row.reduce((of, value) => of + value * value, 0), 0);
    this.scale = squares > 0 ? Math.sqrt(embeddings.length / squares) : 1;
    this.rows = centred.map((row) => row.map((value) => value * this.scale));
  }

  /** The unit of λ for embeddings as they are: λ here is λ / unit in the loss over them. */
  get unit(): number {
    return this.scale * this.scale;
  }

  /**
   * Finds the best head.
   * @param lambda How much small weights are preferred, in the loss over centred embeddings of a mean length of 1.
   * @param start Where to begin: a head for nearly the same photos, or zero.
   */
  fit(lambda: number, { start, ...limits }: { start?: DenseHead; tolerance?: number; maxIterations?: number } = {}): { head: DenseHead; loss: number; iterations: number } {
    const { classes } = this.data;
    const point = new Float64Array(classes * (this.features + 1));
    if (start) this.enter(start, point);
    const { value, iterations } = minimize((at, gradient) => this.loss(at, gradient, lambda), point, limits);
    return { head: this.leave(point), loss: value, iterations };
  }

  private enter({ weights, bias }: DenseHead, point: Float64Array): void {
    for (let index = 0; index < bias.length; index++) {
      let offset = bias[index]!;
      for (let feature = 0; feature < this.features; feature++) {
        const weight = weights[index * this.features + feature]!;
        point[index * this.features + feature] = weight / this.scale;
        offset += weight * this.mean[feature]!;
      }
      point[bias.length * this.features + index] = offset;
    }
  }

  private leave(point: Float64Array): DenseHead {
    const { classes } = this.data;
    const weights = Float32Array.from(point.subarray(0, classes * this.features), (value) => value * this.scale);
    const bias = Float32Array.from({ length: classes }, (_, index) => {
      let offset = point[classes * this.features + index]!;
      for (let feature = 0; feature < this.features; feature++) offset -= weights[index * this.features + feature]! * this.mean[feature]!;
      return offset;
    });
    return { weights, bias };
  }

  private loss(point: Float64Array, gradient: Float64Array, lambda: number): number {
    const { classes, labels, classWeights } = this.data;
    const { features } = this;
    const count = this.rows.length;
    const logits = new Float64Array(classes);
    gradient.fill(0);
    let loss = 0;
    for (const [photo, row] of this.rows.entries()) {
      let largest = -Infinity;
      for (let index = 0; index < classes; index++) {
        let logit = point[classes * features + index]!;
        for (let feature = 0, at = index * features; feature < features; feature++, at++) logit += point[at]! * row[feature]!;
        logits[index] = logit;
        largest = Math.max(largest, logit);
      }
      const label = labels[photo]!;
      const weight = (classWeights?.[label] ?? 1) / count;
      const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
      loss += weight * (Math.log(sum) + largest - logits[label]!);
      for (let index = 0; index < classes; index++) {
        const residual = weight * (Math.exp(logits[index]! - largest) / sum - (index === label ? 1 : 0));
        gradient[classes * features + index] = gradient[classes * features + index]! + residual;
        for (let feature = 0, at = index * features; feature < features; feature++, at++) gradient[at] = gradient[at]! + residual * row[feature]!;
      }
    }
    for (let at = 0; at < classes * features; at++) {
      loss += (lambda / 2) * point[at]! * point[at]!;
      gradient[at] = gradient[at]! + lambda * point[at]!;
    }
    return loss;
  }
}

/** Weights with which every class counts the same, however many photos it has: n ÷ (classes · photos of the class). */
export function balanced(labels: readonly number[], classes: number): number[] {
  const photos = new Array<number>(classes).fill(0);
  for (const label of labels) photos[label] = photos[label]! + 1;
  const present = photos.filter((count) => count > 0).length;
  return photos.map((count) => (count > 0 ? labels.length / (present * count) : 0));
}

/** The logits of an embedding. */
export function logitsOf({ weights, bias }: DenseHead, embedding: Float32Array): Float32Array {
  return bias.map((offset, index) => {
    let logit = offset;
    for (let feature = 0, at = index * embedding.length; feature < embedding.length; feature++, at++) logit += weights[at]! * embedding[feature]!;
    return logit;
  });
}
