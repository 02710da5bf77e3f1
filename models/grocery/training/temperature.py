"""Folds the temperature of a manifest into the model: the head's weights and biases are divided by it, so that every output says what is measured.

A manifest's temperature is applied by POST /predict alone; protocols that give the graph's own outputs would say other probabilities.
"""
import hashlib
import json
import os
import sys

import numpy as np

# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: field numbers, and of TensorProto.DataType FLOAT and FLOAT16.
GRAPH, INITIALIZER, DATA_TYPE, NAME, RAW_DATA = 7, 5, 2, 8, 9
TYPES = {1: '<f4', 10: '<f2'}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def fields(data, at, end):
    """Numbers of the fields of a message, each with its value or with the place of its bytes."""
    while at < end:
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
        else:
            length, at = varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            yield key >> 3, slice(at, at + length)
            at += length


def initializers(data):
    for field, graph in fields(data, 0, len(data)):
        for kind, tensor in fields(data, graph.start, graph.stop) if field == GRAPH else ():
            if kind == INITIALIZER:
                entry = dict(fields(data, tensor.start, tensor.stop))
                yield data[entry[NAME]].decode(), TYPES.get(entry[DATA_TYPE]), entry.get(RAW_DATA)


def fold(path, full, temperature):
    """Writes the head of one file anew; what has fewer bits is rounded from full precision."""
    with open(path, 'rb') as file:
        data = bytearray(file.read())
    folded = 0
    for name, kind, raw in initializers(data):
        if name.removesuffix('_fp16') in full:
            data[raw] = (full[name.removesuffix('_fp16')] / temperature).astype(kind).tobytes()
            folded += 1
    if folded != len(full):
        raise SystemExit(f'{path} has {folded} of the {len(full)} parts of a head.')
    with open(path, 'wb') as file:
        file.write(data)


def main(folder):
    manifest_path = os.path.join(folder, 'model.json')
    with open(manifest_path, encoding='utf-8') as file:
        text = file.read()
    manifest = json.loads(text)
    temperature = manifest['output']['temperature']
    with open(os.path.join(folder, manifest['files']['fp32']['file']), 'rb') as file:
        data = file.read()
    full = {name: np.frombuffer(data[raw], kind) for name, kind, raw in initializers(data) if name in ('head.weight', 'head.bias')}
    for entry in manifest['files'].values():
        fold(os.path.join(folder, entry['file']), full, temperature)
    weights = manifest['output']['classifier_weights']
    with open(os.path.join(folder, weights['file']), 'wb') as file:
        file.write((full['head.weight'] / temperature).astype('<f4').tobytes())
    # As text: the manifest keeps its form.
    for entry in [*manifest['files'].values(), weights]:
        with open(os.path.join(folder, entry['file']), 'rb') as file:
            text = text.replace(entry['sha256'], hashlib.sha256(file.read()).hexdigest())
    text = text.replace(f',\n    "temperature": {temperature}', '')
    if 'temperature' in json.loads(text)['output']:
        raise SystemExit('The temperature is not the last of the output.')
    with open(manifest_path, 'w', encoding='utf-8') as file:
        file.write(text)


main(sys.argv[1])
