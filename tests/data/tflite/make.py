#!/usr/bin/python3
"""Writes the small TensorFlow Lite models of this folder and their inputs; answers.mjs then asks TensorFlow Lite itself for the outputs.

    /usr/bin/python3 make.py            (Debian's python3-numpy)
    node answers.mjs NPM                (NPM: a folder where `npm i --legacy-peer-deps @tensorflow/tfjs-tflite@0.0.1-alpha.10` was run)

A FlatBuffer here is written front to back: a table is a dict from field number to value, its parts follow it. Field numbers are those of
tensorflow/lite/schema/schema.fbs and, for metadata, tflite-support's metadata_schema.fbs.
"""
import io
import json
import os
import struct
import zipfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(20240229)

OPERATORS = dict(
    ADD=0, AVERAGE_POOL_2D=1, CONCATENATION=2, CONV_2D=3, DEPTHWISE_CONV_2D=4, DEPTH_TO_SPACE=5, DEQUANTIZE=6, FLOOR=8, FULLY_CONNECTED=9, L2_NORMALIZATION=11,
    LOCAL_RESPONSE_NORMALIZATION=13, LOGISTIC=14, LSTM=16, MAX_POOL_2D=17, MUL=18, RELU=19, RELU_N1_TO_1=20, RELU6=21, RESHAPE=22, RESIZE_BILINEAR=23, SOFTMAX=25,
    SPACE_TO_DEPTH=26, TANH=28, CUSTOM=32, PAD=34, GATHER=36, TRANSPOSE=39, MEAN=40, SUB=41, DIV=42, SQUEEZE=43, STRIDED_SLICE=45, EXP=47, SPLIT=49, LOG_SOFTMAX=50, CAST=53,
    PRELU=54, MAXIMUM=55, ARG_MAX=56, MINIMUM=57, NEG=59, PADV2=60, SLICE=65, SIN=66, TRANSPOSE_CONV=67, EXPAND_DIMS=70, LOG=73, SUM=74, SQRT=75, RSQRT=76, SHAPE=77, POW=78,
    REDUCE_PROD=81, REDUCE_MAX=82, PACK=83, UNPACK=88, REDUCE_MIN=89, SQUARE=92, RESIZE_NEAREST_NEIGHBOR=97, LEAKY_RELU=98, SQUARED_DIFFERENCE=99, MIRROR_PAD=100, ABS=101,
    SPLIT_V=102, CEIL=104, ADD_N=106, COS=108, ELU=111, QUANTIZE=114, ROUND=116, HARD_SWISH=117, IF=118, BATCH_MATMUL=126, CALL_ONCE=129, VAR_HANDLE=142, READ_VARIABLE=143,
    GELU=150)

# The place of an operator's options in the union BuiltinOptions.
OPTIONS = dict(
    CONV_2D=1, DEPTHWISE_CONV_2D=2, AVERAGE_POOL_2D=5, MAX_POOL_2D=5, FULLY_CONNECTED=8, SOFTMAX=9, CONCATENATION=10, ADD=11, LOCAL_RESPONSE_NORMALIZATION=13, RESIZE_BILINEAR=15,
    RESHAPE=17, SPACE_TO_DEPTH=19, MUL=21, PAD=22, GATHER=23, MEAN=27, SUM=27, REDUCE_MAX=27, REDUCE_MIN=27, REDUCE_PROD=27, SUB=28, DIV=29, SQUEEZE=30, STRIDED_SLICE=32, SPLIT=35,
    CAST=37, ARG_MAX=40, TRANSPOSE_CONV=49, SHAPE=55, PACK=59, UNPACK=64, RESIZE_NEAREST_NEIGHBOR=74, LEAKY_RELU=75, MIRROR_PAD=77, SPLIT_V=79, IF=92, DEPTH_TO_SPACE=94,
    BATCH_MATMUL=101, GELU=116)

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int8": 9, "resource": 13}
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3
SAME, VALID = 0, 1


