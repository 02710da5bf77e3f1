"""TensorFlow.js models at their full size from descriptions without weights, with random weights and what PyTorch answers.

    python3 networks.py DESCRIPTION FOLDER    writes model.json, its shards of 4 MB and answers.json to FOLDER

A graph model's operators are computed here from TensorFlow's documentation (https://www.tensorflow.org/api_docs/python/tf/raw_ops), independently of the
importer that the results are compared with; a layers model is computed by ../keras/networks.py.
"""
import base64
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "keras"))
import networks  # noqa: E402
from reference import Answers, Value, same  # noqa: E402

torch.set_grad_enabled(False)
SHARD = 4 << 20


def text(attribute):
    return base64.b64decode(attribute["s"]).decode()


def sides(attribute):
    return [int(side) for side in attribute["list"]["i"]]


class GraphModel:
    def __init__(self, description, seed):
        self.nodes = {node["name"]: node for node in description["modelTopology"]["node"]}
        self.random = np.random.default_rng(seed)
        self.weights, self.values = {}, {}
        self.inputs = description["signature"]["inputs"]
        self.outputs = description["signature"]["outputs"]

    def run(self, tensor):
        (given,) = self.inputs.values()
        self.values[given["name"].split(":")[0]] = tensor
        for node in self.nodes.values():
            self.value(node["name"])
        (answer,) = self.outputs.values()
        return self.values[answer["name"].split(":")[0]]

    def value(self, name):
        """A node's result, or a weight that says itself what it must be: how the network pads, over which axes it averages, how it scales pixels."""
        if name not in self.values:
            node = self.nodes[name]
            if node["op"] == "Const":
                return self.constant(name, node)
            self.values[name] = getattr(self, node["op"])(node, [source for source in node.get("input", []) if not source.startswith("^")])
        return self.values[name]

    def constant(self, name, node):
        if name in self.weights:
            return torch.from_numpy(self.weights[name])
        shape = [int(side["size"]) for side in node["attr"]["value"]["tensor"]["tensorShape"].get("dim", [])]
        if name.endswith("paddings"):
            edge = 3 if name.endswith("/Pad/paddings") and "block" not in name else 1
            value = np.array([[0, 0], [edge, edge], [edge, edge], [0, 0]], np.int32)
        elif node["attr"]["dtype"]["type"] == "DT_INT32":
            value = np.array([1, 2], np.int32)
        elif "hub_input" in name:
            value = np.array(2 if name.endswith("Mul/y") else 1, np.float32)
        else:
            value = self.random.uniform(0.5, 1.5, shape) if "Mul" in name.split("/")[-1] or name.endswith("_bn_scale") else self.random.normal(0, 0.2, shape)
        assert list(value.shape) == shape, (name, shape)
        self.weights[name] = value.astype(value.dtype if value.dtype == np.int32 else np.float32)
        return torch.from_numpy(self.weights[name])

    def kernel(self, name, compute, spread=1.0):
        """Random weights under which a layer's results spread by one: without that, a deep network's values grow or vanish."""
        self.value(name)
        result = compute(torch.from_numpy(self.weights[name]))
        factor = np.float32(spread / float(result.std()))
        self.weights[name] = self.weights[name] * factor
        return compute(torch.from_numpy(self.weights[name]))

    def fused(self, node, result, inputs):
        for operation in [base64.b64decode(name).decode() for name in node["attr"]["fused_ops"]["list"].get("s", [])]:
            if operation == "BiasAdd":
                result = result + self.value(inputs[2])
            else:
                result = {"Relu": F.relu, "Relu6": F.relu6, "Elu": F.elu}[operation](result)
        return result

    def convolve(self, node, x, weights, groups=1):
        attributes = node["attr"]
        strides, dilations = sides(attributes["strides"])[1:3], sides(attributes["dilations"])[1:3]
        planes = x.permute(0, 3, 1, 2)
        if text(attributes["padding"]) == "SAME":
            planes = same(planes, weights.shape[2:], strides, dilations)
        return F.conv2d(planes, weights, None, strides, 0, dilations, groups).permute(0, 2, 3, 1)

    def _FusedConv2D(self, node, inputs):
        x = self.value(inputs[0])
        return self.fused(node, self.kernel(inputs[1], lambda weights: self.convolve(node, x, weights.permute(3, 2, 0, 1))), inputs)

    def FusedDepthwiseConv2dNative(self, node, inputs):
        x = self.value(inputs[0])
        channels = x.shape[3]
        one = lambda weights: weights.reshape(weights.shape[0], weights.shape[1], -1).permute(2, 0, 1)[:, None]  # noqa: E731
        return self.fused(node, self.kernel(inputs[1], lambda weights: self.convolve(node, x, one(weights), channels)), inputs)

    def _FusedMatMul(self, node, inputs):
        x = self.value(inputs[0])
        return self.fused(node, self.kernel(inputs[1], lambda weights: x @ weights), inputs)

    def pool(self, node, x, function, edge):
        attributes = node["attr"]
        size, strides = sides(attributes["ksize"])[1:3], sides(attributes["strides"])[1:3]
        planes = x.permute(0, 3, 1, 2)
        if text(attributes["padding"]) == "SAME":
            planes = same(planes, size, strides, [1, 1], edge)
        return function(planes, size, strides).permute(0, 2, 3, 1)

    def MaxPool(self, node, inputs):
        return self.pool(node, self.value(inputs[0]), F.max_pool2d, -math.inf)

    def AvgPool(self, node, inputs):
        assert text(node["attr"]["padding"]) == "VALID"
        return self.pool(node, self.value(inputs[0]), F.avg_pool2d, 0)

    def Pad(self, node, inputs):
        pads = self.value(inputs[1]).tolist()
        return F.pad(self.value(inputs[0]), [side for axis in reversed(pads) for side in axis])

    def Mean(self, node, inputs):
        return self.value(inputs[0]).mean(self.value(inputs[1]).tolist(), keepdim=node["attr"]["keep_dims"]["b"])

    def Squeeze(self, node, inputs):
        x = self.value(inputs[0])
        for axis in sorted(sides(node["attr"]["squeeze_dims"]), reverse=True):
            x = x.squeeze(axis)
        return x

    def Add(self, node, inputs):
        return self.value(inputs[0]) + self.value(inputs[1])

    AddV2 = Add

    def Sub(self, node, inputs):
        return self.value(inputs[0]) - self.value(inputs[1])

    def Mul(self, node, inputs):
        return self.value(inputs[0]) * self.value(inputs[1])

    def Relu(self, node, inputs):
        return F.relu(self.value(inputs[0]))

    def Softmax(self, node, inputs):
        return F.softmax(self.value(inputs[0]), -1)

    def Identity(self, node, inputs):
        return self.value(inputs[0])


