import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BrowserEngine, threadsFor, variantFor } from './browser-engine';
import type { FromWorker, ToWorker } from './browser-engine';
import type { EngineError } from './engine';
import { sumOf } from './timing';
import type { Manifest } from './server-api';

/** A worker whose answers the test decides. */
class FakeWorker {
  static all: FakeWorker[] = [];
  onmessage: ((event: { data: FromWorker }) => void) | null = null;
  onerror: ((event: { message: string }) => void) | null = null;
  onmessageerror: (() => void) | null = null;
  asked: ToWorker[] = [];
  terminated = false;

  constructor() {
    FakeWorker.all.push(this);
  }
  postMessage(message: ToWorker) {
    this.asked.push(message);
  }
  terminate() {
    this.terminated = true;
  }
  say(message: FromWorker) {
    this.onmessage?.({ data: message });
  }
  get id() {
    return this.asked.at(-1)?.id ?? 0;
  }
}

const manifest = { name: 'grocery', version: '1', files: { fp32: { file: 'model.onnx', bytes: 8, sha256: 'a' }, fp16: { file: 'half.onnx', bytes: 4, sha256: 'b' } } } as Manifest;
const answer = (ms: number): FromWorker & { type: 'done' } => ({
  type: 'done',
  id: 0,
  answer: {
    model: 'grocery', version: '1', variant: 'fp16', accelerator: 'test', abstained: false, image: { width: 1, height: 1, format: 'png', bytes: 1 },
    predictions: [{ label: 'Lemon', index: 8, confidence: 1 }], timing: [{ stage: 'compute', place: 'device', ms }],
  },
});
const options = { model: 'grocery', topK: 5, explain: false };

function engine(of: (name: string) => Manifest = () => manifest) {
  return new BrowserEngine((name) => Promise.resolve({ manifest: of(name), classes: [] }), () => new FakeWorker() as unknown as Worker, { threads: 2, runtime: 'auto' });
}
/** Lets promises that are settled already have their say. */
const settle = () => vi.advanceTimersByTimeAsync(0);
const only = (at = 0) => FakeWorker.all[at]!;

beforeEach(() => {
  vi.useFakeTimers();
  FakeWorker.all = [];
});
afterEach(() => {
  vi.useRealTimers();
});

describe('The browser engine', () => {
  test('starts its worker with the first photo and keeps it', async () => {
    const device = engine();
    expect(FakeWorker.all).toHaveLength(0);
    for (let run = 0; run < 2; run++) {
      const result = device.classify(new AbortController().signal, new Blob(), options);
      await settle();
      only().say({ ...answer(3), id: only().id });
      expect((await result).predictions[0]?.label).toBe('Lemon');
    }
    expect(FakeWorker.all).toHaveLength(1);
  });

  test('asks for the 16-bit weights', async () => {
    void engine().classify(new AbortController().signal, new Blob(), options);
    await settle();
    expect(only().asked[0]).toMatchObject({ variant: 'fp16', threads: 2 });
  });

  test('names the time that no stage claims, so that the stages add up', async () => {
    const result = engine().classify(new AbortController().signal, new Blob(), options);
    await settle();
    await vi.advanceTimersByTimeAsync(10);
    only().say({ ...answer(3), id: only().id });
    const { timing, totalMs } = await result;
    expect(totalMs).toBe(10);
    expect(sumOf(timing)).toBe(10);
  });

  test('does not count what was fetched first as part of the run', async () => {
    const seen: string[] = [];
    const result = engine().classify(new AbortController().signal, new Blob(), { ...options, onProgress: ({ step }) => seen.push(step) });
    await settle();
    await vi.advanceTimersByTimeAsync(500);
    only().say({ type: 'progress', id: only().id, progress: { step: 'model', loaded: 1, total: 4 } });
    await vi.advanceTimersByTimeAsync(500);
    only().say({ ...answer(3), id: only().id });
    expect((await result).totalMs).toBe(3);
    expect(seen).toEqual(['model']);
  });

  test('runs one photo after another', async () => {
    const device = engine();
    const first = device.classify(new AbortController().signal, new Blob(), options);
    const second = device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    expect(only().asked).toHaveLength(1);
    only().say({ ...answer(1), id: only().id });
    await first;
    await settle();
    expect(only().asked).toHaveLength(2);
    only().say({ ...answer(1), id: only().id });
    await second;
  });

  test('gives another model another worker', async () => {
    const device = engine((name) => ({ ...manifest, name }));
    for (const model of ['grocery', 'flowers']) {
      const result = device.classify(new AbortController().signal, new Blob(), { ...options, model });
      await settle();
      only(FakeWorker.all.length - 1).say({ ...answer(1), id: only(FakeWorker.all.length - 1).id });
      await result;
    }
    expect(FakeWorker.all).toHaveLength(2);
    expect(only(0).terminated).toBe(true);
  });
});

