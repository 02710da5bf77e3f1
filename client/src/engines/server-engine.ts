import { accessKey } from './access';
import type { components } from './api';
import { formatOf } from './decode';
import type { Classification, ClassifyOptions, Engine, StageTime } from './engine';
import { EngineError } from './engine';
import { errorFrom, serverUrl } from './server-api';
import { isTooSlow, noteUpload, roundTripMs, worthShrinking } from './link';
import { shrink } from './shrink';
import type { Shrunk } from './shrink';
import { divideRoundTrip, parseServerTiming, sumOf } from './timing';

/** The model on the server, by HTTP: the photo goes up, the labels come back with the stages that the server measured. */
export class ServerEngine implements Engine {
  readonly id = 'server';
  /** The server's limit for one file; larger ones are not even sent. */
  maxUploadBytes = Infinity;

  async classify(signal: AbortSignal, image: Blob, options: ClassifyOptions): Promise<Classification> {
    const { shrinkFor } = options;
    if (!shrinkFor) return this.ask(signal, image, options);
    const smaller = () => shrink(signal, image, shrinkFor);
    // Few servers read what iPhones write, and what reads it here makes a JPEG of it.
    const isHeic = image.type.startsWith('image/hei');
    if (isHeic || worthShrinking(image.size) || image.size > this.maxUploadBytes) return this.ask(signal, image, options, await smaller());
    const start = performance.now();
    let triedMs = 0;
    try {
      return await this.ask(signal, image, options, undefined, (sent) => {
        triedMs = performance.now() - start;
        const tooSlow = isTooSlow(image.size, sent, triedMs, roundTripMs());
        if (tooSlow) noteUpload(sent, triedMs, roundTripMs());
        return tooSlow;
      });
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
    }
    const result = await this.ask(signal, image, options, await smaller());
    const timing: StageTime[] = [{ stage: 'try', place: 'network', ms: triedMs }, ...result.timing];
    return { ...result, timing, totalMs: sumOf(timing) };
  }

  private async ask(signal: AbortSignal, image: Blob, options: ClassifyOptions, shrunk?: Shrunk, isTooSlow?: (sent: number) => boolean): Promise<Classification> {
    const sent = shrunk?.image ?? image;
    const { maxUploadBytes: limit } = this;
    if (sent.size > limit) {
      const detail = `The file has ${sent.size.toLocaleString('en')} bytes; the limit is ${limit.toLocaleString('en')}.`;
      throw new EngineError('too-large', detail, undefined, { code: 'file-too-large', detail, parameters: { bytes: sent.size, limit } });
    }

    const { response, marks } = await send(signal, sent, options, isTooSlow).catch(async (error: unknown) => {
      const heic = error instanceof EngineError && error.code === 'not-an-image' && (await formatOf(sent)) === 'heic';
      throw heic ? new EngineError('heic', error.detail, undefined, error.said) : error;
    });
    const answer = JSON.parse(response.body) as components['schemas']['PredictionResponse'];
    const timing = divideRoundTrip(marks, parseServerTiming(response.serverTiming));
    noteUpload(sent.size, sumOf(timing.filter(({ stage }) => stage === 'upload' || stage === 'network')), roundTripMs());
    if (shrunk) timing.unshift({ stage: 'shrink', place: 'device', ms: shrunk.ms });
    return { engine: this.id, ...answer, timing, totalMs: sumOf(timing), ...(shrunk && { shrunk: { from: image.size, to: sent.size } }) };
  }
}

/** The link is slower than it was thought to be. */
class TooSlow extends Error {}

/** What the browser itself took before the first byte left: reading the photo, finding a connection; not what opening one took. */
function ownMs(url: string, since: number): number {
  const entry = performance.getEntriesByName(url, 'resource').at(-1) as PerformanceResourceTiming | undefined;
  if (!entry || entry.startTime < since || entry.requestStart === 0) return 0;
  return entry.requestStart - since - (entry.connectEnd - entry.domainLookupStart);
}

/** XMLHttpRequest and not fetch: only it says when the upload ended, and how far it is. */
function send(signal: AbortSignal, image: Blob, { model, topK, explain, onProgress }: ClassifyOptions, isTooSlow?: (sent: number) => boolean) {
  const query = new URLSearchParams({ model, topK: String(topK), ...(explain && { explain: 'true' }) });
  return new Promise<{ response: { body: string; serverTiming: string | null }; marks: Parameters<typeof divideRoundTrip>[0] }>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const marks = { start: 0, sent: 0, uploaded: 0, headers: 0, end: 0 };
    signal.addEventListener('abort', abort, { once: true });

    request.open('POST', serverUrl(`/predict?${query}`));
    request.setRequestHeader('content-type', image.type || 'application/octet-stream');
    request.setRequestHeader('accept', 'application/json');
    if (accessKey()) request.setRequestHeader('authorization', `Bearer ${accessKey()}`);
    request.upload.onprogress = ({ loaded, total }) => {
      onProgress?.({ step: 'upload', loaded, total });
      if (!isTooSlow?.(loaded)) return;
      reject(new TooSlow());
      request.abort();
    };
    request.upload.onload = () => (marks.uploaded = performance.now());
    request.onreadystatechange = () => {
      if (request.readyState === XMLHttpRequest.HEADERS_RECEIVED) marks.headers = performance.now();
    };
    request.onload = () => {
      marks.end = performance.now();
      marks.sent = marks.start + ownMs(request.responseURL, marks.start);
      if (request.status === 200) resolve({ response: { body: request.responseText, serverTiming: request.getResponseHeader('server-timing') }, marks });
      else reject(errorFrom(request.status, request.responseText, request.getResponseHeader('retry-after')));
    };
    request.onerror = () => reject(new EngineError('offline'));
    request.onabort = () => reject(new DOMException('The request was cancelled.', 'AbortError'));
    request.onloadend = () => signal.removeEventListener('abort', abort);

    marks.start = performance.now();
    request.send(image);
  });
}
