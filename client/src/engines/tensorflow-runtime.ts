import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm/dist/base';
import './tensorflow-kernels';
import simdUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threadedUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import type { Accelerator } from './accelerator';
import { nameOf } from './accelerator';
import type { FetchBytes } from './download';
import { EngineError } from './engine';
import { readOnnx } from './onnx';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './onnx';
import type { Runtime } from './runtime';
import { UnsupportedOperatorError } from './runtime';
import type { Manifest } from './server-api';

/**
 * TensorFlow.js' kernels (WebAssembly by XNNPACK, WebGL, WebGPU) driven by an ONNX graph: a sixth of ONNX Runtime's download and faster on
 * convolutional networks. It knows the operators of image classifiers and says so where a model needs another one.
 *
 *     ONNX node ──► plan (once): weights to tensors, activations fused ──► steps, run one after another
 *
 * ONNX pictures are [N, C, H, W], these kernels take [N, H, W, C]: values with four dimensions are held channels-last throughout.
 */
export async function createTensorFlowRuntime(model: Uint8Array, manifest: Manifest, accelerator: Accelerator, fetchBytes: FetchBytes): Promise<Runtime> {
  const graph = readOnnx(model);
  const unknown = graph.nodes.find(({ op }) => !(op in operators));
  if (unknown) throw new UnsupportedOperatorError(`The operator '${unknown.op}' (${unknown.name}) is not known to this runtime.`);

  const guarded = await startBackend(accelerator, fetchBytes);
  const steps = plan(graph, manifest);
  const { input, output } = manifest;
  const shape: [number, number, number, number] = [1, input.height, input.width, 3];
  const wanted = [output.name, ...(output.features && graph.outputs.includes(output.features) ? [output.features] : [])];

  return {
    name: `TensorFlow.js, ${nameOf(accelerator)}`,
    backends: ['wasm', 'webgl', 'webgpu'],
    async run(pixels) {
      const outputs = tf.tidy(() => {
        const live = new Map<string, Value>();
        // Bytes become floats here; the graph's own cast then has nothing left to do.
        const rows = tf.tensor(new Float32Array(pixels), inputShape(manifest));
        live.set(input.name, input.layout === 'nchw' ? tf.transpose(rows, [0, 2, 3, 1]) : tf.reshape(rows, shape));
        for (const step of steps) {
          live.set(step.output, step.run(step.inputs.map((name) => (name ? live.get(name) : undefined))));
          for (const name of step.lastUseOf) live.get(name)?.dispose();
        }
        return wanted.map((name) => live.get(name)!);
      });
      const [scores, data] = await guarded(Promise.all(outputs.map(async (output) => (await output.data()).slice() as Float32Array)));
      tf.dispose(outputs);
      if (!data) return { scores: scores! };
      const [, height = 0, width = 0, channels = 0] = outputs[1]!.shape;
      return { scores: scores!, features: { data, channels, height, width, channelStep: 1, cellStep: channels } };
    },
  };
}

const inputShape = ({ input }: Manifest): [number, number, number, number] =>
  input.layout === 'nhwc' ? [1, input.height, input.width, 3] : [1, 3, input.height, input.width];

/** Waits for what a backend computes, and rejects when that cannot come any more: a graphics processor can be lost at any time. */
export type Guard = <T>(work: Promise<T>) => Promise<T>;

async function startBackend(accelerator: Accelerator, fetchBytes: FetchBytes): Promise<Guard> {
  tf.enableProdMode();
  const guarded = accelerator.backend === 'wasm' ? await startWebAssembly(accelerator.threads, fetchBytes) : await startGraphics(accelerator.backend);
  if (!(await tf.setBackend(accelerator.backend))) throw new Error(`TensorFlow.js' kernels for ${nameOf(accelerator)} did not start.`);
  return guarded;
}

async function startWebAssembly(threads: number, fetchBytes: FetchBytes): Promise<Guard> {
  const local = URL.createObjectURL(new Blob([await fetchBytes(threads > 1 ? threadedUrl : simdUrl)], { type: 'application/wasm' }));
  if (threads > 1) setThreadsCount(threads);
  else tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({ 'tfjs-backend-wasm.wasm': local, 'tfjs-backend-wasm-simd.wasm': local, 'tfjs-backend-wasm-threaded-simd.wasm': local }, true);
  return (work) => work;
}

