import { expect, test } from 'vitest';
import { crossValidate, seeded } from './cross-validation';

/** Clouds around a centre for each class; `spread` decides how much they overlap. */
function clouds(photos: number, features: number, classes: number, spread: number) {
  const random = seeded(3);
  const centres = Array.from({ length: classes }, () => Float32Array.from({ length: features }, () => random()));
  const labels = Array.from({ length: photos }, (_, photo) => photo % classes);
  return { labels, classes, embeddings: labels.map((label) => centres[label]!.map((value) => value + (random() - 0.5) * spread)) };
}

test('The strength with the least loss is chosen, the same each time', () => {
  const data = clouds(60, 12, 3, 2);
  const { strength, trials, probabilities } = crossValidate(data);
  expect(strength).toBe(trials.reduce((best, trial) => (trial.loss < best.loss ? trial : best)).strength);
  expect(trials.length).toBeGreaterThan(1);
  expect(probabilities.every(({ length }) => length === 3)).toBe(true);
  expect(crossValidate(data).trials).toEqual(trials);
});

test('What can be told apart is, and what cannot is not', () => {
  expect(crossValidate(clouds(60, 12, 3, 0.5)).trials.at(-1)!.top1).toBe(1);
  const noise = clouds(90, 30, 3, 2);
  noise.embeddings = noise.embeddings.map((_, photo) => Float32Array.from({ length: 30 }, seeded(photo)));
  expect(Math.max(...crossValidate(noise).trials.map(({ top1 }) => top1))).toBeLessThan(0.55);
});
