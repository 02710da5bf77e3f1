import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as ort from 'onnxruntime-web';
import { describe, expect, test } from 'vitest';
import { UnsupportedOperatorError } from './runtime';
import type { Manifest } from './server-api';
import { createTensorFlowRuntime } from './tensorflow-runtime';

/**
 * Each operator stands in a small network, written here as an ONNX file, and is held to ONNX Runtime's answer to the same file.
 */
const kernels = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm');
const fetchKernels = () => Promise.resolve(new Uint8Array(readFileSync(kernels)));

const channels = 3;
const side = 8;

type Network = { nodes: Node[]; weights?: Weight[]; layout?: 'nhwc' | 'nchw' };

const cases: [string, Network][] = [
  ['a convolution', { nodes: [conv({ pads: [1, 1, 1, 1] })], weights: [weight('w', [6, 3, 3, 3]), weight('b', [6])] }],
  ['a convolution with TensorFlow’s uneven padding', { nodes: [conv({ strides: [2, 2], pads: [0, 0, 1, 1] })], weights: [weight('w', [6, 3, 3, 3]), weight('b', [6])] }],
  ['a convolution with wide taps', { nodes: [conv({ dilations: [2, 2], pads: [2, 2, 2, 2] })], weights: [weight('w', [6, 3, 3, 3]), weight('b', [6])] }],
  ['a convolution with an activation behind it', { nodes: [conv({ pads: [1, 1, 1, 1] }, 'y0'), node('Clip', ['y0', 'zero', 'six'], 'y')], weights: [weight('w', [6, 3, 3, 3]), weight('b', [6]), scalar('zero', 0), scalar('six', 6)] }],
  ['an activation that something else reads before it', { nodes: [conv({ pads: [1, 1, 1, 1] }, 'y0'), node('Relu', ['y0'], 'y1'), node('Add', ['y0', 'y1'], 'y')], weights: [weight('w', [6, 3, 3, 3]), weight('b', [6])] }],
  ['a depthwise convolution', { nodes: [conv({ group: 3, pads: [1, 1, 1, 1] }, 'y0'), node('Relu', ['y0'], 'y')], weights: [weight('w', [6, 1, 3, 3]), weight('b', [6])] }],
  ['16-bit weights behind a cast', { nodes: [node('Cast', ['h'], 'w', { to: 1 }), conv({ pads: [1, 1, 1, 1] })], weights: [half('h', [6, 3, 3, 3]), weight('b', [6])] }],
  ['batch normalisation', { nodes: [node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], 'y', { epsilon: 0.001 })], weights: [weight('s', [3]), weight('b', [3]), weight('m', [3]), weight('v', [3], 0.5, 1)] }],
  ['arithmetic with one number and with one per channel', { nodes: [node('Mul', ['x', 'a'], 'y0'), node('Add', ['y0', 'c'], 'y1'), node('Sub', ['d', 'y1'], 'y2'), node('Div', ['y2', 'e'], 'y')], weights: [scalar('a', 0.5), weight('c', [1, 3, 1, 1]), weight('d', [3, 1, 1]), weight('e', [1, 3, 1, 1], 1, 2)] }],
  ['the largest of each window', { nodes: [node('MaxPool', ['x'], 'y', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })] }],
  ['the mean of each window', { nodes: [node('AveragePool', ['x'], 'y', { kernel_shape: [2, 2], strides: [2, 2] })] }],
  ['padding', { nodes: [node('Pad', ['x', 'pads', 'two'], 'y')], weights: [integers('pads', [0, 0, 1, 2, 0, 0, 3, 0]), scalar('two', 2)] }],
  ['channels side by side', { nodes: [node('Relu', ['x'], 'y0'), node('Concat', ['x', 'y0', 'x'], 'y', { axis: 1 })] }],
  ['hard and soft gates', { nodes: [node('HardSigmoid', ['x'], 'y0', { alpha: 0.2, beta: 0.5 }), node('Sigmoid', ['y0'], 'y1'), node('HardSwish', ['y1'], 'y2'), node('Mul', ['x', 'y2'], 'y')] }],
  ['arithmetic with one number per row and one per column', { nodes: [node('Mul', ['x', 'a'], 'y0'), node('Add', ['y0', 'b'], 'y')], weights: [weight('a', [8, 1]), weight('b', [8])] }],
  ['rows and pictures of one pixel together', { nodes: [node('GlobalAveragePool', ['x'], 'm'), node('Flatten', ['m'], 'f'), node('Reshape', ['f', 'pixel'], 'p'), node('Mul', ['x', 'p'], 'y')], weights: [integers('pixel', [0, 3, 1, 1])] }],
  ['a picture cut into another shape', { nodes: [node('Reshape', ['x', 'shape'], 'y0'), node('MaxPool', ['y0'], 'y', { kernel_shape: [2, 2] })], weights: [integers('shape', [1, 6, 4, -1])] }],
  ['a picture turned on its side', { nodes: [node('Transpose', ['x'], 't', { perm: [0, 1, 3, 2] }), node('Reshape', ['t', 'shape'], 'y')], weights: [integers('shape', [0, 0, 0, 0])] }],
  ['a matrix product', { nodes: [node('GlobalAveragePool', ['x'], 'm'), node('Squeeze', ['m', 'sides'], 'f'), node('MatMul', ['f', 'w'], 'y')], weights: [integers('sides', [2, 3]), weight('w', [3, 4])] }],
  ['a softmax over the channels', { nodes: [node('Softmax', ['x'], 'y', { axis: 1 })] }],
  ['batch normalisation of a row', { nodes: [node('GlobalAveragePool', ['x'], 'p'), node('Flatten', ['p'], 'f'), node('BatchNormalization', ['f', 's', 'b', 'm', 'v'], 'y', { epsilon: 0.001 })], weights: [weight('s', [3]), weight('b', [3]), weight('m', [3]), weight('v', [3], 0.5, 1)] }],
  ['values held between two limits', { nodes: [node('Clip', ['x', 'low', 'high'], 'y')], weights: [scalar('low', -0.25), scalar('high', 0.5)] }],
];

