import { readOnnx } from '../../engines/onnx';
import type { DenseHead } from './softmax-regression';

/** What the new network gives. */
export interface HeadOutputs {
  probabilities: string;
  logits: string;
}

/**
 * Puts a new last layer on a network, as `HeadGraph` of the command does: everything up to the embedding stays as it is, byte for byte, and what only the old
 * answer needed goes. Weights that were stored in 16 bits are widened. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export function withHead(model: Uint8Array, embedding: string, features: string | null | undefined, head: DenseHead): { bytes: Uint8Array<ArrayBuffer>; outputs: HeadOutputs } {
  const parts = [...fieldsOf(model)];
  const graph = parts.find(({ field }) => field === 7)?.content;
  if (!graph) throw new Error('The file has no ONNX graph.');
  const fields = [...fieldsOf(graph)];
  const nodes = fields.filter(({ field }) => field === 1).map(({ content }) => ({ content, inputs: inputsOf(content), outputs: textsOf(content, 2), op: textsOf(content, 4)[0] }));
  const weights = readOnnx(model).weights;
  const stored = new Map(fields.filter(({ field }) => field === 5).map(({ content }) => [textsOf(content, 8)[0] ?? '', content]));
  const values = (field: number) => new Map(fields.filter((one) => one.field === field).map(({ content }) => [textsOf(content, 1)[0] ?? '', content]));
  const [inputs, outputs] = [values(11), values(12)];
  if (!outputs.has(embedding)) throw new Error(`The network has no output '${embedding}', only ${[...outputs.keys()].join(', ')}.`);

  // Backwards from what is kept: which nodes, and which weights?
  const needed = new Set([embedding, ...(features ? [features] : [])]);
  const kept = nodes.reverse().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name))) return false;
    node.inputs.forEach((name) => needed.add(name));
    return true;
  }).reverse();
  const widened = new Set(kept.filter(({ op, inputs: [from = ''] }) => op === 'Cast' && typeOf(stored.get(from)) === 10));
  const read = new Set(kept.filter((node) => !widened.has(node)).flatMap((node) => node.inputs));

  const names = new Set([...needed, ...nodes.flatMap((node) => [...node.inputs, ...node.outputs]), ...stored.keys()]);
  // The names of what is not kept are free.
  const keptNames = new Set([...needed, ...kept.flatMap((node) => node.outputs)]);
  const free = (name: string) => {
    let candidate = name;
    for (let number = 2; keptNames.has(candidate) || (candidate !== name && names.has(candidate)); number++) candidate = `${name}_${number}`;
    keptNames.add(candidate);
    return candidate;
  };
  const [probabilities, logits, matrix, bias] = [free('probabilities'), free('logits'), free('head_weights'), free('head_bias')];
  const classes = head.bias.length;
  const batch = batchOf(outputs.get(embedding)!);
  const score = (name: string) => valueInfo(name, [batch, size(classes)]);

  const content = join([
    ...fields.filter(({ field }) => ![1, 5, 11, 12, 13].includes(field)).map(({ raw }) => raw),
    ...kept.filter((node) => !widened.has(node)).map((node) => message(1, node.content)),
    message(1, node('Gemm', logits, [embedding, matrix, bias], [attribute('transB', 1)])),
    message(1, node('Softmax', probabilities, [logits], [attribute('axis', -1)])),
    ...[...stored].filter(([name]) => read.has(name)).map(([, tensor]) => message(5, tensor)),
    ...[...widened].map(({ inputs: [from = ''], outputs: [to = ''] }) => message(5, floats(to, weights.get(from)!.shape, weights.get(from)!.values))),
    message(5, floats(matrix, [classes, head.weights.length / classes], head.weights)),
    message(5, floats(bias, [classes], head.bias)),
    // Before version 4 of the format, weights are inputs, too.
    ...[...inputs].filter(([name]) => needed.has(name) && !stored.has(name)).map(([, info]) => message(11, info)),
    message(12, score(probabilities)),
    message(12, score(logits)),
    message(12, outputs.get(embedding)!),
    ...(features && outputs.has(features) && features !== embedding ? [message(12, outputs.get(features)!)] : []),
  ]);
  // What was said of the old model (metadata_props) is no longer true.
  const bytes = join([...parts.filter(({ field }) => field !== 7 && field !== 14).map(({ field, raw, content: version }) => (field === 1 ? number(1, Math.max(4, varint(version))) : raw)), message(7, content)]);
  return { bytes, outputs: { probabilities, logits } };
}

interface Field {
  field: number;
  /** Tag and all. */
  raw: Uint8Array;
  content: Uint8Array;
}