describe('A run that is cancelled', () => {
  test('ends when the worker says so, and the worker lives on', async () => {
    const controller = new AbortController();
    const result = engine().classify(controller.signal, new Blob(), options);
    await settle();
    controller.abort();
    expect(only().asked.at(-1)?.type).toBe('cancel');
    only().say({ type: 'failed', id: only().id, code: 'cancelled' });
    await expect(result).rejects.toThrow('cancelled');
    expect(only().terminated).toBe(false);
  });

  test('takes a worker that does not listen with it', async () => {
    const device = engine();
    const controller = new AbortController();
    const result = device.classify(controller.signal, new Blob(), options);
    const rejected = expect(result).rejects.toMatchObject({ name: 'AbortError' });
    await settle();
    controller.abort();
    await vi.advanceTimersByTimeAsync(2000);
    await rejected;
    expect(only().terminated).toBe(true);

    const next = device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    only(1).say({ ...answer(1), id: only(1).id });
    await next;
  });

  test('before it began never reaches a worker', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(engine().classify(controller.signal, new Blob(), options)).rejects.toMatchObject({ name: 'AbortError' });
    expect(FakeWorker.all).toHaveLength(0);
  });
});

describe('A worker', () => {
  test('that is silent for too long is ended', async () => {
    const result = engine().classify(new AbortController().signal, new Blob(), options);
    const rejected = expect(result).rejects.toMatchObject({ code: 'engine-failed' });
    await settle();
    await vi.advanceTimersByTimeAsync(31_000);
    await rejected;
    expect(only().terminated).toBe(true);
  });

  test('that reports progress is not silent', async () => {
    const result = engine().classify(new AbortController().signal, new Blob(), options);
    await settle();
    for (let at = 0; at < 4; at++) {
      await vi.advanceTimersByTimeAsync(20_000);
      only().say({ type: 'progress', id: only().id, progress: { step: 'model', loaded: at, total: 4 } });
    }
    only().say({ ...answer(1), id: only().id });
    await result;
  });

  test('that breaks is replaced; one that only refuses a file is not', async () => {
    const device = engine();
    const refused = device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    only().say({ type: 'failed', id: only().id, code: 'not-an-image' });
    expect(((await refused.catch((error: unknown) => error)) as EngineError).code).toBe('not-an-image');
    expect(only().terminated).toBe(false);

    const broken = device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    only().onerror?.({ message: 'out of memory' });
    expect(((await broken.catch((error: unknown) => error)) as EngineError).detail).toBe('out of memory');
    expect(only().terminated).toBe(true);
  });
});

test('A model without floating-point weights runs only on the server', () => {
  expect(() => variantFor({ ...manifest, files: { int8: { file: 'x', bytes: 1, sha256: 'c' } } })).toThrow('model-unsupported');
});

test('Threads need cross-origin isolation, and leave cores to the page', () => {
  expect([1, 2, 4, 8, 32].map((cores) => threadsFor(cores, true))).toEqual([1, 2, 2, 4, 4]);
  expect(threadsFor(8, false)).toBe(1);
  expect(threadsFor(undefined, true)).toBe(1);
});