describe('TensorFlow.js runs an ONNX graph as ONNX Runtime does', () => {
  test.each(cases)('%s', async (_, network) => {
    for (const layout of ['nchw', 'nhwc'] as const) await expectSame({ ...network, layout });
  });

  test('a whole classifier: bytes in, normalised inside, two outputs', async () => {
    const nodes = [
      node('Transpose', ['image'], 't', { perm: [0, 3, 1, 2] }),
      node('Cast', ['t'], 'f', { to: 1 }),
      node('Mul', ['f', 'scale'], 'x0'),
      node('Add', ['x0', 'offset'], 'x'),
      conv({ strides: [2, 2], pads: [0, 0, 1, 1] }, 'c'),
      node('Clip', ['c', 'zero', 'six'], 'features'),
      node('ReduceMean', ['features'], 'mean', { axes: [2, 3], keepdims: 0 }),
      node('Gemm', ['mean', 'hw', 'hb'], 'logits', { transB: 1 }),
      node('Softmax', ['logits'], 'probabilities', { axis: 1 }),
    ];
    const weights = [scalar('scale', 1 / 127.5), scalar('offset', -1), weight('w', [6, 3, 3, 3]), weight('b', [6]), scalar('zero', 0), scalar('six', 6), weight('hw', [5, 6]), weight('hb', [5])];
    const bytes = onnxFile({ input: 'image', type: 2, shape: [1, side, side, 3], nodes, weights, outputs: ['probabilities', 'features'] });
    const pixels = Uint8Array.from({ length: side * side * 3 }, (_, at) => (at * 37) % 256);
    const runtime = await createTensorFlowRuntime(bytes, manifestOf({ name: 'image', type: 'uint8', layout: 'nhwc' }, 'probabilities', 'features'), { backend: 'wasm', threads: 1 }, fetchKernels);
    const { scores, features } = await runtime.run(pixels);

    const session = await ort.InferenceSession.create(bytes);
    const expected = await session.run({ image: new ort.Tensor('uint8', pixels, [1, side, side, 3]) });
    expectClose(scores, expected.probabilities!.data as Float32Array);
    const { data, channels: count, height, width, channelStep, cellStep } = features!;
    expect([count, height, width]).toEqual([6, 4, 4]);
    const channelsFirst = Float32Array.from({ length: data.length }, (_, at) => data[Math.floor(at / 16) * channelStep + (at % 16) * cellStep]!);
    expectClose(channelsFirst, expected.features!.data as Float32Array);
  });

  test.each([
    ['globally averaged, then flattened', [node('GlobalAveragePool', ['x'], 'y0'), node('Flatten', ['y0'], 'y')]],
    ['flattened whole', [node('Flatten', ['x'], 'y')]],
    ['reshaped to a row', [node('Reshape', ['x', 'row'], 'y')]],
  ])('a picture that is %s comes out in ONNX’ order', async (_, nodes) => {
    await expectSame({ nodes, weights: nodes.some(({ op }) => op === 'Reshape') ? [integers('row', [1, -1])] : [], layout: 'nchw' });
  });

  const rows = node('Flatten', ['x'], 'f');
  /** Each in a network that ONNX Runtime takes: what is refused here has an answer there. */
  const refused: [string, Network][] = [
    ['a convolution with computed weights', { nodes: [node('Relu', ['x'], 'w'), node('Conv', ['x', 'w'], 'y')] }],
    ['a convolution with a computed bias', { nodes: [node('GlobalAveragePool', ['x'], 'p'), node('Reshape', ['p', 'row'], 'b'), conv({ pads: [1, 1, 1, 1] })], weights: [weight('w', [3, 3, 3, 3]), integers('row', [3])] }],
    ['a convolution of rows', { nodes: [node('Reshape', ['x', 'lines'], 'r'), node('Conv', ['r', 'w'], 'y', { kernel_shape: [3] })], weights: [integers('lines', [1, 3, 64]), weight('w', [4, 3, 3])] }],
    ['a matrix product of two computed values', { nodes: [node('Reshape', ['x', 'square'], 'a'), node('Transpose', ['a'], 'b', { perm: [1, 0] }), node('MatMul', ['a', 'b'], 'y')], weights: [integers('square', [24, 8])] }],
    ['a matrix product with a constant before it', { nodes: [node('Reshape', ['x', 'square'], 'a'), node('MatMul', ['w', 'a'], 'y')], weights: [integers('square', [24, 8]), weight('w', [2, 24])] }],
    ['a matrix product over a picture', { nodes: [node('MatMul', ['x', 'w'], 'y')], weights: [weight('w', [8, 5])] }],
    ['a Gemm with a computed matrix', { nodes: [node('Reshape', ['x', 'square'], 'a'), node('Gemm', ['a', 'a'], 'y', { transB: 1 })], weights: [integers('square', [24, 8])] }],
    ['a Gemm with a computed addend', { nodes: [rows, node('Gemm', ['f', 'w'], 'c', { transB: 1 }), node('Gemm', ['f', 'w', 'c'], 'y', { transB: 1 })], weights: [weight('w', [4, 192])] }],
    ['a Gemm with one number added', { nodes: [rows, node('Gemm', ['f', 'w', 'c'], 'y', { transB: 1 })], weights: [weight('w', [4, 192]), weight('c', [1])] }],
    ['batch normalisation with computed statistics', { nodes: [node('GlobalAveragePool', ['x'], 'p'), node('Reshape', ['p', 'row'], 'm'), node('BatchNormalization', ['x', 's', 's', 'm', 'v'], 'y')], weights: [integers('row', [3]), weight('s', [3]), weight('v', [3], 0.5, 1)] }],
    ['batch normalisation of lines', { nodes: [node('Reshape', ['x', 'lines'], 'r'), node('BatchNormalization', ['r', 's', 's', 's', 'v'], 'y')], weights: [integers('lines', [1, 3, 64]), weight('s', [3]), weight('v', [3], 0.5, 1)] }],
    ['a softmax across the rows of a picture', { nodes: [node('Softmax', ['x'], 'y', { axis: 2 })] }],
    ['a softmax over the last dimension of a picture', { nodes: [node('Softmax', ['x'], 'y')] }],
    ['a softmax over a dimension in the middle', { nodes: [node('Reshape', ['x', 'lines'], 'r'), node('Softmax', ['r'], 'y', { axis: 1 })], weights: [integers('lines', [1, 3, 64])] }],
    ['a limit that is computed', { nodes: [node('ReduceMean', ['x'], 'm', { axes: [0, 1, 2, 3], keepdims: 0 }), node('Clip', ['x', 'm'], 'y')] }],
    ['a shape that is computed', { nodes: [node('Shape', ['x'], 's'), node('Reshape', ['x', 's'], 'y')] }],
    ['a constant among what is put side by side', { nodes: [node('Concat', ['x', 'c'], 'y', { axis: 1 })], weights: [weight('c', [1, 1, 8, 8])] }],
    ['pooling lines', { nodes: [node('Reshape', ['x', 'lines'], 'r'), node('MaxPool', ['r'], 'y', { kernel_shape: [2] })], weights: [integers('lines', [1, 3, 64])] }],
    ['flattening from another axis', { nodes: [node('Flatten', ['x'], 'y', { axis: 2 })] }],
  ];

  test.each(refused)('%s is refused, so that ONNX Runtime answers', async (_, { nodes, weights = [] }) => {
    const shape = [1, channels, side, side];
    const bytes = onnxFile({ input: 'x', type: 1, shape, nodes, weights, outputs: ['y'] });
    const values = new Float32Array(channels * side * side);
    const run = async () => (await createTensorFlowRuntime(bytes, manifestOf({ name: 'x', type: 'float32', layout: 'nchw' }, 'y'), { backend: 'wasm', threads: 1 }, fetchKernels)).run(values);
    await expect(run()).rejects.toThrow(UnsupportedOperatorError);
    const session = await ort.InferenceSession.create(bytes);
    expect((await session.run({ x: new ort.Tensor('float32', values, shape) })).y).toBeDefined();
  });

  test('before operator set 13 a softmax takes all dimensions from its axis on as one', async () => {
    const softmax = (nodes: Node[], weights: Weight[] = []) => onnxFile({ input: 'x', type: 1, shape: [1, channels, side, side], nodes: [...nodes, node('Softmax', [nodes.at(-1)?.output ?? 'x'], 'y')], weights, outputs: ['y'], operatorSet: 11 });
    const start = (bytes: Uint8Array) => createTensorFlowRuntime(bytes, manifestOf({ name: 'x', type: 'float32', layout: 'nchw' }, 'y'), { backend: 'wasm', threads: 1 }, fetchKernels);
    const values = Float32Array.from({ length: channels * side * side }, (_, at) => Math.sin(at));
    await expect((await start(softmax([]))).run(values)).rejects.toThrow(UnsupportedOperatorError);
    const pixel = softmax([node('GlobalAveragePool', ['x'], 'p')]);
    const session = await ort.InferenceSession.create(pixel);
    const { y } = await session.run({ x: new ort.Tensor('float32', values, [1, channels, side, side]) });
    expectClose((await (await start(pixel)).run(values)).scores, y!.data as Float32Array);
  });

  test('What it does not know it refuses by name', async () => {
    const unknown = onnxFile({ input: 'x', type: 1, shape: [1, channels, side, side], nodes: [node('LSTM', ['x'], 'y')], weights: [], outputs: ['y'] });
    await expect(createTensorFlowRuntime(unknown, manifestOf({ name: 'x', type: 'float32', layout: 'nchw' }, 'y'), { backend: 'wasm', threads: 1 }, fetchKernels)).rejects.toThrow(UnsupportedOperatorError);
    const damaged = unknown.slice(0, unknown.length - 9);
    await expect(createTensorFlowRuntime(damaged, manifestOf({ name: 'x', type: 'float32', layout: 'nchw' }, 'y'), { backend: 'wasm', threads: 1 }, fetchKernels)).rejects.toThrow('ends too early');
  });
});