def flatbuffer(root, identifier):
    """Lays a tree of tables out as a FlatBuffer. Numbers are pairs of a struct format and a value; vectors of numbers are numpy arrays."""
    out = bytearray(8)
    out[4:8] = identifier
    pending = [(0, root)]  # where an offset waits for the part that it leads to

    def align(size, extra=0):
        while (len(out) + extra) % size:
            out.append(0)

    while pending:
        at, part = pending.pop(0)
        if isinstance(part, dict):
            fields = sorted(part)
            scalars = {field: part[field] if isinstance(part[field], tuple) else ("I", 0) for field in fields}
            # Largest first, after the offset to the vtable; every field at a multiple of its size.
            offsets, size = {}, 4
            for field in sorted(fields, key=lambda field: -struct.calcsize(scalars[field][0])):
                width = struct.calcsize(scalars[field][0])
                size += -size % width
                offsets[field] = size
                size += width
            vtable = struct.pack("<HH", 4 + 2 * (max(fields, default=-1) + 1), size)
            vtable += b"".join(struct.pack("<H", offsets.get(field, 0)) for field in range(max(fields, default=-1) + 1))
            align(8, len(vtable))
            start = len(out)
            out += vtable
            table = len(out)
            out += struct.pack("<i", table - start) + bytes(size - 4)
            for field in fields:
                if isinstance(part[field], tuple):
                    struct.pack_into("<" + part[field][0], out, table + offsets[field], part[field][1])
                else:
                    pending.append((table + offsets[field], part[field]))
            target = table
        elif isinstance(part, str):
            align(4)
            target = len(out)
            text = part.encode()
            out += struct.pack("<I", len(text)) + text + b"\0"
        elif isinstance(part, list):
            align(4)
            target = len(out)
            out += struct.pack("<I", len(part)) + bytes(4 * len(part))
            pending += [(target + 4 + 4 * i, item) for i, item in enumerate(part)]
        else:  # numpy; the schema wants the bytes of buffers at multiples of 16
            align(16 if part.dtype.itemsize == 1 else 8, extra=4)
            target = len(out)
            out += struct.pack("<I", part.size) + part.tobytes()
        struct.pack_into("<I", out, at, target - at)
    return bytes(out)


class Model:
    """A graph in the making. Tensors are numbers; operators append and answer the number of their (first) result."""

    def __init__(self):
        self.tensors, self.buffers, self.operators, self.codes, self.inputs, self.outputs, self.values = [], [{}], [], [], [], [], {}

    def tensor(self, shape, dtype="float32", data=None, quant=None, signature=None, name=None):
        if data is not None:
            self.buffers.append({0: np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)})
        table = {0: np.array(shape, np.int32), 1: ("b", TYPES[dtype]), 2: ("I", len(self.buffers) - 1 if data is not None else 0), 3: name or f"t{len(self.tensors)}"}
        if quant:
            scales, zeros, axis = quant
            table[4] = {2: np.atleast_1d(np.array(scales, np.float32)), 3: np.atleast_1d(np.array(zeros, np.int64)), 6: ("i", axis)}
        if signature:
            table[7] = np.array(signature, np.int32)
        self.tensors.append(table)
        return len(self.tensors) - 1

    def input(self, data, quant=None, signature=None, name="input"):
        index = self.tensor(data.shape, str(data.dtype), quant=quant, signature=signature, name=name)
        self.inputs.append(index)
        self.values[name] = data
        return index

    def const(self, data, quant=None, name=None):
        return self.tensor(data.shape, str(data.dtype), data, quant, name=name)

    def ints(self, *values):
        return self.const(np.array(values, np.int32))

    def op(self, name, inputs, shapes, dtype="float32", quant=None, options=None, custom=None, signature=None):
        shapes = shapes if isinstance(shapes, list) else [shapes]
        outputs = [self.tensor(shape, dtype, quant=quant, signature=signature, name=f"{name.lower()}_{len(self.operators)}") for shape in shapes]
        code = (OPERATORS[name], custom)
        if code not in self.codes:
            self.codes.append(code)
        table = {0: ("I", self.codes.index(code)), 1: np.array(inputs, np.int32), 2: np.array(outputs, np.int32)}
        if name in OPTIONS:
            table[3] = ("B", OPTIONS[name])
            table[4] = options or {}
        self.operators.append(table)
        return outputs[0] if len(outputs) == 1 else outputs

    def write(self, name, metadata=None, appended=b""):
        def code(number, custom):
            return {0: ("b", min(number, 127)), 2: ("i", 1), 3: ("i", number)} | ({1: custom} if custom else {})

        graph = {0: self.tensors, 1: np.array(self.inputs, np.int32), 2: np.array(self.outputs, np.int32), 3: self.operators, 4: name}
        model = {0: ("I", 3), 1: [code(*entry) for entry in self.codes], 2: [graph], 3: "tests", 4: self.buffers}
        if metadata:
            self.buffers.append({0: np.frombuffer(metadata, np.uint8)})
            model[6] = [{0: "TFLITE_METADATA", 1: ("I", len(self.buffers) - 1)}]
        with open(os.path.join(HERE, f"{name}.tflite"), "wb") as file:
            file.write(flatbuffer(model, b"TFL3") + appended)
        return {"inputs": {key: {"type": str(value.dtype), "shape": list(value.shape), "data": [json.loads(str(item)) for item in value.ravel()]} for key, value in self.values.items()}}


