/// <reference lib="webworker" />
import type { Picture } from './decode';
import { decode, pixelsOf } from './decode';
import { asEngineError } from './engine';
import type { StageTime } from './engine';
import { mayReduceTo, shrunkSize } from './geometry';
import type { Prepared, FromPhotoWorker, ToPhotoWorker } from './photo-desk';
import { preprocess } from './preprocess';

/** What making a photo smaller for the server has left to this device's own engine, which takes it away: no photo is decoded twice, and none is kept for nobody. */
let left: { key: string; picture: Picture; ms: number } | undefined;
/** One after the other: two large photos at once may be more memory than there is. */
let turn: Promise<unknown> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<ToPhotoWorker>) => {
  const say = (message: FromPhotoWorker, transfer: Transferable[] = []) => self.postMessage(message, transfer);
  turn = turn.then(async () => {
    try {
      if (data.type === 'shrink') say({ id: data.id, answer: await shrink(data) });
      else {
        const prepared = await prepare(data);
        say({ id: data.id, answer: prepared }, [prepared.tensor.buffer as ArrayBuffer]);
      }
    } catch (error) {
      const { code, detail } = asEngineError(error);
      say({ id: data.id, code, ...(detail && { detail }) });
    }
  });
};

async function open({ image, model: { preprocessing, input } }: ToPhotoWorker): Promise<{ picture: Picture; ms: number }> {
  left?.picture.source.close();
  left = undefined;
  const start = performance.now();
  const picture = await decode(image, mayReduceTo(preprocessing, input));
  return { picture, ms: performance.now() - start };
}

/** Twice the model's side is enough for the server's resizer to average; what was decoded smaller than that has its margin already. */
async function shrink(request: ToPhotoWorker): Promise<Blob | undefined> {
  const { picture, ms } = await open(request);
  left = { key: request.key, picture, ms };
  const { source, width, height, image, mended } = picture;
  // The server shall see, and say, what is wrong with it.
  if (mended) return undefined;
  const { input } = request.model;
  const size = shrunkSize(width, height, 2 * Math.max(input.width, input.height)) ?? { width, height };
  if (size.width >= 0.9 * image.width) return undefined;
  const small = await createImageBitmap(source, { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: 'high' });
  const context = new OffscreenCanvas(size.width, size.height).getContext('2d');
  if (!context) return undefined;
  // JPEG knows no alpha; the server lays it on white, and so must we.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  context.drawImage(small, 0, 0);
  small.close();
  return context.canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}

async function prepare(request: ToPhotoWorker): Promise<Prepared> {
  const known = left?.key === request.key ? left : undefined;
  if (known) left = undefined;
  const { picture, ms } = known ?? (await open(request));
  const start = performance.now();
  const pixels = pixelsOf(picture);
  const drawn = performance.now();
  const tensor = preprocess(pixels, request.model);
  const timing: StageTime[] = [
    { stage: 'decode', place: 'device', ms: ms + drawn - start },
    { stage: 'preprocess', place: 'device', ms: performance.now() - drawn },
  ];
  return { tensor, image: picture.image, timing, earlierMs: known?.ms ?? 0 };
}
