#!/usr/bin/env python3
"""Writes the ONNX files of this folder (needs Debian's python3-onnx). Each is a few hundred bytes and does one thing that a test needs."""

import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent


def tensor(name, element_type, shape):
    return helper.make_tensor_value_info(name, element_type, shape)


def write(name, nodes, inputs, outputs, initializers=(), **properties):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers, doc_string=properties.pop("graph_description", ""))
    metadata = properties.pop("metadata", {})
    model = helper.make_model(
        graph, producer_name="make.py", ir_version=8, opset_imports=[helper.make_opsetid("", 17)], **properties)
    helper.set_model_props(model, metadata)
    checker.check_model(model)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


# y = x W + b in whole numbers, so that results are exact. The Identity is there for the optimiser to remove.
write(
    "affine",
    [
        helper.make_node("Identity", ["x"], ["same"], name="nothing"),
        helper.make_node("MatMul", ["same", "W"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]),
    ],
    [tensor("x", TensorProto.FLOAT, ["N", 3])],
    [tensor("y", TensorProto.FLOAT, ["N", 4])],
    [
        numpy_helper.from_array(np.arange(1, 13, dtype=np.float32).reshape(3, 4), "W"),
        numpy_helper.from_array(np.array([100, 200, 300, 400], np.float32), "b"),
    ],
    graph_description="One matrix product.",
    domain="whatsit.tests",
    model_version=7,
    doc_string="y = x W + b",
    metadata={"author": "Whatsit", "größe": "klein"},
)

# The smallest classifier: the scores are the mean of the red, the green and the blue pixels of a picture of 2 × 2.
write(
    "classifier",
    [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["scores"], axes=[1, 2], keepdims=0),
    ],
    [tensor("image", TensorProto.UINT8, ["N", 2, 2, 3])],
    [tensor("scores", TensorProto.FLOAT, ["N", 3])],
)
