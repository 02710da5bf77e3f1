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

# Every element type that values are read and written as, copied; names are not always ASCII.
types = {
    "float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16, "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "uint16": TensorProto.UINT16, "int16": TensorProto.INT16,
    "uint32": TensorProto.UINT32, "int32": TensorProto.INT32, "uint64": TensorProto.UINT64, "int64": TensorProto.INT64,
}
write(
    "types",
    [helper.make_node("Identity", [name], [f"{name} → Kopie"]) for name in types],
    [tensor(name, element_type, [3]) for name, element_type in types.items()],
    [tensor(f"{name} → Kopie", element_type, [3]) for name, element_type in types.items()],
)

# Strings and sequences, which only metadata shows.
write(
    "strings",
    [helper.make_node("SequenceConstruct", ["words", "words"], ["twice"])],
    [tensor("words", TensorProto.STRING, ["K"])],
    [helper.make_tensor_sequence_value_info("twice", TensorProto.STRING, ["K"])],
)

# More inputs than fit into the block that a run keeps on the stack.
many = [f"x{i}" for i in range(40)]
write(
    "many",
    [helper.make_node("Sum", many, ["sum"])],
    [tensor(name, TensorProto.FLOAT, [1]) for name in many],
    [tensor("sum", TensorProto.FLOAT, [1])],
)

# Halves x as often as it is told: a run that lasts until it is terminated.
body = helper.make_graph(
    [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Mul", ["state", "half"], ["next_state"]),
    ],
    "body",
    [tensor("i", TensorProto.INT64, []), tensor("go", TensorProto.BOOL, []), tensor("state", TensorProto.FLOAT, [1])],
    [tensor("go_on", TensorProto.BOOL, []), tensor("next_state", TensorProto.FLOAT, [1])],
    [numpy_helper.from_array(np.float32(0.5), "half")],
)
write(
    "loop",
    [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
    [tensor("times", TensorProto.INT64, []), tensor("x", TensorProto.FLOAT, [1])],
    [tensor("y", TensorProto.FLOAT, [1])],
)
