"""Reads the weights of an ONNX file into the PyTorch module that it was exported from.

Field numbers are those of https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto; the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""
import numpy as np
import torch
from torch import nn


def fields(message):
    """The fields of a message: (number, value), where a value is a number or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, message[at:at + length]
            at += length


def load_onnx(module, path):
    """Convolutions and the final matrix product in the order of the graph, which is the order of the module."""
    with open(path, 'rb') as file:
        model = memoryview(file.read())
    graph = next(value for number, value in fields(model) if number == 7)
    tensors, nodes = {}, []
    for number, value in fields(graph):
        if number == 5:  # TensorProto: dims = 1, name = 8, raw_data = 9
            parts = list(fields(value))
            name = next(bytes(v) for n, v in parts if n == 8).decode()
            data = next((v for n, v in parts if n == 9), b'')
            tensors[name] = np.frombuffer(data, np.uint8), [v for n, v in parts if n == 1]
        elif number == 1:  # NodeProto: input = 1, op_type = 4
            parts = list(fields(value))
            if next(bytes(v) for n, v in parts if n == 4) in (b'Conv', b'Gemm'):
                nodes.append([bytes(v).decode() for n, v in parts if n == 1])
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if len(layers) != len(nodes):
        raise ValueError(f'{path} has {len(nodes)} layers with weights, the module {len(layers)}.')
    for layer, (_, weight, bias) in zip(layers, nodes):
        for parameter, name in (layer.weight, weight), (layer.bias, bias):
            data, shape = tensors[name]
            if list(parameter.shape) != shape:
                raise ValueError(f'{path}: {name} is {shape}, the module wants {list(parameter.shape)}.')
            parameter.data.copy_(torch.from_numpy(data.view(np.float32).reshape(shape).copy()))
