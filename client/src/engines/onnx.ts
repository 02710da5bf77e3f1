/**
 * Reads an ONNX file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) as far as running it asks for: nodes, their attributes, and the
 * weights, which are widened to 32-bit floats where they were stored in 16.
 */
export interface OnnxGraph {
  inputs: string[];
  outputs: string[];
  nodes: OnnxNode[];
  weights: Map<string, OnnxTensor>;
  /** The version of ONNX' own operators that the nodes are written in. */
  operatorSet: number;
}

export interface OnnxNode {
  op: string;
  name: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, OnnxAttribute>;
}

export interface OnnxAttribute {
  float?: number;
  int?: number;
  string?: string;
  ints: number[];
  floats: number[];
  tensor?: OnnxTensor;
}

export interface OnnxTensor {
  shape: number[];
  /** Integers are kept as floats too: shapes, axes and pads are small. */
  values: Float32Array;
}

export function readOnnx(bytes: Uint8Array): OnnxGraph {
  let content: Message | undefined;
  const graph: OnnxGraph = { inputs: [], outputs: [], nodes: [], weights: new Map(), operatorSet: 1 };
  // ModelProto: graph = 7, opset_import = 8; OperatorSetIdProto: domain = 1 (empty or "ai.onnx" for ONNX' own), version = 2
  for (const [field, value] of new Message(bytes).fields()) {
    if (field === 7) content = asMessage(value);
    if (field === 8 && ['', 'ai.onnx'].includes(asMessage(value).text(1))) graph.operatorSet = asMessage(value).number(2) ?? 1;
  }
  if (!content) throw new Error('The file has no ONNX graph.');
  // GraphProto: node = 1, initializer = 5, input = 11, output = 12
  for (const [field, value] of content.fields()) {
    if (field === 1) graph.nodes.push(readNode(asMessage(value)));
    if (field === 5) graph.weights.set(...readTensor(asMessage(value)));
    if (field === 11) graph.inputs.push(asMessage(value).text(1));
    if (field === 12) graph.outputs.push(asMessage(value).text(1));
  }
  return graph;
}

// NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5
function readNode(message: Message): OnnxNode {
  const node: OnnxNode = { op: '', name: '', inputs: [], outputs: [], attributes: new Map() };
  for (const [field, value] of message.fields()) {
    if (field === 1) node.inputs.push(asMessage(value).string());
    if (field === 2) node.outputs.push(asMessage(value).string());
    if (field === 3) node.name = asMessage(value).string();
    if (field === 4) node.op = asMessage(value).string();
    if (field === 5) node.attributes.set(...readAttribute(asMessage(value)));
  }
  return node;
}

// AttributeProto: name = 1, f = 2, i = 3, s = 4, t = 5, floats = 7, ints = 8
function readAttribute(message: Message): [string, OnnxAttribute] {
  let name = '';
  const attribute: OnnxAttribute = { ints: [], floats: [] };
  for (const [field, value] of message.fields()) {
    if (field === 1) name = asMessage(value).string();
    if (field === 2) attribute.float = Number(value);
    if (field === 3) attribute.int = Number(value);
    if (field === 4) attribute.string = asMessage(value).string();
    if (field === 5) attribute.tensor = readTensor(asMessage(value))[1];
    if (field === 7) attribute.floats.push(...(value instanceof Message ? value.floats() : [value]));
    if (field === 8) attribute.ints.push(...(value instanceof Message ? value.varints() : [value]));
  }
  return [name, attribute];
}