/** The network's picture `y`, from a picture `x`, in both runtimes. A picture of ONNX is [N, C, H, W]; to compare, it is turned round at the end. */
async function expectSame({ nodes, weights = [], layout = 'nchw' }: Network) {
  const first = layout === 'nhwc' ? [node('Transpose', ['image'], 'x', { perm: [0, 3, 1, 2] })] : [];
  const input = layout === 'nhwc' ? 'image' : 'x';
  const shape = layout === 'nhwc' ? [1, side, side, channels] : [1, channels, side, side];
  const bytes = onnxFile({ input, type: 1, shape, nodes: [...first, ...nodes, node('Flatten', ['y'], 'out')], weights, outputs: ['out'] });
  const values = Float32Array.from({ length: channels * side * side }, (_, at) => Math.sin(at * 1.7) * 2);

  const runtime = await createTensorFlowRuntime(bytes, manifestOf({ name: input, type: 'float32', layout }, 'out'), { backend: 'wasm', threads: 1 }, fetchKernels);
  const { scores } = await runtime.run(values);
  const session = await ort.InferenceSession.create(bytes);
  const answers = await session.run({ [input]: new ort.Tensor('float32', values, shape) });
  expectClose(scores, answers[session.outputNames[0]!]!.data as Float32Array);
}

