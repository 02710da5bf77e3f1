import { describe, expect, test } from 'vitest';
import { classActivationMap, contrast, select, softmax, topIndexes } from './postprocess';
import type { Manifest } from './server-api';

const classes = ['Lemon', 'Lime', 'Kiwi'].map((label, index) => ({ label, index }));
const manifest = (kind: 'probabilities' | 'logits', threshold?: number): Pick<Manifest, 'output' | 'abstain'> => ({ output: { name: 'scores', kind }, abstain: threshold === undefined ? null : { threshold } });

describe('The best labels', () => {
  test('come largest first, and of equal scores the lower index first', () => {
    expect(topIndexes(Float32Array.of(0.2, 0.5, 0.2, 0.7, 0.5), 4)).toEqual([3, 1, 4, 0]);
  });

  test('carry label, index and confidence', () => {
    const { predictions } = select({ scores: Float32Array.of(0.25, 0.75, 0) }, classes, manifest('probabilities'), 2);
    expect(predictions).toEqual([{ label: 'Lime', index: 1, confidence: 0.75 }, { label: 'Lemon', index: 0, confidence: 0.25 }]);
  });

  test('of a model that gives logits are probabilities all the same', () => {
    const { predictions } = select({ scores: Float32Array.of(1000, 1000, -1000) }, classes, manifest('logits'), 3);
    expect(predictions.map(({ confidence }) => confidence)).toEqual([0.5, 0.5, 0]);
  });

  test('of several labels stay what they are at every temperature', () => {
    const { predictions } = select({ scores: Float32Array.of(0.75, 0.5, 0.25) }, classes, { output: { name: 'scores', kind: 'multi-label', temperature: 2 }, abstain: null }, 3);
    expect(predictions.map(({ confidence }) => confidence)).toEqual([0.75, 0.5, 0.25]);
  });

  test('are withheld under the manifest’s threshold, and only under it', () => {
    const scores = Float32Array.of(0.25, 0.5, 0.25);
    expect(select({ scores }, classes, manifest('probabilities', 0.6), 1).abstained).toBe(true);
    expect(select({ scores }, classes, manifest('probabilities', 0.5), 1).abstained).toBe(false);
    expect(select({ scores }, classes, manifest('probabilities'), 1).abstained).toBe(false);
  });
});

test('Softmax sums to one and survives large logits', () => {
  const probabilities = softmax(Float32Array.of(800, 799, 0));
  expect(probabilities[0]! + probabilities[1]! + probabilities[2]!).toBeCloseTo(1, 6);
  expect(probabilities[0]! / probabilities[1]!).toBeCloseTo(Math.E, 4);
});

describe('A class activation map', () => {
  const weights = Float32Array.of(1, 0, 0, 2, -1, -1);

  test('is the weighted sum of the channels, largest cell 1, nothing below 0', () => {
    const features = { data: Float32Array.of(1, 2, 3, 4, 0, 0, 1, 0), channels: 2, height: 2, width: 2, channelStep: 4, cellStep: 1 };
    expect(classActivationMap(features, weights, 0)).toEqual([[0.25, 0.5], [0.75, 1]]);
    expect(classActivationMap(features, weights, 1)).toEqual([[0, 0], [1, 0]]);
    expect(classActivationMap(features, weights, 2)).toEqual([[0, 0], [0, 0]]);
  });

  test('takes no notice of what speaks for every class alike, unless each class stands for itself', () => {
    const alike = Float32Array.of(1, 5, 0, 7, -1, 4);
    expect(contrast(alike, 3, manifest('logits').output)).toEqual(contrast(alike.map((weight, at) => weight + (at % 2 ? 9 : -3)), 3, manifest('probabilities').output));
    expect([...contrast(Float32Array.of(1, 5, 0, 7, -1, 3), 3, manifest('logits').output)]).toEqual([1, 0, 0, 2, -1, -2]);
    expect(contrast(weights, 3, { name: 'scores', kind: 'multi-label' })).toEqual(weights);
  });

  test('is the same whether channels come first or last', () => {
    const features = { data: Float32Array.of(1, 0, 2, 0, 3, 1, 4, 0), channels: 2, height: 2, width: 2, channelStep: 1, cellStep: 2 };
    expect(classActivationMap(features, weights, 0)).toEqual([[0.25, 0.5], [0.75, 1]]);
  });
});
