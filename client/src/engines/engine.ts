import type { Said } from '../texts/said';
import type { components } from './api';
import type { Preparation } from './manifest';

/** The two engines share one interface, one result and one set of timing names; the page does not know which it holds. */
export interface Engine {
  readonly id: EngineId;
  classify(signal: AbortSignal, image: Blob, options: ClassifyOptions): Promise<Classification>;
}

export type EngineId = 'server' | 'browser';

export interface ClassifyOptions {
  /** The model's name; its manifest says the rest. */
  model: string;
  topK: number;
  /** Adds to each prediction its class activation map. */
  explain: boolean;
  /** How the model prepares photos: one much larger than that is made smaller on this device before it is uploaded (server engine only). */
  shrinkFor?: Preparation;
  onProgress?: (progress: Progress) => void;
}

/** What takes long enough to be shown: bytes that go up, a runtime and a model that come down, and getting them ready. */
export interface Progress {
  step: 'upload' | 'runtime' | 'model' | 'start';
  loaded: number;
  total: number;
}

/** A label, its probability, and where asked for its class activation map (Zhou et al. 2016). */
export type Prediction = components['schemas']['Prediction'];

export interface Classification {
  engine: EngineId;
  model: string;
  version: string;
  variant: string;
  /** What computed it, for people: "TensorFlow.js, WebAssembly × 2". The server does not say. */
  accelerator?: string;
  predictions: Prediction[];
  /** The model is not sure enough to answer (the manifest's `abstain`). */
  abstained: boolean;
  image: ImageFacts;
  timing: StageTime[];
  /** What the visitor waited for: the sum of `timing`. */
  totalMs: number;
  /** What the shrinking before the upload saved, where it was done. */
  shrunk?: { from: number; to: number };
  /** What the server answered although something was amiss. */
  warnings?: Said[];
  /** How the maps were made, where the server made some. */
  explanation?: components['schemas']['Explanation'];
}

export type ImageFacts = components['schemas']['ImageDescription'];

/** One vocabulary everywhere: the server's metrics, `Server-Timing`, the waterfall and the load test say the same words. */
export type Stage = 'fetch' | 'prepare' | 'try' | 'shrink' | 'start' | 'upload' | 'network' | 'load' | 'decode' | 'preprocess' | 'queue' | 'compute' | 'other' | 'download';
export type Place = 'device' | 'network' | 'server';

export interface StageTime {
  stage: Stage;
  place: Place;
  ms: number;
}

/** What can go wrong, in the page's words. Texts turn each into one plain sentence. */
export type EngineErrorCode =
  | 'offline' // no answer from the server: no network, or it is not running
  | 'busy' // the server's queue is full; retrying helps
  | 'timeout' // the server gave up waiting
  | 'too-large' // more bytes or pixels than the server takes
  | 'not-an-image' // neither engine can read the file
  | 'heic' // an iPhone's own format, which few browsers and no server of ours read
  | 'model-missing' // no such model
  | 'format-unsupported' // this browser cannot read this kind of file; the detail names it, and the server may read it
  | 'model-unsupported' // this model cannot be run by what was asked to
  | 'download-failed' // runtime or model could not be fetched
  | 'engine-failed' // the engine broke and was ended; the next run starts a new one
  | 'key-needed' // the server asks for an API key, or does not know the one that it got
  | 'bad-request' // the server refused the request; its sentence says why
  | 'server-failed'; // the server broke

export class EngineError extends Error {
  override readonly name = 'EngineError';
  constructor(
    readonly code: EngineErrorCode,
    /** The server's or the runtime's own sentence, where there is one. */
    readonly detail?: string,
    readonly retryAfterSeconds?: number,
    /** The same from the server, to be said in the page's language. */
    readonly said?: Said,
  ) {
    super(detail ?? code);
  }
}

/** One engine at work on one photo, as the page shows it. */
export type EngineRun =
  | { state: 'idle' }
  | { state: 'waiting' } // for the engine before it: together they would spoil each other's time
  | { state: 'running'; progress?: Progress }
  | { state: 'done'; result: Classification }
  | { state: 'failed'; error: EngineError }
  | { state: 'cancelled' };

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

/** Whatever was thrown, in the page's words. */
export const asEngineError = (error: unknown): EngineError =>
  error instanceof EngineError ? error : new EngineError('engine-failed', error instanceof Error ? error.message : String(error));
