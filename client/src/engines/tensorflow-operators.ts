import * as tf from '@tensorflow/tfjs-core';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './onnx';
import { UnsupportedOperatorError } from './runtime';

export type Value = tf.Tensor;

/** What an operator may look at while it is planned. */
export interface Planning {
  node: OnnxNode;
  /** The version of ONNX that says what the operator means. */
  operatorSet: number;
  /** The weight or constant at the position of an input, undefined where the node leaves it out. One that is computed is refused: the kernels want it now. */
  constant: (at: number) => OnnxTensor | undefined;
  isConstant: (at: number) => boolean;
  /** The constant, which must be there, as a tensor that lives as long as the model. */
  weight: (at: number, make: (tensor: OnnxTensor) => Value) => Value;
  /** Whether the value (input number) is held channels-last. */
  isPicture: (at: number) => boolean;
  activation: Activation;
}

type Activation = 'linear' | 'relu' | 'relu6';

/** How a node is computed: from which of its inputs (the first, unless said), and whether the result is held channels-last (as the first input, unless said). */
type Operator = (planning: Planning) => { inputs?: number[]; run: (inputs: Value[]) => Value; picture?: boolean };

/** What these kernels cannot do is left to another runtime: better no answer than a wrong one. */
export function refuse(what: string, node: OnnxNode): never {
  throw new UnsupportedOperatorError(`${what} of ${node.op} (${node.name || node.outputs[0]}) is not known to this runtime.`);
}

/** Before anything is fetched for it: is there a node that is not known at all? */
export function requireKnown({ nodes }: OnnxGraph) {
  for (const node of nodes) if (!(node.op in operators)) throw new UnsupportedOperatorError(`The operator '${node.op}' (${node.name || node.outputs[0]}) is not known to this runtime.`);
}

