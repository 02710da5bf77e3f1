import type { Backend } from './accelerator';

export type RuntimeId = 'tensorflow' | 'onnxruntime';

/** What executes a model in this browser: TensorFlow.js or ONNX Runtime. Both take the same file and the same tensor. */
export interface Runtime {
  /** For people: "TensorFlow.js, WebGL". */
  readonly name: string;
  /** What it could run this model on. */
  readonly backends: readonly Backend[];
  run(input: Uint8Array | Float32Array): Promise<RuntimeAnswer>;
}

export interface RuntimeAnswer {
  /** The main output, one number per class. */
  scores: Float32Array;
  /** What the abstain score is computed from, where that is another output. */
  evidence?: Float32Array;
  /** The last feature map, where the manifest names one. */
  features?: FeatureMap;
}

export interface FeatureMap {
  /** Its cell (channel, y, x) stands at `channel * channelStep + (y * width + x) * cellStep`: the runtimes lay it out differently. */
  data: Float32Array;
  channels: number;
  height: number;
  width: number;
  channelStep: number;
  cellStep: number;
}

/** Waits for what a backend computes, and rejects when that cannot come any more: a graphics processor can be lost at any time. */
export type Guard = <T>(work: Promise<T>) => Promise<T>;

/** The model asks for something that this runtime does not do. Another one may. */
export class UnsupportedOperatorError extends Error {
  override readonly name = 'UnsupportedOperatorError';
}
