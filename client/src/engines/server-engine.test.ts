import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { rememberKey } from './access';
import type { EngineError } from './engine';
import { noteUpload } from './link';
import type { Preparation } from './manifest';
import { shrinkPhoto } from './photo-desk';
import { ServerEngine } from './server-engine';
import { sumOf } from './timing';

vi.mock('./photo-desk', () => ({ shrinkPhoto: vi.fn() }));

/** A request whose answer the test decides. */
class FakeRequest {
  static readonly HEADERS_RECEIVED = 2;
  static last: FakeRequest;
  upload: { onprogress?: (event: object) => void; onload?: () => void } = {};
  onreadystatechange?: () => void;
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;
  readyState = 0;
  status = 0;
  responseText = '';
  sent?: { method: string; url: string; headers: Record<string, string>; body: Blob };
  private answerHeaders: Record<string, string> = {};
  private line = { method: '', url: '', headers: {} as Record<string, string> };

  constructor() {
    FakeRequest.last = this;
  }
  open(method: string, url: string) {
    this.line = { ...this.line, method, url };
  }
  setRequestHeader(name: string, value: string) {
    this.line.headers[name] = value;
  }
  getResponseHeader(name: string) {
    return this.answerHeaders[name] ?? null;
  }
  send(body: Blob) {
    this.sent = { ...this.line, body };
  }
  abort() {
    this.onabort?.();
    this.onloadend?.();
  }
  answer(status: number, body: object | string, headers: Record<string, string> = {}) {
    this.status = status;
    this.answerHeaders = headers;
    this.responseText = typeof body === 'string' ? body : JSON.stringify(body);
    this.readyState = 2;
    this.onreadystatechange?.();
    this.onload?.();
    this.onloadend?.();
  }
}

const body = { model: 'grocery', version: '1', variant: 'fp32', predictions: [{ label: 'Lemon', index: 8, confidence: 0.97 }], abstained: false, image: { width: 4, height: 3, format: 'jpeg', bytes: 5 } };
const options = { model: 'grocery', topK: 5, explain: true };
const preparation = { preprocessing: { crop: 'none', resample: 'pil-bilinear' }, input: { width: 224, height: 224 } } as Preparation;
const photo = new Blob(['photo'], { type: 'image/jpeg' });