function expectClose(actual: Float32Array, expected: Float32Array) {
  expect(actual.length).toBe(expected.length);
  expect(actual.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0)).toBeLessThan(1e-5);
}

function manifestOf(input: Pick<Manifest['input'], 'name' | 'type' | 'layout'>, output: string, features?: string): Manifest {
  return { input: { ...input, width: side, height: side }, output: { name: output, kind: 'probabilities', ...(features && { features }) } } as Manifest;
}

interface Node {
  op: string;
  inputs: string[];
  output: string;
  attributes: Record<string, number | number[]>;
}
interface Weight {
  name: string;
  type: number;
  shape: number[];
  raw: Uint8Array;
}

function node(op: string, inputs: string[], output: string, attributes: Node['attributes'] = {}): Node {
  return { op, inputs, output, attributes };
}
function conv(attributes: Node['attributes'], output = 'y'): Node {
  return node('Conv', ['x', 'w', 'b'], output, { kernel_shape: [3, 3], ...attributes });
}

/** Numbers that nobody chose, the same every time. */
function numbers(name: string, shape: number[], low = -1, high = 1): Float32Array {
  let seed = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return low + (seed / 2147483648) * (high - low);
  });
}
function weight(name: string, shape: number[], low?: number, high?: number): Weight {
  return { name, type: 1, shape, raw: new Uint8Array(numbers(name, shape, low, high).buffer) };
}
function scalar(name: string, value: number): Weight {
  return { name, type: 1, shape: [], raw: new Uint8Array(Float32Array.of(value).buffer) };
}
function integers(name: string, values: number[]): Weight {
  return { name, type: 7, shape: [values.length], raw: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}
/** Halves of the form ±1.m × 2^-e, so that they are exact. */
function half(name: string, shape: number[]): Weight {
  const halves = Uint16Array.from(numbers(name, shape), (value) => (value < 0 ? 0x8000 : 0) | (13 << 10) | Math.floor(Math.abs(value) * 1023));
  return { name, type: 10, shape, raw: new Uint8Array(halves.buffer) };
}

/** An ONNX file of operator set 13, written field by field (onnx.proto). */
function onnxFile({ input, type, shape, nodes, weights, outputs, operatorSet = 13 }: { input: string; type: number; shape: number[]; nodes: Node[]; weights: Weight[]; outputs: string[]; operatorSet?: number }): Uint8Array {
  const needsNewer = nodes.some(({ op }) => op === 'HardSwish');
  const graph = [
    ...nodes.map((one) =>
      bytesField(1, message([
        ...one.inputs.map((name) => textField(1, name)),
        textField(2, one.output),
        textField(4, one.op),
        ...Object.entries(one.attributes).map(([name, value]) =>
          bytesField(5, message(
            Array.isArray(value)
              ? [textField(1, name), ...value.map((number) => numberField(8, number)), numberField(20, 7)]
              : Number.isInteger(value)
                ? [textField(1, name), numberField(3, value), numberField(20, 2)]
                : [textField(1, name), floatField(2, value), numberField(20, 1)],
          )),
        ),
      ])),
    ),
    textField(2, 'test'),
    ...weights.map((one) => bytesField(5, message([...one.shape.map((size) => numberField(1, size)), numberField(2, one.type), textField(8, one.name), bytesField(9, one.raw)]))),
    bytesField(11, message([textField(1, input), bytesField(2, tensorType(type, shape))])),
    ...outputs.map((name) => bytesField(12, message([textField(1, name), bytesField(2, tensorType(1))]))),
  ];
  return message([numberField(1, 8), bytesField(7, message(graph)), bytesField(8, message([textField(1, ''), numberField(2, needsNewer ? 14 : operatorSet)]))]);
}

function tensorType(type: number, shape?: number[]): Uint8Array {
  const sizes = shape && bytesField(2, message(shape.map((size) => bytesField(1, numberField(1, size)))));
  return bytesField(1, message([numberField(1, type), ...(sizes ? [sizes] : [])]));
}
function message(fields: Uint8Array[]): Uint8Array {
  return Uint8Array.from(fields.flatMap((field) => [...field]));
}
function numberField(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8), ...varint(value)]);
}
function floatField(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + 5), ...new Uint8Array(Float32Array.of(value).buffer)]);
}
function bytesField(field: number, bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + 2), ...varint(bytes.length), ...bytes]);
}
function textField(field: number, text: string): Uint8Array {
  return bytesField(field, new TextEncoder().encode(text));
}
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
}
