// Writes the small TensorFlow.js models of this folder, and golden.json with what TensorFlow.js itself answers for them.
//   node make.mjs NPM      NPM: a folder where `npm i @tensorflow/tfjs@4.22.0` was run
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tf = createRequire(join(resolve(process.argv[2]), 'package.json'))('@tensorflow/tfjs');
await tf.setBackend('cpu');

let seed = 20240229;
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const uniform = (count, low = -2, high = 2) => Array.from({ length: count }, () => Math.fround(Math.round((low + (high - low) * random()) * 1000) / 1000));
const size = shape => shape.reduce((product, side) => product * side, 1);

// attr_value.proto in JSON: 64-bit integers are text, bytes are base64.
const s = text => ({ s: Buffer.from(text).toString('base64') });
const i = value => ({ i: `${value}` });
const f = value => ({ f: value });
const b = value => ({ b: value });
const type = name => ({ type: `DT_${name.toUpperCase().replace('32', name.startsWith('f') ? '' : '32')}` });
const ints = (...values) => ({ list: { i: values.map(String) } });
const texts = (...values) => ({ list: { s: values.map(value => Buffer.from(value).toString('base64')) } });
const shapeOf = shape => ({ dim: shape.map(side => ({ size: `${side}` })) });

class GraphModel {
  nodes = [];
  weights = [];
  parts = [];
  input = null;

  placeholder(shape, dtype = 'float32', low = -2, high = 2) {
    const fixed = shape.map(side => Math.max(side, 1));
    this.input = { name: 'image', shape: fixed, dtype, data: dtype === 'float32' ? uniform(size(fixed), low, high) : uniform(size(fixed), 0, 255).map(Math.round) };
    this.nodes.push({ name: 'image', op: 'Placeholder', attr: { dtype: type(dtype), shape: { shape: shapeOf(shape) } } });
    this.inputShape = shape;
    return 'image';
  }

  const(shape, data = uniform(size(shape)), dtype = 'float32', quantization = null) {
    const name = `const_${this.nodes.length}`;
    this.nodes.push({ name, op: 'Const', attr: { dtype: type(dtype), value: { tensor: { dtype: type(dtype).type, tensorShape: shapeOf(shape) } } } });
    this.weights.push({ name, shape, dtype, ...(quantization && { quantization }) });
    const stored = quantization?.dtype ?? dtype;
    const array = stored === 'float16' ? Uint16Array.from(data, half) : new { float32: Float32Array, int32: Int32Array, bool: Uint8Array, uint8: Uint8Array, uint16: Uint16Array }[stored](data);
    this.parts.push(Buffer.from(array.buffer));
    return name;
  }

  ints(...values) {
    return this.const([values.length], values, 'int32');
  }

  int(value) {
    return this.const([], [value], 'int32');
  }

  op(op, inputs, attr = {}) {
    const name = `${op}_${this.nodes.length}`;
    this.nodes.push({ name, op, input: inputs, attr });
    return name;
  }

  /** The model in files: with `shardSize`, cut without regard to where a weight ends. */
  write(folder, outputs, { shardSize = 1 << 22, extra = {} } = {}) {
    const bytes = Buffer.concat(this.parts);
    const shards = Array.from({ length: Math.max(1, Math.ceil(bytes.length / shardSize)) }, (_, at) => bytes.subarray(at * shardSize, (at + 1) * shardSize));
    const paths = shards.map((_, at) => `group1-shard${at + 1}of${shards.length}.bin`);
    const named = Object.fromEntries(outputs.map((output, at) => [`output_${at}`, { name: output.includes(':') ? output : `${output}:0` }]));
    const model = {
      format: 'graph-model', generatedBy: 'tests', convertedBy: 'make.mjs',
      signature: { inputs: { image: { name: 'image:0', dtype: type(this.input.dtype).type, tensorShape: shapeOf(this.inputShape) } }, outputs: named },
      modelTopology: { node: this.nodes, versions: { producer: 1 } },
      weightsManifest: [{ paths, weights: this.weights }],
      ...extra,
    };
    mkdirSync(join(here, folder), { recursive: true });
    shards.forEach((shard, at) => writeFileSync(join(here, folder, paths[at]), shard));
    writeFileSync(join(here, folder, 'model.json'), JSON.stringify(model));
    return { model, bytes };
  }
}

function half(value) {
  // Round to nearest, ties to even; the values here are far from the ends of the range.
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent <= 0) return sign;
  const mantissa = bits & 0x7fffff;
  const rounded = (exponent << 10) + (mantissa >>> 13);
  const rest = mantissa & 0x1fff;
  return sign | (rounded + (rest > 0x1000 || (rest === 0x1000 && (rounded & 1)) ? 1 : 0));
}

