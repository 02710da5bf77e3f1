import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { candidatesFor, nameOf, threadsFor } from './accelerator';
import type { Accelerator, Backend } from './accelerator';
import { BrowserEngine } from './browser-engine';
import type { BrowserAnswer, FromWorker, ToWorker } from './browser-engine';
import { isBetter } from './calibration';
import type { EngineError } from './engine';
import type { Prepared } from './photo-desk';
import type { RuntimeId } from './runtime';
import { onceMs, sumOf } from './timing';
import type { Manifest } from './server-api';
import { variantFor } from './variant';

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
const answer = (ms: number): FromWorker & { answer: BrowserAnswer } => ({
  type: 'done',
  id: 0,
  answer: {
    model: 'grocery', version: '1', variant: 'fp16', accelerator: 'test', abstained: false,
    predictions: [{ label: 'Lemon', index: 8, confidence: 1 }], timing: [{ stage: 'compute', place: 'device', ms }], fetched: [],
  },
});
const options = { model: 'grocery', topK: 5, explain: false };

const twoThreads: Accelerator = { backend: 'wasm', threads: 2 };

const newWorker = () => new FakeWorker() as unknown as Worker;
/** What the photo's own worker would hand over. */
const prepared = (earlierMs = 0): Prepared => ({ tensor: new Uint8Array(3), image: { width: 1, height: 1, format: 'png', bytes: 1 }, timing: earlierMs > 0 ? [{ stage: 'decode', place: 'device', ms: earlierMs }] : [], earlierMs });
const prepare = () => Promise.resolve(prepared());
function engine(of: (name: string) => Manifest = () => manifest) {
  return new BrowserEngine((name) => Promise.resolve({ manifest: of(name), classes: [] }), { accelerator: twoThreads, runtime: 'tensorflow' }, newWorker, undefined, prepare);
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
    expect(only().asked[0]).toMatchObject({ variant: 'fp16', accelerator: twoThreads });
  });

  test('asks for the embedding as it is, and holds another worker for labels', async () => {
    const device = engine(() => ({ ...manifest, output: { name: 'probabilities', kind: 'probabilities', embedding: 'pooled', features: 'map' }, abstain: { threshold: 0.5 } }));
    const embedding = device.embed(new AbortController().signal, new Blob(), 'grocery');
    await settle();
    expect(only().asked[0]).toMatchObject({ raw: true, manifest: { output: { name: 'pooled' }, abstain: null } });
    const given = answer(3);
    given.answer.scores = Float32Array.of(1, 2);
    only().say({ ...given, id: only().id });
    expect([...(await embedding)]).toEqual([1, 2]);
    void device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    expect(only().terminated).toBe(true);
    expect(only(1).asked[0]).toMatchObject({ raw: false, manifest: { output: { name: 'probabilities' } } });
  });

  test('refuses a model without an embedding by its name', async () => {
    const device = engine(() => ({ ...manifest, output: { name: 'probabilities', kind: 'probabilities' } }));
    await expect(device.embed(new AbortController().signal, new Blob(), 'grocery')).rejects.toMatchObject({ code: 'model-unsupported', detail: "The model 'grocery' has no embedding." });
    expect(FakeWorker.all).toHaveLength(0);
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

  test('counts what was decoded for the other engine as its own, too', async () => {
    const device = new BrowserEngine(() => Promise.resolve({ manifest, classes: [] }), { accelerator: twoThreads, runtime: 'tensorflow' }, newWorker, undefined, () => Promise.resolve(prepared(75)));
    const result = device.classify(new AbortController().signal, new Blob(), options);
    await settle();
    await vi.advanceTimersByTimeAsync(10);
    only().say({ ...answer(3), id: only().id });
    const { timing, totalMs } = await result;
    expect(timing).toContainEqual({ stage: 'decode', place: 'device', ms: 75 });
    expect(totalMs).toBe(85);
    expect(sumOf(timing)).toBe(85);
  });

  test('counts what was fetched and prepared first as stages of the run that waited for it', async () => {
    const seen: string[] = [];
    const result = engine().classify(new AbortController().signal, new Blob(), { ...options, onProgress: ({ step }) => seen.push(step) });
    await settle();
    await vi.advanceTimersByTimeAsync(500);
    only().say({ type: 'progress', id: only().id, progress: { step: 'model', loaded: 1, total: 4 } });
    await vi.advanceTimersByTimeAsync(500);
    const first = answer(3);
    first.answer.timing.unshift({ stage: 'fetch', place: 'network', ms: 900 }, { stage: 'prepare', place: 'device', ms: 80 });
    only().say({ ...first, id: only().id });
    const { timing, totalMs } = await result;
    expect(totalMs).toBe(1000);
    expect(sumOf(timing)).toBe(1000);
    expect(onceMs(timing)).toBe(980);
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

describe('The accelerator', () => {
  /** How long each takes, what it answers instead of 0.97, or why it does not. */
  type Device = Record<string, number | { ms: number; confidence: number } | { fails: 'engine-failed' | 'download-failed' } | 'never answers'>;
  let device: Device;
  let storage: Map<string, string>;
  const memory = () => JSON.parse(storage.get('whatsit.accelerator') ?? '{}') as { choice?: { accelerator: Accelerator; candidates: string[]; trials: { name: string }[] }; failed?: Backend[] };
  /** What the newest worker that still lives was asked to run last. */
  const used = () => {
    const last = FakeWorker.all.filter(({ terminated }) => !terminated).at(-1)?.asked.at(-1);
    return last?.type === 'classify' ? nameOf(last.accelerator) : undefined;
  };
  const ran = (name: string) => FakeWorker.all.filter(({ asked }) => asked.some((message) => message.type === 'classify' && nameOf(message.accelerator) === name)).length;

  /** Opens the page anew on this device: what is remembered counts, and the browser's own facts. */
  const open = () => new BrowserEngine(() => Promise.resolve({ manifest, classes: [] }), undefined, newWorker, undefined, prepare);
  async function classifyAndRest(browser: BrowserEngine) {
    const result = await browser.classify(new AbortController().signal, new Blob(), options);
    await vi.advanceTimersByTimeAsync(2_000);
    return result;
  }
  const calibrate = (on: Device) => {
    device = on;
    return classifyAndRest(open());
  };

  beforeEach(() => {
    storage = new Map();
    vi.stubGlobal('localStorage', { getItem: (key: string) => storage.get(key) ?? null, setItem: (key: string, value: string) => storage.set(key, value) });
    vi.stubGlobal('location', { search: '' });
    vi.stubGlobal('crossOriginIsolated', true);
    vi.stubGlobal('navigator', { hardwareConcurrency: 2, userAgent: 'Browser 1' });
    vi.spyOn(FakeWorker.prototype, 'postMessage').mockImplementation(function (this: FakeWorker, message: ToWorker) {
      this.asked.push(message);
      if (message.type === 'cancel') return;
      const backends = (['wasm', 'webgl', 'webgpu'] as const).filter((backend) => backend === 'wasm' || nameOf({ backend, threads: 1 }) in device);
      const say = (answered: FromWorker) => void Promise.resolve().then(() => this.say(answered));
      if (message.type === 'backends') return device.backends === 'never answers' ? undefined : say({ type: 'done', id: message.id, answer: backends });
      const behaviour = device[nameOf(message.accelerator)]!;
      if (behaviour === 'never answers') return;
      if (typeof behaviour === 'object' && 'fails' in behaviour) return say({ type: 'failed', id: message.id, code: behaviour.fails });
      const { ms, confidence } = typeof behaviour === 'number' ? { ms: behaviour, confidence: 0.97 } : behaviour;
      say({ type: 'done', id: message.id, answer: { ...answer(ms).answer, accelerator: nameOf(message.accelerator), predictions: [{ label: 'Lemon', index: 8, confidence }] } });
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  test.each<[Device, string]>([
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11 }, 'WebAssembly × 2'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 19 }, 'WebAssembly × 1'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 60 }, 'WebAssembly × 1'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 4 }, 'WebGL'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 10 }, 'WebAssembly × 2'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 8, WebGPU: 3 }, 'WebGPU'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 4, WebGPU: 3.9 }, 'WebGL'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: { ms: 4, confidence: 0.9 } }, 'WebAssembly × 2'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: { ms: 4, confidence: NaN } }, 'WebAssembly × 2'],
    [{ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: { fails: 'engine-failed' }, WebGPU: 3 }, 'WebGPU'],
  ])('of a device with %o is %s, answers the next photo, and is remembered', async (on, chosen) => {
    device = on;
    const browser = open();
    await classifyAndRest(browser);
    const before = FakeWorker.all.length;
    await classifyAndRest(browser);
    expect(used()).toBe(chosen);
    // The winner's worker is kept; nothing is loaded again.
    expect(FakeWorker.all).toHaveLength(before);
    expect(FakeWorker.all.filter(({ terminated }) => !terminated)).toHaveLength(1);

    FakeWorker.all = [];
    await classifyAndRest(open());
    expect(used() ?? nameOf(memory().choice!.accelerator)).toBe(chosen);
    expect(FakeWorker.all).toHaveLength(1);
  });

  test('is not searched for where there is one', async () => {
    vi.stubGlobal('crossOriginIsolated', false);
    await calibrate({ 'WebAssembly × 1': 20 });
    expect(FakeWorker.all).toHaveLength(1);
    expect(memory()).toEqual({});
  });

  test('is not searched for while somebody waits', async () => {
    device = { 'WebAssembly × 1': 20, 'WebAssembly × 2': 11 };
    const browser = open();
    for (let photo = 0; photo < 3; photo++) await browser.classify(new AbortController().signal, new Blob(), options);
    expect(memory()).toEqual({});
    await vi.advanceTimersByTimeAsync(2_000);
    expect(memory().choice).toBeDefined();
  });

  test('is no longer tried once somebody comes, who does not wait for it', async () => {
    device = { 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 'never answers' };
    const browser = open();
    await classifyAndRest(browser);
    const trial = FakeWorker.all.at(-1)!;
    expect([trial.terminated, ran('WebGL')]).toEqual([false, 1]);
    const result = browser.classify(new AbortController().signal, new Blob(), options);
    await settle();
    expect(trial.terminated).toBe(true);
    expect((await result).accelerator).toBe('WebAssembly × 2');
    expect(memory()).toEqual({});
  });

  test('is no longer asked for once somebody comes, whom the worker with the model answers', async () => {
    device = { 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, backends: 'never answers' };
    const browser = open();
    await classifyAndRest(browser);
    expect(only().asked.at(-1)?.type).toBe('backends');
    const result = browser.classify(new AbortController().signal, new Blob(), options);
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await result).accelerator).toBe('WebAssembly × 2');
    expect(FakeWorker.all).toHaveLength(1);
  });

  test('that is silent for too long is no candidate', async () => {
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 'never answers', WebGPU: 4 });
    await vi.advanceTimersByTimeAsync(31_000);
    expect(memory().choice).toMatchObject({ accelerator: { backend: 'webgpu' }, candidates: ['WebAssembly × 1', 'WebAssembly × 2', 'WebGL', 'WebGPU'] });
  });

  test('that is hopelessly slow is not tried to the end', async () => {
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 900 });
    expect(FakeWorker.all.find(({ asked }) => asked.some((message) => message.type === 'classify' && message.accelerator.backend === 'webgl'))!.asked).toHaveLength(3);
  });

  test('must give the same best label', () => {
    const trial = (ms: number, index: number) => ({ accelerator: twoThreads, computeMs: [ms], predictions: [{ label: '', index, confidence: 0.5 }, { label: '', index: 1 - index, confidence: 0.5 }] });
    expect(isBetter(trial(1, 0), trial(20, 0), trial(20, 0))).toBe(true);
    expect(isBetter(trial(1, 1), trial(20, 0), trial(20, 0))).toBe(false);
  });

  test.each<[string, () => void]>([
    ['another browser', () => vi.stubGlobal('navigator', { hardwareConcurrency: 2, userAgent: 'Browser 2' })],
    ['another number of cores', () => vi.stubGlobal('navigator', { hardwareConcurrency: 4, userAgent: 'Browser 1' })],
    ['a page without isolation', () => vi.stubGlobal('crossOriginIsolated', false)],
    ['another version of the app', () => vi.stubGlobal('appVersion', '0.0.0')],
    ['a new graphics processor', () => (device.WebGPU = 30)],
    ['a missing graphics processor', () => delete device.WebGL],
  ])('that was remembered is void with %s', async (_, change) => {
    vi.stubGlobal('appVersion', '1.0.0');
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 12 });
    FakeWorker.all = [];
    change();
    await classifyAndRest(open());
    expect(ran('WebAssembly × 1')).toBe(1);
    expect(FakeWorker.all.length).toBeGreaterThan(1);
  });

  test('that fails at work is replaced by WebAssembly for that very photo, and never tried again', async () => {
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 4 });
    const browser = open();
    expect((await classifyAndRest(browser)).accelerator).toBe('WebGL');
    device.WebGL = { fails: 'engine-failed' };
    expect((await classifyAndRest(browser)).accelerator).toBe('WebAssembly × 2');
    expect(memory()).toEqual({ failed: ['webgl'] });

    device.WebGL = 4;
    FakeWorker.all = [];
    vi.stubGlobal('navigator', { hardwareConcurrency: 2, userAgent: 'Browser 2' });
    await classifyAndRest(open());
    expect(memory().choice?.candidates).toEqual(['WebAssembly × 1', 'WebAssembly × 2']);
    expect(ran('WebGL')).toBe(0);
  });

  test.each([[4, 5_000], [700, 7_000]])('that answered in %i ms and then is silent for %i is replaced, too', async (ms, patienceMs) => {
    await calibrate({ 'WebAssembly × 1': 2000, 'WebAssembly × 2': 1900, WebGL: ms });
    const browser = open();
    await classifyAndRest(browser);
    device.WebGL = 'never answers';
    const result = browser.classify(new AbortController().signal, new Blob(), options);
    await vi.advanceTimersByTimeAsync(patienceMs - 100);
    expect(used()).toBe('WebGL');
    await vi.advanceTimersByTimeAsync(200);
    expect((await result).accelerator).toBe('WebAssembly × 2');
    expect(memory().failed).toEqual(['webgl']);
  });

  test('whose kernels cannot be fetched is replaced this once', async () => {
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 4 });
    device.WebGL = { fails: 'download-failed' };
    expect((await classifyAndRest(open())).accelerator).toBe('WebAssembly × 2');
    device.WebGL = 4;
    expect((await classifyAndRest(open())).accelerator).toBe('WebGL');
  });

  test('is not to blame for what WebAssembly cannot do either', async () => {
    await calibrate({ 'WebAssembly × 1': 20, 'WebAssembly × 2': 11, WebGL: 4 });
    device = { WebGL: { fails: 'engine-failed' }, 'WebAssembly × 2': { fails: 'engine-failed' } };
    await expect(classifyAndRest(open())).rejects.toMatchObject({ code: 'engine-failed' });
    expect(memory().failed).toBeUndefined();
  });

  test('is tried one after another, the plainest first', () => {
    expect(candidatesFor(4, ['wasm', 'webgl', 'webgpu']).map(nameOf)).toEqual(['WebAssembly × 1', 'WebAssembly × 4', 'WebGL', 'WebGPU']);
    expect(candidatesFor(1, ['wasm']).map(nameOf)).toEqual(['WebAssembly × 1']);
  });
});