/** Each is a script of its own, fetched only by those who have such a device. */
async function startGraphics(backend: 'webgl' | 'webgpu'): Promise<Guard> {
  const graphics = await (backend === 'webgl' ? import('./webgl-runtime') : import('./webgpu-runtime')).catch(() => {
    throw new EngineError('download-failed');
  });
  return graphics.start();
}

type Value = tf.Tensor;

interface Step {
  inputs: string[];
  output: string;
  run: (inputs: (Value | undefined)[]) => Value;
  /** Values that nothing after this step reads. */
  lastUseOf: string[];
}

/** What an operator may look at while it is planned. */
interface Planning {
  node: OnnxNode;
  /** A weight or constant, by the position of the input. */
  constant: (at: number) => OnnxTensor | undefined;
  /** The weight as a tensor that lives as long as the model. */
  weight: (at: number, make: (tensor: OnnxTensor) => Value) => Value;
  /** Whether the value (input number) was four-dimensional in ONNX' terms, and so is held channels-last. */
  isPicture: (at: number) => boolean;
  activation: Activation;
}

type Activation = 'linear' | 'relu' | 'relu6';
type Operator = (planning: Planning) => { inputs?: number[]; run: Step['run']; picture?: boolean };

function plan(graph: OnnxGraph, { input, output }: Manifest): Step[] {
  const constants = new Map(graph.weights);
  const pictures = new Set<string>();
  const steps: Step[] = [];
  const uses = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) for (const name of node.inputs) uses.set(name, [...(uses.get(name) ?? []), node]);
  const kept = new Set([output.name, output.features ?? '']);
  const fused = new Set<OnnxNode>();
  if (input.layout === 'nchw') pictures.add(input.name);

  for (const node of graph.nodes) {
    if (fused.has(node)) continue;
    if (node.op === 'Constant') {
      const tensor = node.attributes.get('value')?.tensor;
      if (tensor) constants.set(node.outputs[0]!, tensor);
      continue;
    }
    // 16-bit weights are widened once, when the file is read; the cast that follows them in the graph has nothing left to do.
    const source = constants.get(node.inputs[0] ?? '');
    if ((node.op === 'Cast' || node.op === 'Identity') && source) {
      constants.set(node.outputs[0]!, source);
      continue;
    }

    // An activation behind a convolution is computed with it, where nothing else wants the value between.
    const next = uses.get(node.outputs[0]!);
    const following = next?.length === 1 && !kept.has(node.outputs[0]!) ? next[0] : undefined;
    const activation = node.op === 'Conv' && following ? activationOf(following, constants) : undefined;
    if (activation && following) fused.add(following);

    const { inputs = [0], run, picture = pictures.has(node.inputs[0]!) } = operators[node.op]!({
      node,
      constant: (at) => constants.get(node.inputs[at] ?? ''),
      weight: (at, make) => tf.keep(tf.tidy(() => make(constants.get(node.inputs[at] ?? '')!))),
      isPicture: (at) => pictures.has(node.inputs[at] ?? ''),
      activation: activation ?? 'linear',
    });
    const result = activation && following ? following.outputs[0]! : node.outputs[0]!;
    if (picture) pictures.add(result);
    steps.push({ inputs: inputs.map((at) => node.inputs[at] ?? ''), output: result, run, lastUseOf: [] });
  }

  const seen = new Set(kept);
  for (const step of [...steps].reverse()) {
    for (const name of step.inputs) {
      if (name && !seen.has(name)) step.lastUseOf.push(name);
      seen.add(name);
    }
  }
  return steps;
}

function activationOf(node: OnnxNode, constants: Map<string, OnnxTensor>): Activation | undefined {
  if (node.op === 'Relu') return 'relu';
  if (node.op !== 'Clip') return undefined;
  const [low, high] = clipRange(node, (at) => constants.get(node.inputs[at] ?? ''));
  return low === 0 && high === 6 ? 'relu6' : undefined;
}

/** Before operator set 11 the bounds are attributes, since then inputs. */
function clipRange(node: OnnxNode, constant: Planning['constant']): [number, number] {
  return [constant(1)?.values[0] ?? node.attributes.get('min')?.float ?? -3.4e38, constant(2)?.values[0] ?? node.attributes.get('max')?.float ?? 3.4e38];
}

