/// <reference lib="webworker" />
import { shrunkSize } from './shrink';
import type { ShrinkAnswer, ShrinkRequest } from './shrink';

self.onmessage = ({ data }: MessageEvent<ShrinkRequest>) => {
  const answer = (image?: Blob) => self.postMessage({ id: data.id, ...(image && { image }) } satisfies ShrinkAnswer);
  void shrinkNow(data).then(answer, () => answer());
};

async function shrinkNow({ image, shortSide }: ShrinkRequest): Promise<Blob | undefined> {
  const full = await createImageBitmap(image, { imageOrientation: 'from-image' });
  const size = shrunkSize(full.width, full.height, shortSide);
  if (!size) {
    full.close();
    return undefined;
  }
  const small = await createImageBitmap(full, { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: 'high' });
  full.close();
  const canvas = new OffscreenCanvas(size.width, size.height);
  const context = canvas.getContext('2d');
  if (!context) return undefined;
  // JPEG knows no alpha; the server lays it on white, and so must we.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  context.drawImage(small, 0, 0);
  small.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}