export function activationOf(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): Activation | undefined {
  if (node.op === 'Relu') return 'relu';
  if (node.op !== 'Clip' || node.inputs.slice(1).some((name) => name && !constants.has(name))) return undefined;
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
const float = (node: OnnxNode, name: string, otherwise: number): number => node.attributes.get(name)?.float ?? otherwise;

// A picture of ONNX, [N, C, H, W], is held as [N, H, W, C].
const toHeld = [0, 2, 3, 1];
const toOnnx = [0, 3, 1, 2];

/** A value as ONNX has it. */
const inOnnxOrder = (x: Value, picture: boolean): Value => (picture ? tf.transpose(x, toOnnx) : x);
/** A value of up to four dimensions, in ONNX' order, as pictures are held; missing dimensions count as ones before the others. */
const asPicture = (x: Value): Value => tf.transpose(tf.reshape(x, [...Array<number>(4 - x.rank).fill(1), ...x.shape]), toHeld);

type Padding = [[number, number], [number, number], [number, number], [number, number]];

/** [top, left, bottom, right] as the kernels want them. `auto_pad` is old and rare, and is refused rather than guessed. */
function paddingOf(node: OnnxNode): Padding {
  const auto = node.attributes.get('auto_pad')?.string;
  if (auto && auto !== 'NOTSET' && auto !== 'VALID') refuse(`The padding '${auto}'`, node);
  const [top = 0, left = 0, bottom = 0, right = 0] = ints(node, 'pads', [0, 0, 0, 0]);
  return [[0, 0], [top, bottom], [left, right], [0, 0]];
}

function padded(x: tf.Tensor4D, node: OnnxNode, value: number): tf.Tensor4D {
  const pad = paddingOf(node);
  return pad.flat().some(Boolean) ? tf.pad(x, pad, value) : x;
}

const pair = (numbers: number[]): [number, number] => [numbers[0] ?? 1, numbers[1] ?? numbers[0] ?? 1];

const unary = (compute: (x: Value) => Value): Operator => () => ({ run: ([x]) => compute(x!) });

const binary = (compute: (a: Value, b: Value) => Value): Operator => ({ isConstant, weight, isPicture }) => {
  const picture = isPicture(0) || isPicture(1);
  for (const at of [0, 1]) {
    if (!isConstant(at)) continue;
    const fixed = weight(at, ({ values, shape }) => (!picture ? tf.tensor(values, shape) : values.length === 1 ? tf.scalar(values[0]!) : asPicture(tf.tensor(values, shape))));
    return { inputs: [1 - at], picture, run: ([x]) => (at === 1 ? compute(x!, fixed) : compute(fixed, x!)) };
  }
  const [a, b] = [0, 1].map((at) => (picture && !isPicture(at) ? asPicture : (x: Value) => x)) as [typeof asPicture, typeof asPicture];
  return { inputs: [0, 1], picture, run: ([x, y]) => compute(a(x!), b(y!)) };
};

const pool = (compute: (x: tf.Tensor4D, size: [number, number], strides: [number, number], node: OnnxNode) => Value): Operator => ({ node, isPicture }) => {
  const [size, strides] = [pair(ints(node, 'kernel_shape', [1, 1])), pair(ints(node, 'strides', [1, 1]))];
  if (!isPicture(0)) refuse('Pooling what is no picture', node);
  if (int(node, 'ceil_mode', 0) === 1) refuse('Pooling with ceil_mode', node);
  if (ints(node, 'dilations', []).some((step) => step !== 1)) refuse('Pooling with gaps', node);
  return { run: ([x]) => compute(x as tf.Tensor4D, size, strides, node) };
};

/** Mean over the picture's sides; with `keepdims` it stays a picture of one pixel. */
const spatialMean = (keep: boolean): ReturnType<Operator> => ({ picture: keep, run: ([x]) => tf.mean(x!, [1, 2], keep) });

export const operators: Record<string, Operator> = {
  Conv({ node, constant, weight, isPicture, activation }) {
    const shape = constant(1)?.shape ?? [];
    const [outputs = 0, perGroup = 0, height = 1, width = 1] = shape;
    if (!isPicture(0) || shape.length !== 4) refuse('A convolution of what is no picture', node);
    const group = int(node, 'group', 1);
    const [strides, dilations, pad] = [pair(ints(node, 'strides', [1, 1])), pair(ints(node, 'dilations', [1, 1])), paddingOf(node)];
    const bias = constant(2) ? (weight(2, ({ values }) => tf.tensor1d(values)) as tf.Tensor1D) : undefined;
    // Explicit padding is taken by the kernels, as by tf.conv2d; only the fused operators' types do not say so.
    const common = { strides, dilations, pad: pad as unknown as 'valid', activation, ...(bias && { bias }) };
    if (group === 1) {
      const filter = weight(1, ({ values }) => tf.transpose(tf.tensor4d(values, [outputs, perGroup, height, width]), [2, 3, 1, 0])) as tf.Tensor4D;
      return { run: ([x]) => tf.fused.conv2d({ x: x as tf.Tensor4D, filter, ...common }) };
    }
    if (perGroup !== 1 || outputs % group !== 0) refuse(`A convolution in ${group} groups of ${perGroup} channels`, node);
    // [C·M, 1, H, W] to [H, W, C, M]
    const filter = weight(1, ({ values }) => tf.transpose(tf.tensor4d(values, [group, outputs / group, height, width]), [2, 3, 0, 1])) as tf.Tensor4D;
    return { run: ([x]) => tf.fused.depthwiseConv2d({ x: x as tf.Tensor4D, filter, ...common }) };
  },

  Gemm({ node, constant, weight, isPicture }) {
    if (float(node, 'alpha', 1) !== 1 || float(node, 'beta', 1) !== 1 || int(node, 'transA', 0) === 1) refuse('A scaled or transposed product', node);
    const transposed = int(node, 'transB', 0) === 1;
    // The kernels hold a transposed copy of their own; giving them the plain one spares the choice.
    const b = weight(1, ({ values, shape }) => (transposed ? tf.transpose(tf.tensor2d(values, shape as [number, number])) : tf.tensor2d(values, shape as [number, number]))) as tf.Tensor2D;
    const addend = constant(2);
    if (isPicture(0)) refuse('A product with a picture', node);
    if (addend && addend.values.length !== b.shape[1]) refuse(`An addend of shape ${addend.shape.join('×')}`, node);
    const bias = addend && weight(2, ({ values }) => tf.tensor1d(values));
    return { run: ([a]) => tf.fused.matMul({ a: a as tf.Tensor2D, b, ...(bias && { bias }) }) };
  },

  MatMul({ node, constant, weight, isPicture }) {
    const shape = constant(1)?.shape ?? [];
    if (isPicture(0) || shape.length !== 2) refuse(`A product with a matrix of shape ${shape.join('×')}`, node);
    const b = weight(1, ({ values }) => tf.tensor2d(values, shape as [number, number]));
    return { run: ([a]) => tf.matMul(a!, b) };
  },

  Transpose({ node, isPicture }) {
    const order = ints(node, 'perm', []);
    const picture = isPicture(0);
    // Between the two layouts there is nothing to do: the value is held channels-last anyway.
    if (order.join() === (picture ? toHeld : toOnnx).join()) return { picture: !picture, run: ([x]) => x!.clone() };
    return { picture: false, run: ([x]) => tf.transpose(inOnnxOrder(x!, picture), order.length > 0 ? order : undefined) };
  },

  Cast: ({ node }) => {
    if (int(node, 'to', 1) !== 1) refuse(`The data type ${int(node, 'to', 1)}`, node);
    return { run: ([x]) => tf.cast(x!, 'float32') };
  },
  Identity: unary((x) => x.clone()),
  Dropout: unary((x) => x.clone()),
  Constant: unary((x) => x),
  Relu: unary((x) => tf.relu(x)),
  Sigmoid: unary((x) => tf.sigmoid(x)),
  HardSigmoid: ({ node }) => {
    const [alpha, beta] = [float(node, 'alpha', 0.2), float(node, 'beta', 0.5)];
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

  BatchNormalization({ node, constant, isPicture }) {
    const [scale, shift, mean, variance] = [1, 2, 3, 4].map((at) => constant(at)?.values ?? refuse(`The missing operand ${at}`, node)) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const epsilon = float(node, 'epsilon', 1e-5);
    const factor = scale.map((value, i) => value / Math.sqrt(variance[i]! + epsilon));
    const [times, plus] = [tf.keep(tf.tensor1d(factor)), tf.keep(tf.tensor1d(shift.map((value, i) => value - mean[i]! * factor[i]!)))];
    const picture = isPicture(0);
    // The channels are ONNX' second dimension: the last one of a held picture and of a row, of nothing else.
    return { run: ([x]) => (picture || x!.rank === 2 ? tf.add(tf.mul(x!, times), plus) : refuse(`${x!.rank} dimensions`, node)) };
  },

  MaxPool: pool((x, size, strides, node) => tf.maxPool(padded(x, node, -3.4e38), size, strides, 'valid')),
  AveragePool: pool((x, size, strides, node) => {
    if (int(node, 'count_include_pad', 0) === 0 && ints(node, 'pads', []).some(Boolean)) refuse('An average that leaves out its padding', node);
    return tf.avgPool(padded(x, node, 0), size, strides, 'valid');
  }),
  GlobalAveragePool: ({ node, isPicture }) => (isPicture(0) ? spatialMean(true) : refuse('The mean of what is no picture', node)),
  ReduceMean({ node, constant, isPicture }) {
    const axes = [...ints(node, 'axes', [...(constant(1)?.values ?? [])])].map((axis) => (axis < 0 ? axis + 4 : axis)).sort().join();
    if (!isPicture(0) || axes !== '2,3') refuse(`A mean over the axes ${axes}`, node);
    return spatialMean(int(node, 'keepdims', 1) === 1);
  },

  // Flattening reads a picture in ONNX' order, channels first.
  Flatten({ node, isPicture }) {
    if (int(node, 'axis', 1) !== 1) refuse(`The axis ${int(node, 'axis', 1)}`, node);
    const picture = isPicture(0);
    return { picture: false, run: ([x]) => tf.reshape(inOnnxOrder(x!, picture), [1, -1]) };
  },
  Reshape({ node, constant, isPicture }) {
    const target = [...(constant(1)?.values ?? refuse('A missing shape', node))];
    const [from, to] = [isPicture(0), target.length === 4];
    return {
      picture: to,
      run: ([x]) => {
        const ordered = inOnnxOrder(x!, from);
        // A zero keeps the size that is there.
        const reshaped = tf.reshape(ordered, target.map((size, at) => (size === 0 ? ordered.shape[at]! : size)));
        return to ? asPicture(reshaped) : reshaped;
      },
    };
  },
  Squeeze({ node, constant, isPicture }) {
    const axes = ints(node, 'axes', [...(constant(1)?.values ?? [])]);
    const picture = isPicture(0);
    return {
      picture: false,
      run: ([x]) => {
        const ordered = inOnnxOrder(x!, picture);
        const gone = axes.map((axis) => (axis < 0 ? axis + ordered.rank : axis));
        return tf.reshape(ordered, ordered.shape.filter((size, axis) => (axes.length > 0 ? !gone.includes(axis) : size !== 1)));
      },
    };
  },

  Pad({ node, constant, isPicture }) {
    const pads = ints(node, 'pads', [...(constant(1)?.values ?? [])]);
    const mode = node.attributes.get('mode')?.string ?? 'constant';
    if (mode !== 'constant' || !isPicture(0) || pads.length !== 8 || node.inputs[3]) refuse(`Padding of mode '${mode}'`, node);
    const sides = toHeld.map((axis) => [pads[axis]!, pads[axis + 4]!] as [number, number]);
    const value = constant(2)?.values[0] ?? float(node, 'value', 0);
    return { run: ([x]) => tf.pad(x!, sides, value) };
  },

  Concat({ node, isPicture }) {
    const axis = int(node, 'axis', 1);
    const inputs = node.inputs.map((_, at) => at);
    const picture = isPicture(0);
    if (inputs.some((at) => isPicture(at) !== picture)) refuse('A picture beside something else', node);
    return { inputs, run: (parts) => tf.concat(parts, picture ? toHeld.indexOf(axis < 0 ? axis + 4 : axis) : axis) };
  },

  Softmax({ node, operatorSet, isPicture }) {
    // Before operator set 13 all dimensions from the axis on are taken as one.
    const whole = operatorSet < 13;
    const axis = int(node, 'axis', whole ? 1 : -1);
    const picture = isPicture(0);
    return {
      run: ([x]) => {
        const { rank, shape } = x!;
        const first = axis < 0 ? axis + rank : axis;
        const normalized = shape.map((_, held) => held).filter((held) => {
          const onnx = picture ? toHeld[held]! : held;
          return whole ? onnx >= first : onnx === first;
        });
        // The kernels take the last dimension; beside it others may stand that hold nothing else.
        if (!normalized.includes(rank - 1) || normalized.some((held) => held !== rank - 1 && shape[held] !== 1)) refuse(`The axis ${axis}`, node);
        return tf.softmax(x!);
      },
    };
  },
};