def uniform(*shape, low=-2.0, high=2.0):
    return random.uniform(low, high, shape).round(3).astype(np.float32)


def conv_options(padding, stride, activation=NONE, dilation=1):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("b", activation), 4: ("i", dilation), 5: ("i", dilation)}


def depthwise_options(padding, stride, multiplier, activation=NONE, dilation=1):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", multiplier), 4: ("b", activation), 5: ("i", dilation), 6: ("i", dilation)}


def pool_options(padding, stride, height, width, activation=NONE):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", width), 4: ("i", height), 5: ("b", activation)}


models = {}


# ---- floats -----------------------------------------------------------------------------------------------------------------------------------------

def convolutions():
    m = Model()
    x = m.input(uniform(1, 7, 8, 3))
    filters = m.const(uniform(4, 3, 3, 3))
    bias = m.const(uniform(4))
    m.outputs = [
        m.op("CONV_2D", [x, filters, bias], (1, 4, 4, 4), options=conv_options(SAME, 2, RELU6)),
        m.op("CONV_2D", [x, filters, bias], (1, 3, 4, 4), options=conv_options(VALID, 1, RELU, dilation=2)),
        m.op("CONV_2D", [x, filters, bias], (1, 7, 8, 4), options=conv_options(SAME, 1, dilation=2)),
        m.op("DEPTHWISE_CONV_2D", [x, m.const(uniform(1, 3, 2, 6)), m.const(uniform(6))], (1, 5, 7, 6), options=depthwise_options(VALID, 1, 2, RELU_N1)),
        m.op("DEPTHWISE_CONV_2D", [x, m.const(uniform(1, 3, 3, 3)), m.const(uniform(3))], (1, 4, 4, 3), options=depthwise_options(SAME, 2, 1)),
    ]
    models["convolutions"] = m.write("convolutions")


def transposed_convolutions():
    m = Model()
    x = m.input(uniform(1, 3, 4, 2))
    filters = m.const(uniform(3, 3, 3, 2))

    def up(height, width, padding, stride):
        return m.op("TRANSPOSE_CONV", [m.ints(1, height, width, 3), filters, x], (1, height, width, 3), options={0: ("b", padding), 1: ("i", stride), 2: ("i", stride)})

    m.outputs = [up(6, 8, SAME, 2), up(5, 7, SAME, 2), up(7, 9, VALID, 2), up(5, 6, VALID, 1), up(8, 10, VALID, 2)]
    models["transposed-convolutions"] = m.write("transposed-convolutions")


def products():
    m = Model()
    x = m.input(uniform(1, 2, 3, 4))
    weights = m.const(uniform(5, 24, low=-1, high=1))
    narrow = m.const(uniform(6, 4))
    m.outputs = [
        m.op("FULLY_CONNECTED", [x, weights, m.const(uniform(5))], (1, 5), options={0: ("b", RELU)}),
        m.op("FULLY_CONNECTED", [x, weights, -1], (1, 5)),
        m.op("FULLY_CONNECTED", [x, narrow, m.const(uniform(6))], (1, 2, 3, 6), options={2: ("B", 1)}),
        m.op("BATCH_MATMUL", [x, m.const(uniform(1, 2, 4, 3))], (1, 2, 3, 3)),
        m.op("BATCH_MATMUL", [x, m.const(uniform(1, 2, 5, 4))], (1, 2, 3, 5), options={1: ("B", 1)}),
        m.op("BATCH_MATMUL", [x, m.const(uniform(1, 2, 3, 2))], (1, 2, 4, 2), options={0: ("B", 1)}),
    ]
    models["products"] = m.write("products")