const ints = (node: OnnxNode, name: string, otherwise: number[]): number[] => {
  const found = node.attributes.get(name)?.ints;
  return found?.length ? found : otherwise;
};
const int = (node: OnnxNode, name: string, otherwise: number): number => node.attributes.get(name)?.int ?? otherwise;

type Padding = [[number, number], [number, number], [number, number], [number, number]];

/** [top, left, bottom, right] as the kernels want them. `auto_pad` is old and rare, and is refused rather than guessed. */
function paddingOf(node: OnnxNode): Padding {
  const auto = node.attributes.get('auto_pad')?.string;
  if (auto && auto !== 'NOTSET' && auto !== 'VALID') throw new UnsupportedOperatorError(`The padding '${auto}' (${node.name}) is not known to this runtime.`);
  const [top = 0, left = 0, bottom = 0, right = 0] = ints(node, 'pads', [0, 0, 0, 0]);
  return [[0, 0], [top, bottom], [left, right], [0, 0]];
}

const pair = (numbers: number[]): [number, number] => [numbers[0] ?? 1, numbers[1] ?? numbers[0] ?? 1];

/** A constant beside a picture: per-channel values move from [.., C, 1, 1] to the last dimension. */
function operand(tensor: OnnxTensor, besidePicture: boolean): Value {
  const { shape, values } = tensor;
  const large = shape.filter((size) => size !== 1);
  if (!besidePicture || large.length === 0) return tf.tensor(values, shape);
  if (large.length === 1 && shape.length >= 3 && shape.at(-3) === large[0]) return tf.tensor(values, [1, 1, 1, ...large]);
  if (large.length === 1 && shape.length < 3) return tf.tensor(values, [1, 1, ...(shape.length === 1 ? [large[0]!, 1] : [...shape, 1])]);
  if (shape.length === 4) return tf.transpose(tf.tensor(values, shape), [0, 2, 3, 1]);
  throw new UnsupportedOperatorError(`A constant of shape ${shape.join('×')} beside a picture is not known to this runtime.`);
}

const unary = (compute: (x: Value) => Value): Operator => () => ({ run: ([x]) => compute(x!) });

const binary = (compute: (a: Value, b: Value) => Value): Operator => ({ constant, weight, isPicture }) => {
  const picture = isPicture(0) || isPicture(1);
  for (const at of [0, 1]) {
    if (!constant(at)) continue;
    const fixed = weight(at, (tensor) => operand(tensor, picture));
    return { inputs: [1 - at], picture, run: ([x]) => (at === 1 ? compute(x!, fixed) : compute(fixed, x!)) };
  }
  return { inputs: [0, 1], picture, run: ([a, b]) => compute(a!, b!) };
};

const pool = (compute: (x: tf.Tensor4D, size: [number, number], strides: [number, number], node: OnnxNode) => Value): Operator => ({ node }) => {
  const [size, strides] = [pair(ints(node, 'kernel_shape', [1, 1])), pair(ints(node, 'strides', [1, 1]))];
  if (int(node, 'ceil_mode', 0) === 1) throw new UnsupportedOperatorError(`Pooling with ceil_mode (${node.name}) is not known to this runtime.`);
  return { run: ([x]) => compute(x as tf.Tensor4D, size, strides, node) };
};

/** Mean over the picture's sides; with `keepdims` it stays a picture of one pixel. */
const spatialMean = (keep: boolean): ReturnType<Operator> => ({ picture: keep, run: ([x]) => tf.mean(x!, [1, 2], keep) });

