"""Writes the files of this folder: HDF5 with each feature that the reader knows, and small Keras models with what they must answer.

    python3 make.py            (Debian: python3-h5py, python3-torch)

The same numbers come out each time; the files differ in the times that HDF5 stamps.
"""
import json
import os
import sys
import zipfile

import h5py
import numpy as np
import torch

from reference import Answers, Network, write_h5, write_keras

HERE = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)


def numbers(shape, dtype):
    """0, 1, 2 … through 0 to 96 and round again, which every type holds."""
    return (np.arange(int(np.prod(shape))) % 97).reshape(shape).astype(dtype)


def indexed(layouts):
    """Each way to find chunks, and each filter."""
    layouts.create_dataset("single chunk", data=numbers((7, 9), "<f4"), chunks=(7, 9))
    layouts.create_dataset("single chunk gzip", data=numbers((7, 9), "<f4"), chunks=(7, 9), compression="gzip")
    layouts.create_dataset("chunked", data=numbers((7, 9), "<f4"), chunks=(3, 4))
    layouts.create_dataset("gzip", data=numbers((7, 9), "<f4"), chunks=(3, 4), compression="gzip")
    layouts.create_dataset("gzip shuffle", data=numbers((7, 9, 2), "<f8"), chunks=(3, 4, 1), compression="gzip", shuffle=True)
    layouts.create_dataset("fletcher32", data=numbers((7, 9), "<i2"), chunks=(3, 4), fletcher32=True)
    layouts.create_dataset("fletcher32 gzip shuffle", data=numbers((7, 9), "<f4"), chunks=(3, 4), fletcher32=True, compression="gzip", shuffle=True)
    layouts.create_dataset("one side grows", data=numbers((40, 6), "|u1"), chunks=(1, 2), maxshape=(40, None))
    layouts.create_dataset("one side grows gzip", data=numbers((30, 6), "|u1"), chunks=(7, 6), maxshape=(None, 6), compression="gzip")
    layouts.create_dataset("both sides grow", data=numbers((20, 20), "|u1"), chunks=(3, 3), maxshape=(None, None))
    layouts.create_dataset("both sides grow gzip", data=numbers((20, 20), "|u1"), chunks=(7, 7), maxshape=(None, None), compression="gzip")
    layouts.create_dataset("many chunks", data=numbers((200,), "|u1"), chunks=(1,))
    holes = layouts.create_dataset("holes", (1, 140100), "|u1", chunks=(1, 1), maxshape=(1, None), fillvalue=7)
    holes[0, 2900:2905] = 9
    holes[0, 140000:140005] = 9
    holes = layouts.create_dataset("holes in a fixed shape", (1100,), "|u1", chunks=(1,), fillvalue=7)
    holes[1050:1055] = 9
    layouts.create_dataset("empty", (0, 3), "<f4", chunks=(1, 3), maxshape=(None, 3))