const golden = {};
async function save(folder, graph, outputs, options) {
  const { model, bytes } = graph.write(folder, outputs, options);
  const loaded = await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: model.modelTopology, weightSpecs: graph.weights, weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    format: model.format, generatedBy: '', convertedBy: '', signature: model.signature,
  }));
  const answers = loaded.execute({ image: tf.tensor(graph.input.data, graph.input.shape, graph.input.dtype) }, outputs);
  golden[folder] = {
    input: { ...graph.input },
    outputs: (Array.isArray(answers) ? answers : [answers]).map(answer => ({ shape: answer.shape, data: Array.from(answer.dataSync(), value => +value.toPrecision(6)) })),
  };
}

const nhwc = s('NHWC');
const spatial = (padding, stride, more = {}) => ({ strides: ints(1, stride, stride, 1), padding: s(padding), data_format: nhwc, dilations: ints(1, 1, 1, 1), ...more });
const fused = (...names) => ({ fused_ops: texts(...names), num_args: i(names.includes('Prelu') ? 2 : 1), epsilon: f(0) });

{
  const g = new GraphModel();
  const x = g.placeholder([-1, 7, 6, 3]);
  const filter = g.const([3, 3, 3, 4]);
  const bias = g.const([4]);
  const conv = g.op('_FusedConv2D', [x, filter, bias], { ...spatial('SAME', 2), ...fused('BiasAdd', 'Relu6') });
  await save('fused', g, [
    conv,
    g.op('_FusedConv2D', [x, filter, bias], { ...spatial('VALID', 1), ...fused('BiasAdd') }),
    g.op('_FusedConv2D', [x, filter, bias, g.const([1, 1, 4])], { ...spatial('SAME', 1), ...fused('BiasAdd', 'Prelu') }),
    g.op('_FusedConv2D', [x, filter, bias], { ...spatial('SAME', 1), ...fused('BiasAdd', 'LeakyRelu'), leakyrelu_alpha: f(0.3) }),
    g.op('_FusedConv2D', [x, filter, bias], { ...spatial('SAME', 1), ...fused('BiasAdd', 'Elu') }),
    g.op('FusedDepthwiseConv2dNative', [conv, g.const([3, 3, 4, 1]), g.const([4])], { ...spatial('SAME', 1), ...fused('BiasAdd', 'Relu') }),
    g.op('_FusedMatMul', [g.op('Mean', [conv, g.ints(1, 2)], { keep_dims: b(false) }), g.const([4, 5]), g.const([5])], { transpose_a: b(false), transpose_b: b(false), ...fused('BiasAdd', 'Relu') }),
  ]);
}
{
  const g = new GraphModel();
  const x = g.placeholder([-1, 8, 7, 2]);
  const filter = g.const([3, 2, 2, 3]);
  const conv = g.op('Conv2D', [x, filter], spatial('VALID', 1));
  await save('convolutions', g, [
    conv,
    g.op('Conv2D', [x, filter], spatial('EXPLICIT', 2, { explicit_paddings: ints(0, 0, 2, 1, 0, 1, 0, 0) })),
    g.op('Conv2D', [x, filter], spatial('SAME', 1, { dilations: ints(1, 2, 2, 1) })),
    g.op('DepthwiseConv2dNative', [x, g.const([3, 3, 2, 2])], spatial('SAME', 2)),
    g.op('BiasAdd', [conv, g.const([3])], { data_format: nhwc }),
    g.op('FusedBatchNormV3', [conv, g.const([3]), g.const([3]), g.const([3]), g.const([3], uniform(3, 0.5, 2))], { data_format: nhwc, epsilon: f(0.001), is_training: b(false) }),
    g.op('MaxPool', [x], spatial('SAME', 2, { ksize: ints(1, 3, 3, 1) })),
    g.op('AvgPool', [x], spatial('SAME', 2, { ksize: ints(1, 3, 2, 1) })),
    g.op('AvgPool', [x], spatial('VALID', 1, { ksize: ints(1, 8, 7, 1) })),
    g.op('Softmax', [conv]),
  ]);
}
{
  const g = new GraphModel();
  const x = g.placeholder([-1, 3, 4, 2], 'float32', 0.25, 3);
  const y = g.const([2], uniform(2, 0.5, 2));
  const negative = g.op('Sub', [y, x]);
  const outputs = [negative];
  for (const op of ['AddV2', 'Add', 'Mul', 'RealDiv', 'Maximum', 'Minimum', 'Pow', 'SquaredDifference']) outputs.push(g.op(op, [x, y]));
  for (const op of ['Abs', 'Elu', 'Erf', 'Exp', 'Neg', 'Relu', 'Relu6', 'Selu', 'Sigmoid', 'Softplus', 'Square', 'Tanh']) outputs.push(g.op(op, [negative]));
  for (const op of ['Log', 'Rsqrt', 'Sqrt', 'Floor', 'Ceil', 'Sin', 'Cos', 'Reciprocal']) outputs.push(g.op(op, [x]));
  outputs.push(
    g.op('AddN', [x, x, negative], { N: i(3) }), g.op('LeakyRelu', [negative], { alpha: f(0.1) }), g.op('Prelu', [negative, y]),
    g.op('ClipByValue', [x, g.const([], [0.5]), g.const([], [1.5])]), g.op('DivNoNan', [x, g.const([2], [0, 4])]));
  await save('elementwise', g, outputs);
}
{
  const g = new GraphModel();
  const x = g.placeholder([-1, 4, 6, 2]);
  const strided = masks => Object.fromEntries(['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'].map(name => [name, i(masks[name.replace('_mask', '')] ?? 0)]));
  const shape = g.op('Shape', [x], { out_type: type('int32') });
  const batch = g.op('StridedSlice', [shape, g.ints(0), g.ints(1), g.ints(1)], strided({ shrink_axis: 1 }));
  const flat = g.op('Reshape', [x, g.op('Pack', [batch, g.int(48)], { N: i(2), axis: i(0) })]);
  const split = g.op('Split', [g.int(2), x], { num_split: i(3) });
  const uneven = g.op('SplitV', [x, g.ints(1, 5), g.int(2)], { num_split: i(2) });
  const unpacked = g.op('Unpack', [x], { num: i(2), axis: i(3) });
  const pooled = g.op('Mean', [x, g.ints(1, 2)], { keep_dims: b(true) });
  await save('shapes', g, [
    flat,
    g.op('MatMul', [flat, g.const([3, 48])], { transpose_a: b(false), transpose_b: b(true) }),
    g.op('Reshape', [x, g.ints(-1, 8, 6)]),
    g.op('Squeeze', [pooled], { squeeze_dims: ints(1, 2) }),
    g.op('ExpandDims', [g.op('Identity', [flat]), g.int(1)]),
    g.op('Transpose', [x, g.ints(0, 3, 1, 2)]),
    g.op('ConcatV2', [`${split}:2`, split, g.int(2)], { N: i(2) }),
    g.op('ConcatV2', [`${uneven}:1`, uneven, g.int(-2)], { N: i(2) }),
    g.op('Pack', [`${unpacked}:1`, unpacked], { N: i(2), axis: i(1) }),
    g.op('Slice', [x, g.ints(0, 1, 2, 0), g.ints(-1, 2, 3, 1)]),
    g.op('StridedSlice', [x, g.ints(0, 0), g.ints(0, 0), g.ints(1, -1)], strided({ ellipsis: 1, begin: 2, end: 2 })),
    g.op('StridedSlice', [x, g.ints(0, 1, 0), g.ints(0, 4, 0), g.ints(1, 1, 1)], strided({ begin: 5, end: 5, shrink_axis: 2 })),
    g.op('StridedSlice', [x, g.ints(0, -3, 0, 0), g.ints(0, 9, 0, 0), g.ints(1, 1, 1, 1)], strided({ begin: 5, end: 5, new_axis: 8 })),
    g.op('GatherV2', [x, g.ints(1, 0), g.int(3)], { batch_dims: i(0) }),
    g.op('Pad', [x, g.const([4, 2], [0, 0, 1, 2, 0, 1, 0, 0], 'int32')]),
    g.op('PadV2', [x, g.const([4, 2], [0, 0, 1, 0, 2, 1, 0, 0], 'int32'), g.const([], [1.5])]),
    g.op('MirrorPad', [x, g.const([4, 2], [0, 0, 2, 1, 1, 2, 0, 0], 'int32')], { mode: s('REFLECT') }),
    g.op('DepthToSpace', [g.op('Reshape', [x, g.ints(-1, 2, 6, 4)])], { block_size: i(2), data_format: nhwc }),
    g.op('Cast', [g.op('Cast', [x], { SrcT: type('float32'), DstT: type('int32') })], { SrcT: type('int32'), DstT: type('float32') }),
    g.op('Tile', [pooled, g.ints(1, 2, 1, 2)]),
    g.op('Sum', [x, g.ints(-1)], { keep_dims: b(false) }),
    g.op('Max', [x, g.ints(1)], { keep_dims: b(true) }),
    g.op('Min', [x, g.ints(1, 2)], { keep_dims: b(false) }),
    g.op('Prod', [x, g.ints(3)], { keep_dims: b(false) }),
    g.op('ArgMax', [x, g.int(3)], { output_type: type('int32') }),
    g.op('BatchMatMulV2', [x, x], { adj_x: b(false), adj_y: b(true) }),
  ]);
}
{
  const g = new GraphModel();
  const x = g.placeholder([-1, 4, 5, 2]);
  const outputs = [];
  for (const [height, width] of [[7, 9], [2, 3]]) {
    for (const [aligned, half] of [[false, false], [true, false], [false, true]]) {
      for (const op of ['ResizeBilinear', 'ResizeNearestNeighbor']) {
        outputs.push(g.op(op, [x, g.ints(height, width)], { align_corners: b(aligned), half_pixel_centers: b(half) }));
      }
    }
  }
  await save('resizing', g, outputs);
}
{
  // Every way to store a weight, in shards of 41 bytes; and bytes as input.
  const g = new GraphModel();
  const x = g.op('Cast', [g.placeholder([-1, 2, 3, 2], 'int32')], { SrcT: type('int32'), DstT: type('float32') });
  const steps = (count, top) => Array.from({ length: count }, () => Math.floor(random() * (top + 1)));
  const outputs = [
    g.op('Mul', [x, g.const([3, 2])]),
    g.op('Mul', [x, g.const([3, 2], uniform(6), 'float32', { dtype: 'float16', original_dtype: 'float32' })]),
    g.op('Mul', [x, g.const([3, 2], steps(6, 255), 'float32', { dtype: 'uint8', scale: 0.0123, min: -1.5, original_dtype: 'float32' })]),
    g.op('Mul', [x, g.const([3, 2], steps(6, 65535), 'float32', { dtype: 'uint16', scale: 0.000021, min: -0.7, original_dtype: 'float32' })]),
    g.op('Reshape', [x, g.const([2], [0, 255], 'int32', { dtype: 'uint8', scale: 7 / 255, min: -1, original_dtype: 'int32' })]),
  ];
  await save('stored-weights', g, outputs, { shardSize: 41 });
}
{
  const g = new GraphModel();
  const x = g.placeholder([-1, 4]);
  g.write('refused-control-flow', [g.op('While', [x], {})]);
}
{
  // A layers model, as TensorFlow.js saves it, with a model inside the model.
  const inner = tf.sequential({ name: 'features', layers: [
    tf.layers.conv2d({ name: 'conv', filters: 4, kernelSize: 3, strides: 2, padding: 'same', useBias: false, inputShape: [8, 8, 3], kernelInitializer: 'zeros' }),
    tf.layers.batchNormalization({ name: 'norm' }),
    tf.layers.reLU({ name: 'relu', maxValue: 6 }),
    tf.layers.globalAveragePooling2d({ name: 'pool' }),
  ] });
  const model = tf.sequential({ name: 'classifier', layers: [inner, tf.layers.dense({ name: 'dense', units: 3, activation: 'softmax', kernelInitializer: 'zeros' })] });
  model.setWeights(model.getWeights().map(weight => tf.tensor(uniform(weight.size, weight.size === 4 ? 0.5 : -1, 1), weight.shape)));
  await model.save(tf.io.withSaveHandler(async artifacts => {
    const folder = join(here, 'layers');
    mkdirSync(folder, { recursive: true });
    const weights = artifacts.weightSpecs;
    writeFileSync(join(folder, 'weights.bin'), Buffer.from(artifacts.weightData));
    writeFileSync(join(folder, 'model.json'), JSON.stringify({
      format: 'layers-model', generatedBy: artifacts.generatedBy, convertedBy: null, modelTopology: artifacts.modelTopology, weightsManifest: [{ paths: ['weights.bin'], weights }],
    }));
    writeFileSync(join(folder, 'metadata.json'), JSON.stringify({ packageName: '@teachablemachine/image', labels: ['apple', 'pear', 'plum'], imageSize: 8 }));
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  }));
  const input = { name: 'input', shape: [1, 8, 8, 3], dtype: 'float32', data: uniform(192, -1, 1) };
  const answer = model.predict(tf.tensor(input.data, input.shape));
  golden.layers = { input, outputs: [{ shape: answer.shape, data: Array.from(answer.dataSync(), value => +value.toPrecision(6)) }] };
}

writeFileSync(join(here, 'golden.json'), `${JSON.stringify(golden).replaceAll('{"shape"', '\n{"shape"').replaceAll('},"', '},\n"')}\n`);
console.log(`${Object.keys(golden).length} models`);