let now = 0;
beforeEach(() => {
  now = 0;
  vi.stubGlobal('XMLHttpRequest', FakeRequest);
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function failure(status: number, problem: object | string, headers?: Record<string, string>, image = photo): Promise<EngineError> {
  const result = new ServerEngine().classify(new AbortController().signal, image, options);
  await Promise.resolve();
  FakeRequest.last.answer(status, problem, headers);
  return (await result.catch((error: unknown) => error)) as EngineError;
}

describe('The server engine', () => {
  test('sends the photo as it is and divides the round trip', async () => {
    const result = new ServerEngine().classify(new AbortController().signal, photo, options);
    await Promise.resolve();
    const request = FakeRequest.last;
    expect(request.sent).toMatchObject({ method: 'POST', url: '/predict?model=grocery&topK=5&explain=true', headers: { 'content-type': 'image/jpeg' } });
    expect(request.sent?.body).toBe(photo);
    now = 10;
    request.upload.onload?.();
    now = 40;
    request.answer(200, body, { 'server-timing': 'decode;dur=2, preprocess;dur=1, queue;dur=0, compute;dur=5, total;dur=9' });
    const { engine, predictions, timing, totalMs } = await result;
    expect(engine).toBe('server');
    expect(predictions).toEqual(body.predictions);
    expect(totalMs).toBe(40);
    expect(sumOf(timing)).toBe(40);
    expect(timing.find(({ stage }) => stage === 'upload')?.ms).toBe(10);
    expect(timing.find(({ stage }) => stage === 'compute')?.ms).toBe(5);
  });

  test('sends the key that the visitor gave, on every request', async () => {
    rememberKey('secret-1');
    try {
      void new ServerEngine().classify(new AbortController().signal, photo, options);
      await Promise.resolve();
      expect(FakeRequest.last.sent?.headers.authorization).toBe('Bearer secret-1');
    } finally {
      rememberKey('');
    }
  });

  test('does not send what the server would refuse for its size', async () => {
    const server = new ServerEngine();
    server.maxUploadBytes = 4;
    await expect(server.classify(new AbortController().signal, photo, options)).rejects.toMatchObject({ code: 'too-large', detail: 'The file has 5 bytes; the limit is 4.' });
  });

  test('makes a photo smaller after all that would be on its way for too long, and tells that time, too', async () => {
    noteUpload(4_000_000, 1, 0);
    vi.stubGlobal('Worker', class {});
    const small = new Blob(['small'], { type: 'image/jpeg' });
    vi.mocked(shrinkPhoto).mockImplementation(() => {
      now += 30;
      return Promise.resolve(small);
    });
    const large = new Blob([new Uint8Array(4_000_000)], { type: 'image/jpeg' });
    const result = new ServerEngine().classify(new AbortController().signal, large, { ...options, shrinkFor: preparation });
    const first = FakeRequest.last;
    expect(first.sent?.body).toBe(large);
    now = 100;
    first.upload.onprogress?.({ loaded: 20_000, total: large.size });
    await vi.waitFor(() => expect(FakeRequest.last).not.toBe(first));
    expect(FakeRequest.last.sent?.body).toBe(small);
    now += 40;
    FakeRequest.last.answer(200, body);
    const { timing, totalMs, shrunk } = await result;
    expect(shrunk).toEqual({ from: 4_000_000, to: 5 });
    expect(timing.slice(0, 2)).toEqual([{ stage: 'try', place: 'network', ms: 100 }, { stage: 'shrink', place: 'device', ms: 30 }]);
    expect([totalMs, sumOf(timing)]).toEqual([170, 170]);
  });

  test('makes a JPEG of HEIC on any link', async () => {
    vi.stubGlobal('Worker', class {});
    vi.mocked(shrinkPhoto).mockResolvedValue(new Blob(['small']));
    noteUpload(4_000_000, 1, 0);
    const before = FakeRequest.last;
    void new ServerEngine().classify(new AbortController().signal, new Blob([new Uint8Array(4_000_000)], { type: 'image/heic' }), { ...options, shrinkFor: preparation });
    await vi.waitFor(() => expect(FakeRequest.last).not.toBe(before));
    expect(FakeRequest.last.sent?.body.size).toBe(5);
  });

  test('makes what is larger than the server takes smaller on any link', async () => {
    vi.stubGlobal('Worker', class {});
    vi.mocked(shrinkPhoto).mockResolvedValue(new Blob(['small']));
    noteUpload(4_000_000, 1, 0);
    const server = new ServerEngine();
    server.maxUploadBytes = 1_000_000;
    const before = FakeRequest.last;
    void server.classify(new AbortController().signal, new Blob([new Uint8Array(4_000_000)]), { ...options, shrinkFor: preparation });
    await vi.waitFor(() => expect(FakeRequest.last).not.toBe(before));
    expect(FakeRequest.last.sent?.body.size).toBe(5);
  });

  test('can be cancelled', async () => {
    const controller = new AbortController();
    const result = new ServerEngine().classify(controller.signal, photo, options);
    await Promise.resolve();
    controller.abort();
    await expect(result).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('What the server refuses becomes one word of the page', () => {
  test.each([
    [400, 'bad-request'], [401, 'key-needed'], [404, 'model-missing'], [413, 'too-large'], [415, 'not-an-image'], [422, 'not-an-image'], [429, 'busy'], [500, 'server-failed'], [502, 'offline'], [503, 'busy'], [504, 'timeout'],
  ])('%i is %s', async (status, code) => {
    expect(await failure(status, { title: 'No', status, detail: 'The server’s own sentence.' })).toMatchObject({ code, detail: 'The server’s own sentence.' });
  });

  test('HEIC has its own, because its owner can do something about it', async () => {
    const heic = new Blob([new Uint8Array([0, 0, 0, 16]), 'ftypheic', new Uint8Array(4)]);
    expect(await failure(415, { code: 'unsupported-image', detail: 'No.' }, {}, heic)).toMatchObject({ code: 'heic', said: { code: 'unsupported-image', parameters: {} } });
    expect(await failure(415, { code: 'unsupported-image', detail: 'HEIC is not read.' })).toMatchObject({ code: 'not-an-image' });
  });

  test('how long to wait is passed on', async () => {
    expect(await failure(503, {}, { 'retry-after': '2' })).toMatchObject({ code: 'busy', retryAfterSeconds: 2 });
  });

  test('a page of HTML from something in between is no sentence', async () => {
    expect(await failure(502, '<html>Bad gateway</html>')).toMatchObject({ code: 'offline', detail: undefined });
  });
});
