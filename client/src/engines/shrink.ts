import { isAbort } from './engine';
import { noteShrinking, worthwhileBytes } from './link';
import { shrinkPhoto } from './photo-desk';
import type { Preparation } from './manifest';

/** What the page sends where the model looks at less than the photo holds. */
export interface Shrunk {
  image: Blob;
  ms: number;
}

/** Makes a large photo smaller on this device, upright and in high quality: 4 MB become some 40 KB. Where that fails, or gains nothing, the photo goes as it is. */
export async function shrink(signal: AbortSignal, image: Blob, model: Preparation): Promise<Shrunk | undefined> {
  if (image.size < worthwhileBytes || typeof Worker === 'undefined') return undefined;
  const start = performance.now();
  try {
    const smaller = await shrinkPhoto(signal, image, model);
    const ms = performance.now() - start;
    noteShrinking(image.size, ms);
    return smaller && smaller.size < image.size * 0.8 ? { image: smaller, ms } : undefined;
  } catch (error) {
    if (isAbort(error)) throw error;
    return undefined;
  }
}
