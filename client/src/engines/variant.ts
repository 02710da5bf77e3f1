import { EngineError } from './engine';
import type { Manifest, Variant } from './manifest';

/** 16-bit weights: half the download, the same speed (they are widened when they are read). 8-bit ones are slower here, and better than none. */
export function variantFor({ files }: Manifest): Variant {
  const variant = (['fp16', 'fp32', 'int8'] as const).find((candidate) => files[candidate]);
  if (!variant) throw new EngineError('model-unsupported');
  return variant;
}

/** What this device fetches of a model, once: the network, and what doubt and maps compare with. */
export const bytesHere = (manifest: Manifest): number =>
  [manifest.files[variantFor(manifest)], manifest.abstain?.vectors, manifest.output.classifier_weights].reduce((sum, file) => sum + (file?.bytes ?? 0), 0);
