import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { minimize } from './lbfgs';
import { balanced, logitsOf, SoftmaxRegression } from './softmax-regression';

interface Case {
  classes: number;
  penalty: number;
  class_weights: number[] | null;
  embeddings: number[][];
  labels: number[];
  loss: number;
}

/** The same that the command's tests read; the loss is scikit-learn's. */
const cases = JSON.parse(readFileSync(new URL('../../../../tests/data/head/cases.json', import.meta.url), 'utf8')) as Case[];
const dataOf = ({ embeddings, labels, classes, class_weights }: Case) => ({
  embeddings: embeddings.map((row) => Float32Array.from(row)), labels, classes, classWeights: class_weights ?? undefined,
});

test('The lowest point of a curved valley is found', () => {
  // Rosenbrock's function.
  const point = Float64Array.of(-1.2, 1);
  const { value } = minimize(([x = 0, y = 0], gradient) => {
    gradient.set([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]);
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
  }, point, { tolerance: 1e-8 });
  expect(value).toBeLessThan(1e-12);
  expect(point[0]).toBeCloseTo(1, 6);
});

describe('A head', () => {
  test.each(cases)('of $classes classes at λ $penalty is as good as scikit-learn’s', (entry) => {
    const regression = new SoftmaxRegression(dataOf(entry));
    const { head, loss } = regression.fit(entry.penalty * regression.unit, { tolerance: 1e-8 });
    expect(Math.abs(loss - entry.loss)).toBeLessThan(1e-4);

    // The head is for embeddings as they are.
    const own = entry.embeddings.reduce((sum, row, photo) => {
      const logits = Float64Array.from(logitsOf(head, Float32Array.from(row)));
      const label = entry.labels[photo]!;
      return sum + (entry.class_weights?.[label] ?? 1) * (Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0)) - logits[label]!);
    }, 0) / entry.labels.length + (entry.penalty / 2) * head.weights.reduce((sum, weight) => sum + weight * weight, 0);
    expect(Math.abs(own - entry.loss)).toBeLessThan(1e-3);
  });

  test('that begins where another ended is there at once', () => {
    const regression = new SoftmaxRegression(dataOf(cases[0]!));
    const { head, iterations } = regression.fit(1e-2);
    expect(iterations).toBeGreaterThan(5);
    expect(regression.fit(1e-2, { start: head }).iterations).toBeLessThan(3);
  });

  test('can let every class count the same', () => {
    expect(balanced([0, 0, 1, 1, 2], 4)).toEqual([5 / 6, 5 / 6, 5 / 3, 0]);
  });
});
