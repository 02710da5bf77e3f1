"""Writes ONNX files. A graph this plain needs some fifty lines of protobuf, not a package.

Field numbers are those of https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto; the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""
import numpy as np

# enum TensorProto.DataType
TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int64): 7}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One field: an int as a varint, everything else (bytes, text, a message) with its length in front."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode('utf-8')
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    """TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9 (little-endian)."""
    dims = b''.join(field(1, int(n)) for n in array.shape)
    return dims + field(2, TYPES[array.dtype]) + field(8, name) + field(9, np.ascontiguousarray(array).tobytes())


def attribute(name, value):
    """AttributeProto: name = 1, i = 3, ints = 8, type = 20 (INT = 2, INTS = 7)."""
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b''.join(field(8, n) for n in value) + field(20, 7)


def value_info(name, dtype, shape):
    """ValueInfoProto; a dimension is a number or, where it is free, a name."""
    dims = b''.join(field(1, field(1, n) if isinstance(n, int) else field(2, n)) for n in shape)
    return field(1, name) + field(2, field(1, field(1, TYPES[np.dtype(dtype)]) + field(2, dims)))


class Graph:
    def __init__(self, name):
        self.name, self.nodes, self.tensors, self.inputs, self.outputs = name, [], [], [], []

    def input(self, name, dtype, shape):
        self.inputs.append(value_info(name, dtype, shape))
        return name

    def output(self, name, dtype, shape):
        self.outputs.append(value_info(name, dtype, shape))

    def constant(self, name, array):
        self.tensors.append(tensor(name, array))
        return name

    def node(self, operator, inputs, output, **attributes):
        """NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5. Nodes bear their output's name."""
        self.nodes.append(
            b''.join(field(1, name) for name in inputs) + field(2, output) + field(3, output) + field(4, operator)
            + b''.join(field(5, attribute(name, value)) for name, value in attributes.items()))
        return output

    def save(self, path, producer, opset, ir_version):
        """ModelProto: ir_version = 1, producer_name = 2, graph = 7, opset_import = 8 (version = 2)."""
        graph = b''.join(
            [field(1, node) for node in self.nodes] + [field(2, self.name)] + [field(5, t) for t in self.tensors]
            + [field(11, info) for info in self.inputs] + [field(12, info) for info in self.outputs])
        with open(path, 'wb') as file:
            file.write(field(1, ir_version) + field(2, producer) + field(7, graph) + field(8, field(2, opset)))
