import type { Classification } from '../../engines/engine';
import { topIndexes } from '../../engines/postprocess';
import type { Manifest } from '../../engines/manifest';
import { variantFor } from '../../engines/variant';
import type { Project, Taught, TaughtPhoto } from './store';
import { answerOf, direction } from './training';

/** A training photo that looks like the one in question. */
export interface Neighbour {
  photo: TaughtPhoto;
  /** The cosine between the two embeddings. */
  similarity: number;
}

/** The base's network, its version and its weights: embeddings of another one mean something else. */
export const baseOf = (manifest: Manifest): string => `${manifest.name} ${manifest.version} ${manifest.files[variantFor(manifest)]?.sha256}`;

/** What was taught, as an answer like any other of this device. */
export function classify(taught: Taught, { name, classes }: Project, embedding: Float32Array): Classification {
  const { probabilities, abstained } = answerOf(taught, embedding);
  const predictions = topIndexes(probabilities, probabilities.length).map((index) => ({
    label: classes.find(({ id }) => id === taught.classIds[index])?.name ?? '',
    index,
    confidence: probabilities[index]!,
  }));
  return { engine: 'browser', model: name, version: '', variant: '', predictions, abstained, image: { width: 0, height: 0, format: '', bytes: 0 }, timing: [], totalMs: 0 };
}

/** The training photos that are most like it. */
export function neighboursOf(photos: readonly TaughtPhoto[], base: string, embedding: Float32Array, count: number): Neighbour[] {
  const own = direction(embedding);
  return photos
    .flatMap((photo) => {
      if (photo.embedding?.base !== base) return [];
      const other = direction(photo.embedding.values);
      return [{ photo, similarity: own.reduce((sum, value, at) => sum + value * other[at]!, 0) }];
    })
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, count);
}
