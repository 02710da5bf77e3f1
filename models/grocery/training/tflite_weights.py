"""Reads the weights of a convolutional network out of a TensorFlow Lite file.

Only what a chain of convolutions needs is read: tensors, their quantization, and the operators in
the order in which they run. Quantized weights are dequantized, real = scale * (q - zero_point).

The file is a FlatBuffer. Field numbers are those of the schema:
https://github.com/tensorflow/tensorflow/blob/v2.16.1/tensorflow/lite/schema/schema.fbs
"""
import struct

import numpy as np

# enum TensorType, enum BuiltinOperator
TENSOR_TYPES = {0: np.float32, 2: np.int32, 3: np.uint8, 9: np.int8}
CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED = 3, 4, 9


class Table:
    """A FlatBuffers table: a vtable of field offsets, then the fields."""

    # https://flatbuffers.dev/internals/: a table begins with the signed distance back to its vtable;
    # the vtable begins with its own size and the table's, then one 16-bit offset for each field.
    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from('<i', data, at)[0]
        self.fields = struct.unpack_from('<H', data, self.vtable)[0] // 2 - 2

    def _field(self, number):
        """Where the field lies, or 0 when the file leaves it at its default."""
        if number >= self.fields:
            return 0
        offset = struct.unpack_from('<H', self.data, self.vtable + 4 + 2 * number)[0]
        return self.at + offset if offset else 0

    def _follow(self, at):
        return at + struct.unpack_from('<I', self.data, at)[0]

    def scalar(self, number, form, default=0):
        at = self._field(number)
        return struct.unpack_from('<' + form, self.data, at)[0] if at else default

    def string(self, number):
        return self.vector(number, np.uint8).tobytes().decode('utf-8')

    def vector(self, number, dtype):
        at = self._field(number)
        if not at:
            return np.empty(0, dtype)
        at = self._follow(at)
        count = struct.unpack_from('<I', self.data, at)[0]
        return np.frombuffer(self.data, dtype, count, at + 4)

    def tables(self, number):
        at = self._field(number)
        if not at:
            return []
        at = self._follow(at)
        count = struct.unpack_from('<I', self.data, at)[0]
        return [Table(self.data, self._follow(at + 4 + 4 * i)) for i in range(count)]

    def table(self, number):
        at = self._field(number)
        return Table(self.data, self._follow(at)) if at else None


def read_layers(path):
    """The file's convolutions and fully connected layers as (operator, weights, bias), in running order.

    Weights keep TensorFlow Lite's layout: OHWI for convolutions, 1HWC for depthwise ones, OI for
    fully connected ones. Batch normalisation is already folded into them.
    """
    with open(path, 'rb') as file:
        data = file.read()
    if data[4:8] != b'TFL3':
        raise ValueError(f'{path} is not a TensorFlow Lite file: the identifier is {data[4:8]!r}, not b\'TFL3\'.')

    model = Table(data, struct.unpack_from('<I', data, 0)[0])
    # A code over 127 does not fit the old 8-bit field 0; field 3 is its successor. The larger one counts.
    codes = [max(code.scalar(0, 'b'), code.scalar(3, 'i')) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)

    def dequantized(index):
        tensor = tensors[index]
        shape = tensor.vector(0, np.int32)
        values = buffers[tensor.scalar(2, 'I')].vector(0, np.uint8)
        values = values.view(TENSOR_TYPES[tensor.scalar(1, 'b')]).reshape(shape)
        quantization = tensor.table(4)
        scale = quantization.vector(2, np.float32) if quantization else []
        if len(scale) == 0:
            return values.astype(np.float32)
        # One scale for the tensor, or one for each slice along quantized_dimension (field 6).
        along = [1] * len(shape)
        along[quantization.scalar(6, 'i')] = -1
        zero = quantization.vector(3, np.int64)
        return ((values.astype(np.float64) - zero.reshape(along)) * scale.reshape(along)).astype(np.float32)

    layers = []
    for operator in graph.tables(3):
        code = codes[operator.scalar(0, 'I')]
        if code in (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED):
            _, weights, bias = operator.vector(1, np.int32)
            layers.append((code, dequantized(weights), dequantized(bias)))
    return layers