/** The fields of a message in the protobuf wire format: https://protobuf.dev/programming-guides/encoding/ */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const next = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('The ONNX file ends too early.');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const from = at;
    const tag = next();
    let start = at;
    const wire = tag % 8;
    if (wire === 0) next();
    else if (wire === 2) {
      const length = next();
      start = at;
      at += length;
    } else at += wire === 1 ? 8 : 4;
    if (at > bytes.length) throw new Error('The ONNX file ends too early.');
    yield { field: Math.floor(tag / 8), raw: bytes.subarray(from, at), content: bytes.subarray(start, at) };
  }
}

const textsOf = (bytes: Uint8Array, wanted: number): string[] => [...fieldsOf(bytes)].filter(({ field }) => field === wanted).map(({ content }) => new TextDecoder().decode(content));

/** What a node reads: its inputs, and whatever the graphs within it (of If and Loop) read from outside. NodeProto: attribute = 5; AttributeProto: g = 6, graphs = 11. */
function inputsOf(node: Uint8Array): string[] {
  const within = [...fieldsOf(node)].filter(({ field }) => field === 5).flatMap(({ content }) => [...fieldsOf(content)].filter(({ field }) => field === 6 || field === 11));
  return [...textsOf(node, 1), ...within.flatMap(({ content }) => [...fieldsOf(content)].filter(({ field }) => field === 1).flatMap(({ content: inner }) => inputsOf(inner)))].filter(Boolean);
}

/** TensorProto: data_type = 2. */
const typeOf = (tensor: Uint8Array | undefined): number | undefined => {
  const type = tensor && [...fieldsOf(tensor)].find(({ field }) => field === 2)?.content;
  return type && varint(type);
};

const varint = (bytes: Uint8Array): number => bytes.reduceRight((value, byte) => value * 128 + (byte & 127), 0);

/** ValueInfoProto: type = 2; TypeProto: tensor_type = 1; its shape = 2; dim = 1. Where nothing is said the batch is free. */
function batchOf(info: Uint8Array): Uint8Array {
  let bytes: Uint8Array | undefined = info;
  for (const wanted of [2, 1, 2, 1]) bytes = bytes && [...fieldsOf(bytes)].find(({ field }) => field === wanted)?.content;
  return bytes?.length ? bytes : message(2, utf8('N'));
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const size = (value: number) => number(1, value);

function valueInfo(name: string, dims: Uint8Array[]): Uint8Array {
  const shape = join(dims.map((dim) => message(1, dim)));
  return join([message(1, utf8(name)), message(2, message(1, join([number(1, 1), message(2, shape)])))]);
}

function node(op: string, output: string, inputs: string[], attributes: Uint8Array[]): Uint8Array {
  return join([...inputs.map((name) => message(1, utf8(name))), message(2, utf8(output)), message(3, utf8(output)), message(4, utf8(op)), ...attributes.map((one) => message(5, one))]);
}

/** AttributeProto: name = 1, i = 3, type = 20 (INT is 2). */
const attribute = (name: string, value: number) => join([message(1, utf8(name)), number(3, value), number(20, 2)]);

/** TensorProto: dims = 1, data_type = 2 (FLOAT is 1), name = 8, raw_data = 9. */
const floats = (name: string, shape: readonly number[], values: Float32Array) =>
  join([...shape.map((side) => number(1, side)), number(2, 1), message(8, utf8(name)), message(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))]);

function bytesOf(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const number = (field: number, value: number) => Uint8Array.from([...bytesOf(field * 8), ...bytesOf(value)]);
const message = (field: number, content: Uint8Array) => join([Uint8Array.from([...bytesOf(field * 8 + 2), ...bytesOf(content.length)]), content]);

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
