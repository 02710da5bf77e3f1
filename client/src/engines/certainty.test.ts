import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AbstainScore } from './manifest';
import { certaintyOf, evidenceOf } from './certainty';
import { select } from './postprocess';
import type { Manifest } from './server-api';

interface Case {
  score: AbstainScore;
  kind: 'probabilities' | 'logits';
  temperature: number;
  scores: number[];
  evidence?: number[];
  vectors?: number[];
  residual_weight?: number;
  certainty: number;
  confidences: number[];
}

/** The same that the server's tests read. */
const cases = JSON.parse(readFileSync(new URL('../../../tests/data/certainty/cases.json', import.meta.url), 'utf8')) as Case[];
const labels = Array.from({ length: 5 }, (_, index) => ({ index, label: `class ${index}` }));
const floats = (values?: number[]) => values && Float32Array.from(values);
const manifestOf = ({ score, kind, temperature, residual_weight }: Case, threshold: number): Pick<Manifest, 'output' | 'abstain'> => ({
  output: { name: 'scores', kind, temperature, logits: 'logits', embedding: 'embedding' },
  abstain: { score, threshold, ...(residual_weight && { residual_weight }) },
});

describe('Doubt is what the server makes of it', () => {
  test.each(cases)('by $score of $kind at temperature $temperature', (entry) => {
    const manifest = manifestOf(entry, 0);
    const [scores, evidence, vectors] = [floats(entry.scores)!, floats(entry.evidence), floats(entry.vectors)];
    expect(evidenceOf(manifest) !== undefined).toBe(entry.evidence !== undefined);
    expect(certaintyOf(manifest, scores, evidence, vectors)).toBeCloseTo(entry.certainty, 4);

    const answer = (threshold: number) => select({ scores, ...(evidence && { evidence }) }, labels, manifestOf(entry, threshold), 5, { ...(vectors && { vectors }) });
    expect(answer(entry.certainty + 0.001).abstained).toBe(true);
    expect(answer(entry.certainty - 0.001).abstained).toBe(false);
    for (const { index, confidence } of answer(0).predictions) expect(confidence).toBeCloseTo(entry.confidences[index]!, 5);
  });

  test('A manifest without a score means the largest probability, as ever', () => {
    const manifest: Pick<Manifest, 'output' | 'abstain'> = { output: { name: 'p', kind: 'probabilities' }, abstain: { threshold: 0.5 } };
    expect(evidenceOf(manifest)).toBeUndefined();
    expect(certaintyOf(manifest, Float32Array.of(0.25, 0.75))).toBe(0.75);
  });
});
