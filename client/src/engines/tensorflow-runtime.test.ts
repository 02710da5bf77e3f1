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
    await expectSame({ nodes: [...nodes.slice(0, -1), { ...nodes.at(-1)!, output: 'flat' }, node('Identity', ['flat'], 'y')], weights: nodes.some(({ op }) => op === 'Reshape') ? [integers('row', [1, -1])] : [], layout: 'nchw' });
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
  const flatEnd = nodes.some(({ op }) => op === 'Flatten' || op === 'Reshape');
  const last = flatEnd ? [] : [node('Flatten', ['y'], 'out')];
  const bytes = onnxFile({ input, type: 1, shape, nodes: [...first, ...nodes, ...last], weights, outputs: [flatEnd ? 'y' : 'out'] });
  const values = Float32Array.from({ length: channels * side * side }, (_, at) => Math.sin(at * 1.7) * 2);

  const runtime = await createTensorFlowRuntime(bytes, manifestOf({ name: input, type: 'float32', layout }, flatEnd ? 'y' : 'out'), { backend: 'wasm', threads: 1 }, fetchKernels);
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
function onnxFile({ input, type, shape, nodes, weights, outputs }: { input: string; type: number; shape: number[]; nodes: Node[]; weights: Weight[]; outputs: string[] }): Uint8Array {
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
  return message([numberField(1, 8), bytesField(7, message(graph)), bytesField(8, message([textField(1, ''), numberField(2, needsNewer ? 14 : 13)]))]);
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
