import type { Classification } from '../../engines/engine';

export interface Agreement {
  /** Both put the same class first. */
  sameTop: boolean;
  /** The largest difference between the two confidences of one class. */
  largest: number;
}

/** How far two engines' answers to one photo agree, over every class that both name. */
export function agreementOf(a: Classification, b: Classification): Agreement {
  const others = new Map(b.predictions.map(({ index, confidence }) => [index, confidence]));
  const differences = a.predictions.flatMap(({ index, confidence }) => (others.has(index) ? [Math.abs(confidence - others.get(index)!)] : []));
  return { sameTop: a.predictions[0]?.index === b.predictions[0]?.index, largest: Math.max(0, ...differences) };
}