// TensorProto: dims = 1, data_type = 2, float_data = 4, int32_data = 5, int64_data = 7, name = 8, raw_data = 9
function readTensor(message: Message): [string, OnnxTensor] {
  const shape: number[] = [];
  let [name, type] = ['', 0];
  let values: Float32Array | undefined;
  let raw: Message | undefined;
  for (const [field, value] of message.fields()) {
    if (field === 1) shape.push(...(value instanceof Message ? value.varints() : [value]));
    if (field === 2) type = Number(value);
    if (field === 4) values = Float32Array.from(asMessage(value).floats());
    if (field === 5 || field === 7) values = Float32Array.from(asMessage(value).varints());
    if (field === 8) name = asMessage(value).string();
    if (field === 9) raw = asMessage(value);
  }
  return [name, { shape, values: raw ? rawValues(raw, type, name) : (values ?? new Float32Array()) }];
}

function rawValues(raw: Message, type: number, name: string): Float32Array {
  const bytes = raw.copy();
  switch (type) {
    case 1: // FLOAT
      return new Float32Array(bytes.buffer);
    case 10: // FLOAT16
      return halvesToFloats(new Uint16Array(bytes.buffer));
    case 7: // INT64
      return Float32Array.from(new BigInt64Array(bytes.buffer), Number);
    case 6: // INT32
      return Float32Array.from(new Int32Array(bytes.buffer));
    default:
      throw new Error(`The tensor '${name}' has the ONNX data type ${type}; 32- and 16-bit floats and integers are read.`);
  }
}

/** IEEE 754 half precision; of 65,536 values it is quicker to look each up. */
export function halvesToFloats(halves: Uint16Array): Float32Array {
  const table = new Float32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
    const magnitude = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[half] = half & 0x8000 ? -magnitude : magnitude;
  }
  return Float32Array.from(halves, (half) => table[half]!);
}

type FieldValue = number | Message;

/** The protobuf wire format (https://protobuf.dev/programming-guides/encoding/): varints, 32- and 64-bit numbers, and runs of bytes. */
class Message {
  private at: number;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array, private readonly start = 0, private readonly end = bytes.length) {
    this.at = start;
    this.view = new DataView(bytes.buffer, bytes.byteOffset);
  }

  *fields(): Generator<[number, FieldValue]> {
    for (this.at = this.start; this.at < this.end; ) {
      const tag = this.varint();
      yield [Math.floor(tag / 8), this.value(tag % 8)];
    }
  }

  only(wanted: number): Message | undefined {
    for (const [field, value] of this.fields()) if (field === wanted && value instanceof Message) return value;
    return undefined;
  }

  text(field: number): string {
    return this.only(field)?.string() ?? '';
  }

  number(wanted: number): number | undefined {
    for (const [field, value] of this.fields()) if (field === wanted && typeof value === 'number') return value;
    return undefined;
  }

  string(): string {
    return new TextDecoder().decode(this.bytes.subarray(this.start, this.end));
  }

  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(this.start, this.end);
  }

  varints(): number[] {
    const numbers: number[] = [];
    for (this.at = this.start; this.at < this.end; ) numbers.push(this.varint());
    return numbers;
  }

  floats(): number[] {
    return Array.from({ length: (this.end - this.start) / 4 }, (_, i) => this.view.getFloat32(this.start + i * 4, true));
  }

  private value(wireType: number): FieldValue {
    switch (wireType) {
      case 0:
        return this.varint();
      case 1:
        return this.view.getFloat64((this.at += 8) - 8, true);
      case 2: {
        const length = this.varint();
        const start = this.at;
        if (start + length > this.end) throw new Error('The ONNX file ends too early.');
        this.at += length;
        return new Message(this.bytes, start, start + length);
      }
      case 5:
        return this.view.getFloat32((this.at += 4) - 4, true);
      default:
        throw new Error(`The ONNX file is damaged: ${wireType} is no protobuf wire type.`);
    }
  }

  /** Two's complement in ten bytes where negative, as axes are. */
  private varint(): number {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error('The ONNX file ends too early.');
      result |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, result));
    }
  }
}

function asMessage(value: FieldValue): Message {
  if (value instanceof Message) return value;
  throw new Error('The ONNX file is damaged: a number stands where a message should.');
}