def pooling():
    m = Model()
    x = m.input(uniform(1, 7, 6, 3))
    m.outputs = [
        m.op("AVERAGE_POOL_2D", [x], (1, 4, 3, 3), options=pool_options(SAME, 2, 3, 3)),
        m.op("AVERAGE_POOL_2D", [x], (1, 1, 1, 3), options=pool_options(VALID, 1, 7, 6)),
        m.op("MAX_POOL_2D", [x], (1, 4, 3, 3), options=pool_options(SAME, 2, 3, 3)),
        m.op("MAX_POOL_2D", [x], (1, 3, 3, 3), options=pool_options(VALID, 2, 3, 2, RELU)),
        m.op("MEAN", [x, m.ints(1, 2)], (1, 3), options={0: ("B", 0)}),
        m.op("MEAN", [x, m.ints(1, 2)], (1, 1, 1, 3), options={0: ("B", 1)}),
        m.op("SUM", [x, m.ints(-1)], (1, 7, 6), options={0: ("B", 0)}),
        m.op("REDUCE_MAX", [x, m.ints(1)], (1, 1, 6, 3), options={0: ("B", 1)}),
        m.op("REDUCE_MIN", [x, m.ints(1)], (1, 6, 3), options={0: ("B", 0)}),
        m.op("REDUCE_PROD", [x, m.ints(3)], (1, 7, 6), options={0: ("B", 0)}),
        m.op("ARG_MAX", [x, m.ints(3)], (1, 7, 6), "int32", options={0: ("b", 2)}),
    ]
    models["pooling"] = m.write("pooling")