class Answer:
    """What Answers writes down: one input, one output."""

    def __init__(self, given, name, answer):
        self.inputs, self.outputs = [Value(None, 0, given)], [Value(self, 0, answer)]
        self.name = name


def main(description, folder):
    with open(description) as file:
        model = json.load(file)
    answers = Answers()
    if model["format"] == "graph-model":
        graph = GraphModel(model, seed=31)
        picture = networks.picture(224, low=0.0)
        answers.add("model", Answer(picture, "Identity", graph.run(picture)))
        weights = graph.weights
    else:
        network = networks.described(description)
        answers.add("model", network)
        weights = {f"{layer.name}/{key}": array for layer in network.layers.values() for key, array in layer.weights.items()}

    os.makedirs(folder, exist_ok=True)
    (group,) = model["weightsManifest"]
    stored = b"".join(np.ascontiguousarray(weights[weight["name"]]).tobytes() for weight in group["weights"])
    assert all(list(weights[weight["name"]].shape) == weight["shape"] for weight in group["weights"])
    assert math.ceil(len(stored) / SHARD) == len(group["paths"])
    for number, path in enumerate(group["paths"]):
        with open(os.path.join(folder, path), "wb") as file:
            file.write(stored[number * SHARD:(number + 1) * SHARD])
    with open(os.path.join(folder, "model.json"), "w") as file:
        json.dump(model, file)
    answers.write(os.path.join(folder, "answers.json"))


if __name__ == "__main__":
    main(*sys.argv[1:])