const operators: Record<string, Operator> = {
  Conv({ node, constant, weight, activation }) {
    const [outputs = 0, perGroup = 0, height = 1, width = 1] = constant(1)?.shape ?? [];
    const group = int(node, 'group', 1);
    const [strides, dilations, pad] = [pair(ints(node, 'strides', [1, 1])), pair(ints(node, 'dilations', [1, 1])), paddingOf(node)];
    const bias = constant(2) ? (weight(2, ({ values }) => tf.tensor1d(values)) as tf.Tensor1D) : undefined;
    // Explicit padding is taken by the kernels, as by tf.conv2d; only the fused operators' types do not say so.
    const common = { strides, dilations, pad: pad as unknown as 'valid', activation, ...(bias && { bias }) };
    if (group === 1) {
      const filter = weight(1, ({ values }) => tf.transpose(tf.tensor4d(values, [outputs, perGroup, height, width]), [2, 3, 1, 0])) as tf.Tensor4D;
      return { picture: true, run: ([x]) => tf.fused.conv2d({ x: x as tf.Tensor4D, filter, ...common }) };
    }
    if (perGroup !== 1 || outputs % group !== 0) throw new UnsupportedOperatorError(`A convolution in ${group} groups of ${perGroup} channels (${node.name}) is not known to this runtime.`);
    // [C·M, 1, H, W] to [H, W, C, M]
    const filter = weight(1, ({ values }) => tf.transpose(tf.tensor4d(values, [group, outputs / group, height, width]), [2, 3, 0, 1])) as tf.Tensor4D;
    return { picture: true, run: ([x]) => tf.fused.depthwiseConv2d({ x: x as tf.Tensor4D, filter, ...common }) };
  },

  Gemm({ node, constant, weight }) {
    const alpha = node.attributes.get('alpha')?.float ?? 1;
    const beta = node.attributes.get('beta')?.float ?? 1;
    if (alpha !== 1 || beta !== 1 || int(node, 'transA', 0) === 1) throw new UnsupportedOperatorError(`A scaled or transposed matrix product (${node.name}) is not known to this runtime.`);
    const shape = constant(1)!.shape as [number, number];
    // The kernels hold a transposed copy of their own; giving them the plain one spares the choice.
    const b = weight(1, ({ values }) => (int(node, 'transB', 0) === 1 ? tf.transpose(tf.tensor2d(values, shape)) : tf.tensor2d(values, shape)));
    const bias = constant(2) ? weight(2, ({ values }) => tf.tensor1d(values)) : undefined;
    return { picture: false, run: ([a]) => tf.fused.matMul({ a: a as tf.Tensor2D, b: b, ...(bias && { bias }) }) };
  },

  MatMul({ constant, weight }) {
    const shape = constant(1)!.shape as [number, number];
    const b = weight(1, ({ values }) => tf.tensor2d(values, shape));
    return { picture: false, run: ([a]) => tf.matMul(a!, b) };
  },

  Transpose({ node, isPicture }) {
    const order = ints(node, 'perm', []).join();
    // Between the two layouts there is nothing to do: the value is held channels-last anyway.
    if (order === '0,3,1,2' && !isPicture(0)) return { picture: true, run: ([x]) => x!.clone() };
    if (order === '0,2,3,1' && isPicture(0)) return { picture: false, run: ([x]) => x!.clone() };
    if (isPicture(0)) throw new UnsupportedOperatorError(`Transposing a picture by ${order} (${node.name}) is not known to this runtime.`);
    return { run: ([x]) => tf.transpose(x!, ints(node, 'perm', [])) };
  },

  Cast: ({ node }) => {
    if (int(node, 'to', 1) !== 1) throw new UnsupportedOperatorError(`A cast to type ${int(node, 'to', 1)} (${node.name}) is not known to this runtime.`);
    return { run: ([x]) => tf.cast(x!, 'float32') };
  },
  Identity: unary((x) => x.clone()),
  Dropout: unary((x) => x.clone()),
  Constant: unary((x) => x),
  Relu: unary((x) => tf.relu(x)),
  Sigmoid: unary((x) => tf.sigmoid(x)),
  HardSigmoid: ({ node }) => {
    const [alpha, beta] = [node.attributes.get('alpha')?.float ?? 0.2, node.attributes.get('beta')?.float ?? 0.5];
    return { run: ([x]) => tf.clipByValue(tf.add(tf.mul(x!, alpha), beta), 0, 1) };
  },
  HardSwish: unary((x) => tf.mul(x, tf.clipByValue(tf.add(tf.mul(x, 1 / 6), 0.5), 0, 1))),
  Clip: ({ node, constant }) => {
    const [low, high] = clipRange(node, constant);
    return { run: ([x]) => (low === 0 && high === 6 ? tf.relu6(x!) : tf.clipByValue(x!, low, high)) };
  },
  Add: binary((a, b) => tf.add(a, b)),
  Sub: binary((a, b) => tf.sub(a, b)),
  Mul: binary((a, b) => tf.mul(a, b)),
  Div: binary((a, b) => tf.div(a, b)),

  BatchNormalization({ node, constant }) {
    const [scale, shift, mean, variance] = [1, 2, 3, 4].map((at) => constant(at)!.values) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const epsilon = node.attributes.get('epsilon')?.float ?? 1e-5;
    const factor = scale.map((value, i) => value / Math.sqrt(variance[i]! + epsilon));
    const [times, plus] = [tf.keep(tf.tensor1d(factor)), tf.keep(tf.tensor1d(shift.map((value, i) => value - mean[i]! * factor[i]!)))];
    return { run: ([x]) => tf.add(tf.mul(x!, times), plus) };
  },

  MaxPool: pool((x, size, strides, node) => tf.maxPool(padded(x, node, -3.4e38), size, strides, 'valid')),
  AveragePool: pool((x, size, strides, node) => {
    if (int(node, 'count_include_pad', 0) === 0 && ints(node, 'pads', []).some(Boolean)) throw new UnsupportedOperatorError(`An average that leaves out its padding (${node.name}) is not known to this runtime.`);
    return tf.avgPool(padded(x, node, 0), size, strides, 'valid');
  }),
  GlobalAveragePool: () => spatialMean(true),
  ReduceMean({ node, constant, isPicture }) {
    const axes = [...ints(node, 'axes', [...(constant(1)?.values ?? [])])].map((axis) => (axis < 0 ? axis + 4 : axis)).sort().join();
    if (!isPicture(0) || axes !== '2,3') throw new UnsupportedOperatorError(`A mean over the axes ${axes} (${node.name}) is not known to this runtime.`);
    return spatialMean(int(node, 'keepdims', 1) === 1);
  },

  Flatten: ({ node, isPicture }) => ({ picture: false, run: ([x]) => flat(x!, isPicture(0), [1, -1], node) }),
  Reshape: ({ node, constant, isPicture }) => {
    const shape = [...(constant(1)?.values ?? [])].map((size, at) => (at === 0 && size <= 0 ? 1 : size));
    return { picture: false, run: ([x]) => flat(x!, isPicture(0), shape, node) };
  },
  Squeeze: ({ node, isPicture }) => ({ picture: false, run: ([x]) => flat(x!, isPicture(0), [1, -1], node) }),

  Pad({ node, constant, isPicture }) {
    const pads = ints(node, 'pads', [...(constant(1)?.values ?? [])]);
    const mode = node.attributes.get('mode')?.string ?? 'constant';
    if (mode !== 'constant' || !isPicture(0) || pads.length !== 8) throw new UnsupportedOperatorError(`Padding of mode '${mode}' (${node.name}) is not known to this runtime.`);
    const sides = [0, 2, 3, 1].map((axis) => [pads[axis]!, pads[axis + 4]!] as [number, number]);
    return { run: ([x]) => tf.pad(x!, sides, constant(2)?.values[0] ?? node.attributes.get('value')?.float ?? 0) };
  },

  Concat({ node, isPicture }) {
    const axis = int(node, 'axis', 1);
    const inputs = node.inputs.map((_, at) => at);
    return { inputs, run: (parts) => tf.concat(parts as Value[], isPicture(0) ? ([0, 3, 1, 2][axis < 0 ? axis + 4 : axis] ?? 3) : axis) };
  },

  Softmax: unary((x) => tf.softmax(x)),
};

function padded(x: tf.Tensor4D, node: OnnxNode, value: number): tf.Tensor4D {
  const pad = paddingOf(node);
  return pad.flat().some(Boolean) ? tf.pad(x, pad, value) : x;
}

/** Flattening reads a picture in ONNX' order, channels first; of one pixel both orders are the same. */
function flat(x: Value, picture: boolean, shape: number[], node: OnnxNode): Value {
  if (picture && shape.length > 2) throw new UnsupportedOperatorError(`Reshaping a picture to ${shape.join('×')} (${node.name}) is not known to this runtime.`);
  const [, height = 1, width = 1] = x.shape;
  return tf.reshape(picture && height * width > 1 ? tf.transpose(x, [0, 3, 1, 2]) : x, shape);
}
