/// <reference lib="webworker" />
import { decodeReduced } from './reduce';
import { shrunkSize } from './shrink';
import type { ShrinkAnswer, ShrinkRequest } from './shrink';

self.onmessage = ({ data }: MessageEvent<ShrinkRequest>) => {
  const answer = (image?: Blob) => self.postMessage({ id: data.id, ...(image && { image }) } satisfies ShrinkAnswer);
  void shrinkNow(data).then(answer, () => answer());
};

async function shrinkNow({ image, shortSide }: ShrinkRequest): Promise<Blob | undefined> {
  const reduced = await decodeReduced(image, (width, height) => Math.min(width, height) >= shortSide);
  const full = reduced?.frame ?? (await createImageBitmap(image, { imageOrientation: 'from-image' }));
  try {
    const { width, height } = reduced ?? (full as ImageBitmap);
    const size = shrunkSize(width, height, shortSide);
    if (!size) return undefined;
    const small = await createImageBitmap(full, { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: 'high' });
    const context = new OffscreenCanvas(size.width, size.height).getContext('2d');
    if (!context) return undefined;
    // JPEG knows no alpha; the server lays it on white, and so must we.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, size.width, size.height);
    context.drawImage(small, 0, 0);
    small.close();
    return await context.canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
  } finally {
    full.close();
  }
}