def hdf5(name, libver):
    latest = libver == "latest"
    with h5py.File(name, "w", libver=libver) as file:
        attributes = file.create_group("attributes")
        attributes.attrs["fixed"] = np.bytes_("fixed text")
        attributes.attrs["variable"] = "text of any length: Größe"
        attributes.attrs["fixed list"] = np.asarray([b"one", b"two", b"three"])
        attributes.attrs.create("variable list", ["eins", "", "drei"], dtype=h5py.string_dtype())
        attributes.attrs["empty list"] = np.zeros((0,), "S1")
        padded = h5py.h5t.C_S1.copy()
        padded.set_size(12)
        padded.set_strpad(h5py.h5t.STR_SPACEPAD)
        h5py.h5a.create(attributes.id, b"space padded", padded, h5py.h5s.create(h5py.h5s.SCALAR)).write(np.array(b"with spaces "), mtype=padded)
        attributes.attrs["integer"] = np.int16(-3)
        attributes.attrs["integers"] = np.asarray([1, 2, 3], ">i8")
        attributes.attrs["long"] = np.bytes_("0123456789" * 600)  # more than a heap of attributes manages
        for index in range(20):  # more than lie in the header with new files
            attributes.attrs[f"number {index}"] = f"value {index}"

        types = file.create_group("types")
        for dtype in ["<f2", "<f4", "<f8", ">f4", "|i1", "|u1", "<i2", "<u2", "<i4", ">i4", "<i8", "<u8"]:
            types[dtype.replace("<", "little ").replace(">", "big ").replace("|", "")] = numbers((5, 3), dtype)
        types["boolean"] = np.asarray([True, False, True])
        types["scalar"] = np.float32(2.5)
        types["named"] = np.dtype("<f4")
        types.create_dataset("of named type", data=numbers((4,), "<f4"), dtype=types["named"])

        layouts = file.create_group("layouts")
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        dataset = h5py.h5d.create(layouts.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4, 5)), compact)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, numbers((4, 5), "<f4"))
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_chunk((3, 4))
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        dataset = h5py.h5d.create(layouts.id, b"implicit", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((7, 9)), early)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, numbers((7, 9), "<f4"))
        layouts.create_dataset("contiguous", data=numbers((7, 9), "<f4"))
        layouts.create_dataset("never written", (3, 3), "<f4", fillvalue=1.5)
        if not latest:  # old files find all chunks in one way: three datasets show it
            layouts.create_dataset("gzip shuffle", data=numbers((7, 9, 2), "<f8"), chunks=(3, 4, 1), compression="gzip", shuffle=True)
            layouts.create_dataset("fletcher32 gzip shuffle", data=numbers((7, 9), "<f4"), chunks=(3, 4), fletcher32=True, compression="gzip", shuffle=True)
            layouts.create_dataset("many chunks", data=numbers((200,), "|u1"), chunks=(1,))
        else:
            indexed(layouts)

        links = file.create_group("links")
        links["target"] = numbers((3,), "<i4")
        links["hard"] = links["target"]
        links["soft"] = h5py.SoftLink("target")
        links["absolute"] = h5py.SoftLink("/links/soft")
        links["dangling"] = h5py.SoftLink("nowhere")
        links["circle"] = h5py.SoftLink("circle")
        links["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
        links["up"] = file["links"]
        many = links.create_group("many")
        for index in range(60):
            many[f"a name that takes some room {index}"] = links["target"]


def many_links(name):
    """Enough dense links for a heap of several blocks and a name index of two levels."""
    with h5py.File(name, "w", libver="latest") as file:
        target = file.create_group("target")
        for index in range(400):
            file[f"{index:05d}"] = target


def picture(*shape):
    return torch.from_numpy(np.random.default_rng(7).uniform(-1, 1, shape).astype(np.float32))


def every_layer(keras):
    """One network whose outputs are one layer each."""
    net = Network("every_layer", keras=keras, seed=11)
    x = net.input(picture(1, 5, 6, 3))
    channels_first = net("Permute", x, dims=[3, 1, 2])
    flat = net("GlobalAveragePooling2D", x)
    out = []

    def add(class_name, inputs=x, **config):
        out.append(net(class_name, inputs, name=f"o{len(out)}_{class_name}", **config))
        return out[-1]

    # Convolutions
    add("Conv2D", filters=4, kernel_size=[3, 2], strides=[2, 1], padding="same", use_bias=True)
    add("Conv2D", filters=4, kernel_size=[3, 3], strides=[1, 1], padding="valid", dilation_rate=[2, 1], use_bias=False, activation="relu")
    add("Conv2D", filters=4, kernel_size=[3, 3], padding="same", dilation_rate=[2, 2], activation="tanh")
    add("Conv2D", filters=6, kernel_size=[1, 1], groups=3)
    add("Conv2D", channels_first, filters=2, kernel_size=[3, 3], strides=[2, 2], padding="same", data_format="channels_first")
    add("DepthwiseConv2D", kernel_size=[3, 3], strides=[2, 2], padding="same", depth_multiplier=2, activation="relu6" if keras == 3 else "relu")
    add("DepthwiseConv2D", kernel_size=[2, 3], padding="valid", depth_multiplier=1, use_bias=False)
    add("SeparableConv2D", filters=4, kernel_size=[3, 3], padding="same", depth_multiplier=2, activation="elu")
    add("Conv2DTranspose", filters=2, kernel_size=[3, 3], strides=[2, 2], padding="same")
    add("Conv2DTranspose", filters=2, kernel_size=[2, 3], strides=[3, 2], padding="valid", use_bias=False, activation="sigmoid")
    add("Conv2DTranspose", filters=2, kernel_size=[4, 4], strides=[2, 2], padding="same", output_padding=[1, 1])
    add("Conv2DTranspose", filters=2, kernel_size=[3, 3], strides=[1, 1], padding="same", dilation_rate=[2, 2])
    add("Dense", units=3, activation="softmax")
    add("Dense", flat, units=5, activation="selu")
    add("Dense", flat, units=2, use_bias=False)

    # Pooling
    add("MaxPooling2D", pool_size=[3, 3], strides=[2, 2], padding="same")
    add("MaxPooling2D", pool_size=[2, 2], padding="valid")
    add("AveragePooling2D", pool_size=[3, 2], strides=[1, 1], padding="same")
    add("AveragePooling2D", channels_first, pool_size=[2, 2], padding="same", data_format="channels_first")
    add("GlobalAveragePooling2D", keepdims=True)
    add("GlobalMaxPooling2D")
    add("GlobalMaxPooling2D", channels_first, data_format="channels_first")

    # Normalisation
    add("BatchNormalization", axis=[3] if keras == 2 else -1, epsilon=1e-3)
    add("BatchNormalization", scale=False, center=True, epsilon=1e-2)
    add("BatchNormalization", scale=True, center=False)
    add("BatchNormalization", channels_first, axis=1)
    add("BatchNormalization", flat)
    add("LayerNormalization", axis=[3] if keras == 2 else -1, epsilon=1e-6)
    add("Rescaling", scale=2.0, offset=-1.0)
    add("Rescaling", scale=[1.0, 2.0, 3.0])
    add("Normalization", axis=[-1], mean=[[[[0.1, 0.2, 0.3]]]], variance=[[[[1.0, 2.0, 0.5]]]])
    add("Normalization", axis=[-1])
    add("LayerScale", projection_dim=3)

    # Activations
    add("ReLU", max_value=0.5, negative_slope=0.1, threshold=0.0)
    add("ReLU", max_value=0.5, negative_slope=0.0, threshold=0.0)
    add("ReLU", max_value=None, negative_slope=0.25, threshold=0.2)
    add("LeakyReLU", **({"alpha": 0.2} if keras == 2 else {"negative_slope": 0.2}))
    add("PReLU", shared_axes=[1, 2])
    add("PReLU", shared_axes=None)
    add("ELU", alpha=0.7)
    add("Softmax", axis=-1)
    add("ThresholdedReLU", theta=0.3)
    for activation in ["linear", "relu", "sigmoid", "softmax", "log_softmax", "tanh", "elu", "selu", "softplus", "softsign", "exponential", "swish", "hard_sigmoid", "gelu", "mish"]:
        add("Activation", activation=activation)
    for activation in ["relu6", "silu", "hard_silu", "leaky_relu"] if keras == 3 else ["hard_swish"]:
        add("Activation", activation=activation)

    # Places
    add("ZeroPadding2D", padding=[[0, 1], [2, 1]])
    add("ZeroPadding2D", channels_first, padding=[1, 2], data_format="channels_first")
    add("Cropping2D", cropping=[[1, 0], [2, 1]])
    add("CenterCrop", height=3, width=3)
    add("Resizing", height=4, width=9, interpolation="bilinear")
    add("Resizing", height=4, width=9, interpolation="nearest")
    add("UpSampling2D", size=[2, 3], interpolation="nearest")
    add("UpSampling2D", size=[2, 2], interpolation="bilinear")
    add("Flatten")
    add("Flatten", channels_first, data_format="channels_first")
    add("Reshape", target_shape=[6, -1])
    add("Permute", dims=[2, 1, 3])
    add("RepeatVector", flat, n=2)
    add("Dropout", rate=0.5)
    add("SpatialDropout2D", rate=0.5)
    add("GaussianNoise", stddev=0.5)
    add("RandomFlip", mode="horizontal")

    # Several inputs
    other = net("Activation", x, activation="tanh")
    add("Add", [x, other, x])
    add("Subtract", [x, other])
    add("Multiply", [x, flat])
    add("Average", [x, other])
    add("Maximum", [x, other])
    add("Minimum", [x, other])
    add("Concatenate", [x, other], axis=-1)
    add("Concatenate", [x, other], axis=1)
    add("CustomScaleLayer", [x, other], scale=0.17)
    if keras == 2:
        add("Lambda", [x, other], function=["4wEAAAA=", None, None], function_type="lambda", arguments={"scale": 0.2})

    # Operations
    def op(compute, keras2, keras3):
        out.append(net.op(compute, keras2, keras3, name=f"o{len(out)}_operation"))

    numpy, nn = "keras.src.ops.numpy", "keras.src.ops.nn"
    op(lambda a: a + 3, ("__operators__.add", x, {"y": 3.0, "name": None}), (numpy, "Add", {}, [x, 3.0]))
    op(lambda a: a * 2, ("math.multiply", x, {"y": 2.0, "name": None}), (numpy, "Multiply", {}, [x, 2.0]))
    op(lambda a: 1 - a, ("math.subtract", 1.0, {"y": x, "name": None}), (numpy, "Subtract", {}, [1.0, x]))
    op(lambda a: a / 127.5, ("math.truediv", x, {"y": 127.5, "name": None}), (numpy, "TrueDivide", {}, [x, 127.5]))
    op(lambda a, b: a * b, ("math.multiply", x, {"y": other, "name": None}), (numpy, "Multiply", {}, [x, other]))
    op(torch.nn.functional.relu6, ("nn.relu6", x, {}), (nn, "Relu6", {}, [x]))
    op(lambda a: a * torch.sigmoid(a), ("nn.silu", x, {}), (nn, "Silu", {}, [x]))
    op(lambda a: a.flip(-1),
       ("__operators__.getitem", x, {"slice_spec": [{"class_name": "__ellipsis__"} if keras == 3 else "...", {"start": None, "stop": None, "step": -1}]}),
       (numpy, "GetItem", {}, [x, [{"class_name": "__ellipsis__", "config": {}}, {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": -1}}]]))
    op(lambda a: a[:, 1:-1, ::2],
       ("__operators__.getitem", x, {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": -1, "step": None}, {"start": None, "stop": None, "step": 2}]}),
       (numpy, "GetItem", {}, [x, [{"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}, {"class_name": "__slice__", "config": {"start": 1, "stop": -1, "step": None}},
                                   {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": 2}}]]))
    if keras == 3:  # its resnet50.preprocess_input
        def channel(index):
            return net.op(lambda a: a[..., index], None, (numpy, "GetItem", {}, [x, [{"class_name": "__ellipsis__", "config": {}}, index]]))
        op(lambda *a: torch.stack(a, -1), None, (numpy, "Stack", {"axis": -1}, [[channel(2), channel(1), channel(0)]]))
        op(lambda *a: torch.stack(a, 1), None, (numpy, "Stack", {"axis": 1}, [[channel(-1), channel(0)]]))
        op(lambda *a: torch.stack(a, -1), None, (numpy, "Stack", {"axis": -1}, [[channel(-1), channel(0)]]))
        op(lambda a: a[:, 1, :, -1], None, (numpy, "GetItem", {}, [x, [{"class_name": "__slice__", "config": {}}, 1, {"class_name": "__slice__", "config": {}}, -1]]))
    op(lambda a: a.flip(2), ("reverse", x, {"axis": [2]}), (numpy, "Flip", {"axis": 2}, [x]))
    op(lambda a: a + torch.tensor([-103.939, -116.779, -123.68]), ("nn.bias_add", x, {"bias": [-103.939, -116.779, -123.68]}), (numpy, "Add", {}, [x, {"class_name": "__numpy__", "config": {"value": [-103.939, -116.779, -123.68], "dtype": "float32"}}]))
    op(lambda a: a.mean((1, 2), keepdim=True), ("math.reduce_mean", x, {"axis": [1, 2], "keepdims": True}), (numpy, "Mean", {"axis": [1, 2], "keepdims": True}, [x]))
    op(lambda a: a.mean(-1), ("math.reduce_mean", x, {"axis": -1}), (numpy, "Mean", {"axis": -1, "keepdims": False}, [x]))
    op(lambda a: a.amax((1, 2)), ("math.reduce_max", x, {"axis": [1, 2]}), (numpy, "Max", {"axis": [1, 2], "keepdims": False}, [x]))
    op(lambda a: a.reshape(1, 30, 3), ("reshape", x, {"shape": [-1, 30, 3]}), (numpy, "Reshape", {"newshape": [-1, 30, 3]}, [x]))
    op(lambda a: a.permute(0, 2, 1, 3), ("transpose", x, {"perm": [0, 2, 1, 3]}), (numpy, "Transpose", {"axes": [0, 2, 1, 3]}, [x]))
    op(lambda a, b: torch.cat([a, b], -1), ("concat", [x, other], {"axis": -1}), (numpy, "Concatenate", {"axis": -1}, [[x, other]]))
    op(lambda a: a.unsqueeze(1), ("expand_dims", flat, {"axis": 1}), (numpy, "ExpandDims", {"axis": 1}, [flat]))
    op(lambda a: a.clamp(-0.5, 0.5), ("clip_by_value", x, {"clip_value_min": -0.5, "clip_value_max": 0.5}), (numpy, "Clip", {}, [x, -0.5, 0.5]))
    op(lambda a: a, ("cast", x, {"dtype": "float32"}), ("keras.src.ops.core", "Cast", {"dtype": "float32"}, [x]))
    net.outputs = out
    return net


def classifier(keras):
    """Rescaling in front, a network in a network, a layer called twice, the network called twice."""
    random = np.random.default_rng(5)
    inner = Network("features", keras=keras, random=random)
    x = inner.input(picture(1, 8, 8, 3), name="inner_input")
    y = inner("BatchNormalization", inner("Conv2D", x, filters=4, kernel_size=[3, 3], padding="same", use_bias=False, name="conv"), name="bn")
    shared = inner("Conv2D", y, filters=4, kernel_size=[1, 1], activation="relu", name="shared")
    inner.outputs = [inner("Add", [y, inner.again(shared.layer, shared)])]

    head = Network("head", keras=keras, random=random, sequential=True)
    x = head.input(picture(1, 8), name="head_input")
    x = head("Dense", head("Dropout", x, rate=0.2), units=6, activation="relu", name="hidden")
    head.outputs = [head("Dense", x, units=3, activation="softmax", name="dense")]

    net = Network("classifier", keras=keras, random=random)
    x = net.input(torch.from_numpy(random.integers(0, 256, (1, 8, 8, 3)).astype(np.float32)), name="image")
    x = net("Rescaling", net("RandomRotation", x, factor=0.1), scale=1 / 127.5, offset=-1.0)
    once = net.call_network(inner, x)
    flipped = net("Permute", x, dims=[2, 1, 3])
    twice = net.call_network(inner, flipped)
    x = net("GlobalAveragePooling2D", net("Concatenate", [once, twice]))
    net.outputs = [net.call_network(head, x)]
    return net


def sequential(keras):
    net = Network("sequential", keras=keras, seed=3, sequential=True)
    x = net.input(picture(1, 9, 9, 1), name="conv2d_input")
    x = net("Conv2D", x, filters=3, kernel_size=[3, 3], activation="relu")
    x = net("Conv2D", net("MaxPooling2D", x, pool_size=[2, 2], padding="valid"), filters=4, kernel_size=[2, 2])
    x = net("Dense", net("Flatten", net("BatchNormalization", x)), units=4, activation="sigmoid")
    net.outputs = [net("Dense", x, units=2, activation="softmax")]
    return net


def main():
    os.chdir(HERE)
    hdf5("earliest.h5", "earliest")
    hdf5("latest.h5", "latest")
    with h5py.File("superblock2.h5", "w", libver=("v108", "v108")) as file:
        file["numbers"] = numbers((3, 4), "<f4")
    with h5py.File("userblock.h5", "w", userblock_size=1024) as file:
        file.create_group("group")["numbers"] = numbers((3, 4), "<f4")
    many_links("many-links.h5")

    answers = Answers()

    def save(name, network, write, **options):
        write(network, name, **options)
        answers.add(name, network)

    save("layers-keras2.keras", every_layer(2), write_keras, version="2.15.0", libver="latest", compression=zipfile.ZIP_DEFLATED)
    save("layers-keras3.keras", every_layer(3), write_keras, libver="latest", compression=zipfile.ZIP_DEFLATED)
    save("classifier-keras2.h5", classifier(2), write_h5)
    save("classifier-keras2.keras", classifier(2), write_keras, version="2.13.1", names="dependencies", libver="latest")
    save("classifier-keras3.h5", classifier(3), write_h5, version="3.5.0", libver="latest")
    save("classifier-keras3.keras", classifier(3), write_keras, libver="latest")
    save("sequential-keras2.h5", sequential(2), write_h5, pieces=2, libver="latest")
    save("sequential-keras3.keras", sequential(3), write_keras, libver="latest")
    answers.write("expected.json")


if __name__ == "__main__":
    sys.exit(main())