def activations():
    m = Model()
    x = m.input(uniform(1, 2, 5, 3, low=-8, high=8))
    m.outputs = [m.op(name, [x], (1, 2, 5, 3)) for name in
                 ["RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "HARD_SWISH", "LOG_SOFTMAX", "L2_NORMALIZATION"]]
    m.outputs += [
        m.op("LEAKY_RELU", [x], (1, 2, 5, 3), options={0: ("f", 0.3)}),
        m.op("PRELU", [x, m.const(uniform(1, 1, 3))], (1, 2, 5, 3)),
        m.op("GELU", [x], (1, 2, 5, 3), options={0: ("B", 0)}),
        m.op("GELU", [x], (1, 2, 5, 3), options={0: ("B", 1)}),
        m.op("SOFTMAX", [x], (1, 2, 5, 3), options={0: ("f", 1.0)}),
        m.op("SOFTMAX", [x], (1, 2, 5, 3), options={0: ("f", 0.25)}),
        m.op("LOCAL_RESPONSE_NORMALIZATION", [x], (1, 2, 5, 3), options={0: ("i", 1), 1: ("f", 1.0), 2: ("f", 0.5), 3: ("f", 0.75)}),
    ]
    models["activations"] = m.write("activations")


def arithmetic():
    m = Model()
    x = m.input(uniform(1, 3, 4, 2, low=0.25, high=3))
    y = m.const(uniform(2, low=0.5, high=2))
    shape = (1, 3, 4, 2)
    m.outputs = [m.op(name, [x, y], shape, options={0: ("b", activation)}) for name, activation in [("ADD", RELU6), ("SUB", RELU), ("MUL", NONE), ("DIV", RELU_N1)]]
    m.outputs += [m.op(name, [x, y], shape) for name in ["MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"]]
    m.outputs += [m.op(name, [x], shape) for name in ["EXP", "LOG", "SQRT", "RSQRT", "NEG", "SQUARE", "SIN", "COS", "FLOOR", "CEIL", "ROUND"]]
    m.outputs += [m.op("ABS", [m.outputs[1]], shape), m.op("ADD_N", [x, x, m.outputs[0]], shape)]
    models["arithmetic"] = m.write("arithmetic")


def shapes():
    m = Model()
    x = m.input(uniform(1, 4, 6, 2))
    parts = m.op("SPLIT", [m.ints(2), x], [(1, 4, 2, 2)] * 3, options={0: ("i", 3)})
    uneven = m.op("SPLIT_V", [x, m.ints(1, 5), m.ints(2)], [(1, 4, 1, 2), (1, 4, 5, 2)], options={0: ("i", 2)})
    unpacked = m.op("UNPACK", [x], [(1, 4, 6)] * 2, options={0: ("i", 2), 1: ("i", 3)})
    m.outputs = [
        m.op("CONCATENATION", [parts[2], parts[0]], (1, 4, 4, 2), options={0: ("i", 2)}),
        m.op("CONCATENATION", [uneven[1], uneven[0]], (1, 4, 6, 2), options={0: ("i", -2)}),
        m.op("PACK", [unpacked[1], unpacked[0]], (1, 2, 4, 6), options={0: ("i", 2), 1: ("i", 1)}),
        m.op("RESHAPE", [x, m.ints(1, -1, 3)], (1, 16, 3)),
        m.op("RESHAPE", [x], (6, 8), options={0: np.array([6, 8], np.int32)}),
        m.op("EXPAND_DIMS", [x, m.ints(-1)], (1, 4, 6, 2, 1)),
        m.op("TRANSPOSE", [x, m.ints(0, 3, 1, 2)], (1, 2, 4, 6)),
        m.op("PAD", [x, m.const(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))], (1, 7, 7, 2)),
        m.op("PADV2", [x, m.const(np.array([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32)), m.const(np.array(1.5, np.float32))], (1, 5, 9, 2)),
        m.op("MIRROR_PAD", [x, m.const(np.array([[0, 0], [2, 1], [1, 2], [0, 0]], np.int32))], (1, 7, 9, 2), options={0: ("b", 0)}),
        m.op("MIRROR_PAD", [x, m.const(np.array([[0, 0], [1, 1], [0, 1], [0, 0]], np.int32))], (1, 6, 7, 2), options={0: ("b", 1)}),
        m.op("SLICE", [x, m.ints(0, 1, 2, 0), m.ints(1, 2, -1, 1)], (1, 2, 4, 1)),
        m.op("GATHER", [x, m.ints(3, 0)], (1, 2, 6, 2), options={0: ("i", 1)}),
        m.op("DEPTH_TO_SPACE", [m.op("SPACE_TO_DEPTH", [x], (1, 2, 3, 8), options={0: ("i", 2)})], (1, 4, 6, 2), options={0: ("i", 2)}),
        m.op("SPACE_TO_DEPTH", [x], (1, 2, 3, 8), options={0: ("i", 2)}),
        m.op("SQUEEZE", [m.op("MEAN", [x, m.ints(1, 2)], (1, 1, 1, 2), options={0: ("B", 1)})], (1, 2), options={0: np.array([1, 2], np.int32)}),
        m.op("CAST", [m.op("CAST", [x], (1, 4, 6, 2), "int32", options={0: ("b", 0), 1: ("b", 2)})], (1, 4, 6, 2), options={0: ("b", 2), 1: ("b", 0)}),
    ]
    models["shapes"] = m.write("shapes")


def slices():
    m = Model()
    x = m.input(uniform(1, 4, 6, 3))

    def cut(shape, start, stop, steps, **masks):
        options = {field: ("i", masks.get(name, 0)) for field, name in enumerate(["begin", "end", "ellipsis", "new", "shrink"])}
        return m.op("STRIDED_SLICE", [x, m.ints(*start), m.ints(*stop), m.ints(*steps)], shape, options=options)

    m.outputs = [
        cut((1, 2, 3, 3), [0, 1, 0, 0], [1, 3, 6, 3], [1, 1, 2, 1]),
        cut((1, 4, 6, 3), [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, -1], begin=15, end=15),  # RGB to BGR
        cut((1, 6, 3), [0, -1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], begin=13, end=13, shrink=2),
        cut((1, 3, 5, 3), [0, 1, 1], [0, 4, 6], [1, 1, 1], begin=1, end=1),
        cut((1, 1, 4, 6, 3), [0, 0], [0, 0], [1, 1], begin=1, end=1, new=2),
    ]
    models["slices"] = m.write("slices")


def resizing():
    m = Model()
    x = m.input(uniform(1, 4, 5, 2))
    m.outputs = []
    for height, width in [(7, 9), (2, 3)]:
        for aligned, half in [(0, 0), (1, 0), (0, 1)]:
            m.outputs.append(m.op("RESIZE_BILINEAR", [x, m.ints(height, width)], (1, height, width, 2), options={2: ("B", aligned), 3: ("B", half)}))
            m.outputs.append(m.op("RESIZE_NEAREST_NEIGHBOR", [x, m.ints(height, width)], (1, height, width, 2), options={0: ("B", aligned), 1: ("B", half)}))
    models["resizing"] = m.write("resizing")


def free_batch():
    """A free batch is flattened by arithmetic on the shape, as Keras' Flatten and Reshape convert."""
    m = Model()
    x = m.input(uniform(1, 3, 4, 2), signature=[-1, 3, 4, 2])
    shape = m.op("SHAPE", [x], (4,), "int32", options={0: ("b", 2)})
    batch = m.op("STRIDED_SLICE", [shape, m.ints(0), m.ints(1), m.ints(1)], (), "int32", options={0: ("i", 0), 1: ("i", 0), 2: ("i", 0), 3: ("i", 0), 4: ("i", 1)})
    target = m.op("PACK", [batch, m.const(np.array(24, np.int32))], (2,), "int32", options={0: ("i", 2), 1: ("i", 0)})
    flat = m.op("RESHAPE", [x, target], (1, 24), signature=[-1, 24])
    m.outputs = [m.op("FULLY_CONNECTED", [flat, m.const(uniform(3, 24)), m.const(uniform(3))], (1, 3), signature=[-1, 3])]
    models["free-batch"] = m.write("free-batch")


def half_precision():
    m = Model()
    x = m.input(uniform(1, 5, 5, 3))
    filters = m.op("DEQUANTIZE", [m.const(uniform(4, 3, 3, 3).astype(np.float16))], (4, 3, 3, 3))
    bias = m.op("DEQUANTIZE", [m.const(uniform(4).astype(np.float16))], (4,))
    m.outputs = [m.op("CONV_2D", [x, filters, bias], (1, 5, 5, 4), options=conv_options(SAME, 1))]
    models["half-precision"] = m.write("half-precision")


# ---- quantized --------------------------------------------------------------------------------------------------------------------------------------

def eight_bit_weights(name, twin):
    """Dynamic range: TensorFlow Lite rounds the activations too, so only the float twin tells what is right."""
    state = np.random.default_rng(7)
    m = Model()
    x = m.input(state.uniform(-2, 2, (1, 5, 5, 3)).round(3).astype(np.float32))

    def weights(shape, axis):
        scales = state.uniform(0.005, 0.02, shape[axis]).astype(np.float32)
        values = state.integers(-127, 128, shape).astype(np.int8)
        spread = scales.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return m.const((values * spread).astype(np.float32)) if twin else m.const(values, quant=(scales, [0] * len(scales), axis))

    conv = m.op("CONV_2D", [x, weights((4, 3, 3, 3), 0), m.const(np.array([1, -1, 0.5, 0], np.float32))], (1, 5, 5, 4), options=conv_options(SAME, 1, RELU))
    depthwise = m.op("DEPTHWISE_CONV_2D", [conv, weights((1, 3, 3, 4), 3), m.const(np.zeros(4, np.float32))], (1, 3, 3, 4), options=depthwise_options(VALID, 1, 1))
    m.outputs = [m.op("FULLY_CONNECTED", [depthwise, weights((3, 36), 0), -1], (1, 3))]
    models[name] = m.write(name)


def network(name, kind, input_kind, fused, twin):
    """A small quantized classifier: convolution, depthwise, addition, pooling, dense, softmax. Its twin computes the same in floats."""
    state = np.random.default_rng(11)
    m = Model()
    shift = 128 if kind == "int8" else 0
    data = state.integers(0, 256, (1, 12, 12, 3))
    if twin:
        x = m.input(((data - 127) / 127.5).astype(np.float32))
    else:
        x = m.input((data - (128 if input_kind == "int8" else 0)).astype(input_kind), quant=(1 / 127.5, 127 if input_kind == "uint8" else -1, 0))
    if input_kind != kind and not twin:
        x = m.op("QUANTIZE", [x], (1, 12, 12, 3), kind, quant=(1 / 127.5, 127 - shift, 0))

    def layer(shape, axis, input_scale, channels_scaled):
        """Weights and bias, with a scale per channel where int8 has them."""
        count = shape[axis] if channels_scaled else 1
        scales = state.uniform(0.004, 0.012, count).astype(np.float32)
        values = state.integers(-127, 128, shape) if kind == "int8" else state.integers(0, 256, shape)
        bias = state.integers(-2000, 2000, shape[axis])
        zero = 0 if kind == "int8" else 121
        bias_scales = (np.float32(input_scale) * scales).astype(np.float32)
        if twin:
            spread = scales.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            return m.const(((values - zero) * spread).astype(np.float32)), m.const((bias * bias_scales).astype(np.float32))
        return (m.const(values.astype(kind), quant=(scales, [zero] * count, axis)), m.const(bias.astype(np.int32), quant=(bias_scales, [0] * count, 0)))

    def result(scale, zero):
        return {} if twin else dict(dtype=kind, quant=(scale, zero - shift, 0))

    # With a zero point of 90 the range begins below zero: the fused activation has to be done, the range does not do it.
    conv_scale, conv_zero = (0.0235294, 0) if fused == RELU6 else (0.04, 90)
    w, b = layer((6, 3, 3, 3), 0, 1 / 127.5, kind == "int8")
    conv = m.op("CONV_2D", [x, w, b], (1, 6, 6, 6), options=conv_options(SAME, 2, fused), **result(conv_scale, conv_zero))
    w, b = layer((1, 3, 3, 6), 3, conv_scale, kind == "int8")
    depthwise = m.op("DEPTHWISE_CONV_2D", [conv, w, b], (1, 6, 6, 6), options=depthwise_options(SAME, 1, 1, NONE), **result(0.12, 130))
    added = m.op("ADD", [conv, depthwise], (1, 6, 6, 6), options={0: ("b", RELU)}, **result(0.12, 130))
    joined = m.op("CONCATENATION", [added, depthwise], (1, 6, 6, 12), options={0: ("i", 3)}, **result(0.12, 130))
    pooled = m.op("MAX_POOL_2D", [joined], (1, 3, 3, 12), options=pool_options(VALID, 2, 2, 2), **result(0.12, 130))
    # Nine values: an average is never a half, which ONNX rounds to even and TensorFlow Lite away from zero.
    averaged = m.op("AVERAGE_POOL_2D", [pooled], (1, 1, 1, 12), options=pool_options(VALID, 1, 3, 3), **result(0.12, 130))
    flat = m.op("RESHAPE", [averaged, m.ints(1, 12)], (1, 12), **result(0.12, 130))
    w, b = layer((5, 12), 0, 0.12, False)  # TensorFlow Lite's dense layer knows one scale only in the version that answers.mjs runs
    dense = m.op("FULLY_CONNECTED", [flat, w, b], (1, 5), **result(0.08, 120))
    softmax = m.op("SOFTMAX", [dense], (1, 5), options={0: ("f", 1.0)}, **({} if twin else dict(dtype=kind, quant=(1 / 256, 0 - shift, 0))))
    m.outputs = [softmax, dense, averaged, conv]
    models[name] = m.write(name)


def quantized_edges():
    """Floats outside, 8 bits inside."""
    m = Model()
    x = m.input(uniform(1, 6, 6, 2))
    q = m.op("QUANTIZE", [x], (1, 6, 6, 2), "int8", quant=(0.016, 3, 0))
    w = m.const(random.integers(-127, 128, (3, 1, 1, 2)).astype(np.int8), quant=([0.01, 0.02, 0.005], [0, 0, 0], 0))
    b = m.const(np.array([100, -200, 300], np.int32), quant=((0.016 * np.array([0.01, 0.02, 0.005])).astype(np.float32), [0, 0, 0], 0))
    y = m.op("CONV_2D", [q, w, b], (1, 6, 6, 3), "int8", (0.05, -20, 0), conv_options(SAME, 1))
    y = m.op("LOGISTIC", [y], (1, 6, 6, 3), "int8", (1 / 256, -128, 0))
    y = m.op("PAD", [y, m.const(np.array([[0, 0], [1, 1], [0, 0], [0, 0]], np.int32))], (1, 8, 6, 3), "int8", (1 / 256, -128, 0))
    y = m.op("MEAN", [y, m.ints(1, 2)], (1, 3), "int8", (1 / 200, -128, 0), options={0: ("B", 0)})
    m.outputs = [m.op("DEQUANTIZE", [y], (1, 3))]
    models["quantized-edges"] = m.write("quantized-edges")


# ---- metadata and refusals --------------------------------------------------------------------------------------------------------------------------

def described():
    """Normalisation in the metadata, labels in an archive at the end."""
    metadata = flatbuffer({0: "described", 3: [{
        2: [{0: "image", 4: [{0: ("B", 1), 1: {0: np.array([123.5, 116, 104], np.float32), 1: np.array([58.5, 57, 57.5], np.float32)}}]}],
        3: [{0: "probability", 6: [{0: "labels.txt", 2: ("b", 2)}]}]}]}, b"M001")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as labels:
        labels.writestr(zipfile.ZipInfo("labels.txt", (2024, 2, 29, 0, 0, 0)), "apple\npear\nplum\n")
    m = Model()
    x = m.input(uniform(1, 4, 4, 3))
    m.outputs = [m.op("SOFTMAX", [m.op("MEAN", [x, m.ints(1, 2)], (1, 3), options={0: ("B", 0)})], (1, 3), options={0: ("f", 1.0)})]
    models["described"] = m.write("described", metadata, archive.getvalue())


def refused():
    for name, op, custom in [("refused-lstm", "LSTM", None), ("refused-custom", "CUSTOM", "FlexErf"), ("refused-control-flow", "IF", None)]:
        m = Model()
        m.outputs = [m.op(op, [m.input(uniform(1, 4))], (1, 4), custom=custom)]
        m.write(name)


def augmented():
    """Pixels ÷ 255, then noise from a generator's state that a variable keeps, then the network: what a file has whose augmentation stayed on."""
    m = Model()
    x = m.input(uniform(1, 8, 8, 3))
    state = m.op("READ_VARIABLE", [m.op("VAR_HANDLE", [], (1,), "resource")], (3,), "int64")
    m.op("CALL_ONCE", [], [])
    scaled = m.op("MUL", [x, m.const(np.float32(1 / 255).reshape(1))], (1, 8, 8, 3), options={0: ("b", NONE)})
    noise = m.op("CUSTOM", [state], (1, 8, 8, 3), custom="FlexStatelessRandomUniformV2")
    noisy = m.op("ADD", [scaled, noise], (1, 8, 8, 3), options={0: ("b", NONE)})
    m.outputs = [m.op("SOFTMAX", [m.op("MEAN", [noisy, m.ints(1, 2)], (1, 3), options={0: ("B", 0)})], (1, 3), options={0: ("f", 1.0)})]
    m.write("augmented")


for make in [convolutions, transposed_convolutions, products, pooling, activations, arithmetic, shapes, slices, resizing, free_batch, half_precision, quantized_edges, described, refused]:
    make()
for suffix in ["", "-twin"]:
    eight_bit_weights("eight-bit-weights" + suffix, suffix)
    network("quantized-uint8" + suffix, "uint8", "uint8", RELU6, suffix)
    network("quantized-int8" + suffix, "int8", "uint8", RELU6, suffix)
    network("quantized-int8-clamped" + suffix, "int8", "int8", RELU, suffix)
augmented()

with open(os.path.join(HERE, "golden.json"), "w") as file:
    json.dump(models, file, separators=(",", ":"))
