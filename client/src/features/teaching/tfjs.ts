import type { Learnt } from './training';

interface Weight {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { dtype: string };
}

interface TfNode {
  name: string;
  op: string;
  input?: string[];
  attr?: Record<string, unknown>;
}

interface GraphModel {
  signature: { outputs: Record<string, { name: string; tensorShape: { dim: { size: string }[] } }> };
  modelTopology: { node: TfNode[] };
  weightsManifest: { paths: string[]; weights: Weight[] }[];
}

const sizes: Record<string, number> = { float32: 4, int32: 4, float16: 2, uint16: 2, uint8: 1, bool: 1 };
const json = (bytes: Uint8Array | undefined): unknown => JSON.parse(new TextDecoder().decode(bytes));
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/**
 * A TensorFlow.js graph model as `whatsit export` writes it, with another last layer: the product before the softmax gets other weights, and everything else
 * stays as it is, byte for byte.
 */
export function withTaughtHead(files: Record<string, Uint8Array>, labels: readonly string[], { head, temperature }: Learnt): Record<string, Uint8Array<ArrayBuffer>> {
  const model = json(files['model.json']) as GraphModel;
  const nodes = new Map(model.modelTopology.node.map((node) => [node.name, node]));
  const [[output, signature] = [undefined, undefined]] = Object.entries(model.signature.outputs);
  const softmax = nodes.get(signature?.name.replace(/:\d+$/, '') ?? '');
  const product = nodes.get(softmax?.op === 'Softmax' ? (softmax.input?.[0] ?? '') : '');
  const [, matrix, bias] = product?.op === '_FusedMatMul' ? (product.input ?? []) : [];
  if (!output || !signature || !matrix || !bias) throw new Error('The TensorFlow.js model does not end in one product and a softmax.');

  const [classes, features] = [head.bias.length, head.weights.length / head.bias.length];
  // [features, classes] here; the temperature goes into the weights, as nobody reads a manifest beside them.
  const transposed = Float32Array.from({ length: head.weights.length }, (_, at) => head.weights[(at % classes) * features + Math.floor(at / classes)]! / temperature);
  const replaced = new Map([[matrix, { shape: [features, classes], values: transposed }], [bias, { shape: [classes], values: head.bias.map((value) => value / temperature) }]]);
  const parts: Uint8Array[] = [];
  const weights: Weight[] = [];
  for (const group of model.weightsManifest) {
    const bytes = joined(group.paths.map((path) => files[path.replace(/^.*\//, '')] ?? new Uint8Array()));
    let at = 0;
    for (const weight of group.weights) {
      const length = weight.shape.reduce((product_, side) => product_ * side, 1) * (sizes[weight.quantization?.dtype ?? weight.dtype] ?? NaN);
      if (!(at + length <= bytes.length)) throw new Error(`The TensorFlow.js model ends within '${weight.name}'.`);
      const mine = replaced.get(weight.name);
      weights.push(mine ? { name: weight.name, shape: mine.shape, dtype: 'float32' } : weight);
      parts.push(mine ? new Uint8Array(mine.values.buffer) : bytes.subarray(at, at + length));
      at += length;
    }
  }
  for (const [name, { shape }] of replaced) {
    nodes.get(name)!.attr = { dtype: { type: 'DT_FLOAT' }, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: { dim: shape.map((side) => ({ size: String(side) })) } } } };
  }
  signature.tensorShape.dim = [signature.tensorShape.dim[0]!, { size: String(classes) }];
  const metadata = files['metadata.json'] ? (json(files['metadata.json']) as object) : {};
  return {
    'model.json': text({ ...model, weightsManifest: [{ paths: ['group1-shard1of1.bin'], weights }] }),
    'group1-shard1of1.bin': joined(parts),
    'classes.json': text(labels),
    'metadata.json': text({ ...metadata, labels }),
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