describe('What TensorFlow.js’ kernels cannot do', () => {
  let storage: Map<string, string>;
  /** Why each runtime does not answer; one that is left out answers. */
  let failing: Partial<Record<RuntimeId, 'model-unsupported' | 'engine-failed' | 'download-failed' | 'not-an-image'>>;
  const asked = () => FakeWorker.all.flatMap((worker) => worker.asked.flatMap((message) => (message.type === 'classify' ? [message.runtime] : [])));
  const open = (of = manifest, accelerator = twoThreads) => new BrowserEngine(() => Promise.resolve({ manifest: of, classes: [] }), { accelerator }, newWorker, undefined, prepare);
  const classify = (browser: BrowserEngine) => browser.classify(new AbortController().signal, new Blob(), options);

  beforeEach(() => {
    storage = new Map();
    failing = { tensorflow: 'model-unsupported' };
    vi.stubGlobal('appVersion', '1.0.0');
    vi.stubGlobal('localStorage', { getItem: (key: string) => storage.get(key) ?? null, setItem: (key: string, value: string) => storage.set(key, value) });
    vi.spyOn(FakeWorker.prototype, 'postMessage').mockImplementation(function (this: FakeWorker, message: ToWorker) {
      this.asked.push(message);
      if (message.type !== 'classify') return;
      const code = failing[message.runtime];
      void Promise.resolve().then(() => this.say(code ? { type: 'failed', id: message.id, code, detail: message.runtime } : { ...answer(3), id: message.id }));
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  test('ONNX Runtime does, for that very photo, and at once the next time and on the next visit', async () => {
    const browser = open();
    for (const visit of [browser, browser, open()]) expect((await classify(visit)).predictions[0]?.label).toBe('Lemon');
    expect(asked()).toEqual(['tensorflow', 'onnxruntime', 'onnxruntime', 'onnxruntime']);
  });

  test('another version of the model, or of the app, is tried with again', async () => {
    await classify(open());
    await classify(open({ ...manifest, version: '2' }));
    vi.stubGlobal('appVersion', '1.1.0');
    await classify(open());
    expect(asked()).toEqual(['tensorflow', 'onnxruntime', 'tensorflow', 'onnxruntime', 'tensorflow', 'onnxruntime']);
  });

  test('a worker that breaks is replaced by ONNX Runtime’s, and tried again on another visit', async () => {
    failing = { tensorflow: 'engine-failed' };
    const browser = open();
    for (const visit of [browser, browser, open()]) await classify(visit);
    expect(asked()).toEqual(['tensorflow', 'onnxruntime', 'onnxruntime', 'tensorflow', 'onnxruntime']);
    expect(storage.get('whatsit.onnxruntime')).toBeUndefined();
  });

  test.each(['download-failed', 'not-an-image'] as const)('is not meant by %s', async (code) => {
    failing = { tensorflow: code };
    await expect(classify(open())).rejects.toMatchObject({ code });
    expect(asked()).toEqual(['tensorflow']);
  });

  test('and ONNX Runtime cannot either is the error, and nothing is remembered', async () => {
    failing = { tensorflow: 'model-unsupported', onnxruntime: 'engine-failed' };
    await expect(classify(open())).rejects.toMatchObject({ code: 'engine-failed', detail: 'onnxruntime' });
    expect(storage.get('whatsit.onnxruntime')).toBeUndefined();
  });

  test('on a graphics processor is not held against it', async () => {
    await classify(open(manifest, { backend: 'webgl', threads: 2 }));
    expect(asked()).toEqual(['tensorflow', 'onnxruntime']);
    expect(storage.get('whatsit.accelerator')).toBeUndefined();
    failing = { tensorflow: 'engine-failed' };
    await classify(open({ ...manifest, version: '2' }, { backend: 'webgl', threads: 2 }));
    expect(asked().slice(2)).toEqual(['tensorflow', 'tensorflow', 'onnxruntime']);
    expect(storage.get('whatsit.accelerator')).toBeUndefined();
  });
});

test('The weights with the smallest download run here; bytes only where there is nothing else', () => {
  const file = { file: 'x', bytes: 1, sha256: 'c' };
  expect(variantFor(manifest)).toBe('fp16');
  expect(variantFor({ ...manifest, files: { int8: file, fp32: file } })).toBe('fp32');
  expect(variantFor({ ...manifest, files: { int8: file } })).toBe('int8');
  expect(() => variantFor({ ...manifest, files: {} })).toThrow('model-unsupported');
});

test('Threads need cross-origin isolation, and leave cores to the page', () => {
  expect([1, 2, 4, 8, 32].map((cores) => threadsFor(cores, true))).toEqual([1, 2, 2, 4, 4]);
  expect(threadsFor(8, false)).toBe(1);
  expect(threadsFor(undefined, true)).toBe(1);
});
