"""Keras networks without Keras: builds them, computes what they answer with PyTorch, and writes them as Keras 2 and Keras 3 do.

Every layer is computed here from Keras' documentation (https://keras.io/api/layers/), channels last, independently of the importer that the results
are compared with. A Network is built call by call; each call creates the layer's random weights and computes its result at once.
"""
import base64
import io
import json
import math
import re
import zipfile

import h5py
import numpy as np
import torch
import torch.nn.functional as F

torch.set_grad_enabled(False)

# What the last layer with weights is called in the networks of keras.applications.
LOGITS = {"predictions", "conv_preds", "Logits", "fc1000"}


class Value:
    """What a layer answered: which layer and call it was, and the tensor."""

    def __init__(self, layer, call, tensor):
        self.layer, self.call, self.tensor = layer, call, tensor


class Layer:
    def __init__(self, class_name, config, weights, module=None, network=None):
        self.class_name, self.config, self.weights, self.module, self.network = class_name, config, weights, module, network
        self.calls, self.compute, self.fresh = [], None, False

    @property
    def name(self):
        return self.config["name"]


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def values_in(item):
    return [item] if isinstance(item, Value) else [value for part in item for value in values_in(part)] if isinstance(item, list) else []


def pair(value):
    return [value, value] if isinstance(value, (int, float)) else list(value)


def same(x, kernel, strides, dilations, value=0.0):
    """TensorFlow's SAME: as many windows as strides fit, the odd pixel of padding at the end (https://www.tensorflow.org/api_docs/python/tf/nn)."""
    pads = []
    for axis in (3, 2):
        size, k, s, d = x.shape[axis], kernel[axis - 2], strides[axis - 2], dilations[axis - 2]
        total = max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def hard_sigmoid(x, keras):
    return F.relu6(x + 3) / 6 if keras == 3 else (0.2 * x + 0.5).clamp(0, 1)


def activate(name, x, keras):
    if isinstance(name, dict):
        name = name["config"]
    return {
        None: lambda: x, "linear": lambda: x, "relu": lambda: F.relu(x), "relu6": lambda: F.relu6(x), "sigmoid": lambda: torch.sigmoid(x),
        "softmax": lambda: F.softmax(x, -1), "log_softmax": lambda: F.log_softmax(x, -1), "tanh": lambda: torch.tanh(x), "elu": lambda: F.elu(x), "selu": lambda: F.selu(x),
        "softplus": lambda: F.softplus(x, threshold=80), "softsign": lambda: F.softsign(x), "exponential": lambda: torch.exp(x), "leaky_relu": lambda: F.leaky_relu(x, 0.2),
        "swish": lambda: x * torch.sigmoid(x), "silu": lambda: x * torch.sigmoid(x), "hard_sigmoid": lambda: hard_sigmoid(x, keras),
        "hard_silu": lambda: x * F.relu6(x + 3) / 6, "hard_swish": lambda: x * F.relu6(x + 3) / 6, "gelu": lambda: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
        "mish": lambda: x * torch.tanh(F.softplus(x)), "hard_tanh": lambda: x.clamp(-1, 1),
    }[name]()


class Network:
    """A Functional model, or with sequential=True a Sequential one."""

    def __init__(self, name, keras=2, seed=0, sequential=False, random=None):
        self.name, self.keras, self.sequential = name, keras, sequential
        self.random = random or np.random.default_rng(seed)
        self.layers, self.inputs, self.outputs, self.history = {}, [], [], []

    # --- building -------------------------------------------------------------------------------------------------------------------------

    def input(self, tensor, name="input_1"):
        shape = [None, *tensor.shape[1:]]
        config = {"batch_shape" if self.keras == 3 else "batch_input_shape": shape, "dtype": "float32", "sparse": False, "name": name}
        layer = self.layers[name] = Layer("InputLayer", config, {})
        layer.calls.append(([], {}))
        value = Value(layer, 0, tensor)
        self.inputs.append(value)
        return value

    def unique(self, class_name):
        base = snake(class_name)
        return next(name for name in [base] + [f"{base}_{i}" for i in range(1, 10000)] if name not in self.layers)

    def __call__(self, class_name, inputs, name=None, **config):
        """Calls a new layer."""
        config = {"name": name or self.unique(class_name), "trainable": True, "dtype": "float32", **config}
        layer = self.layers[config["name"]] = Layer(class_name, config, {})
        layer.fresh = True
        return self.again(layer, inputs)

    def again(self, layer, inputs):
        """Calls a layer once more, with the same weights. A list of inputs is one argument that is a list."""
        if layer.fresh and layer.name in LOGITS:
            # Random weights answer one class with certainty, which would hide any difference: the scores are brought to a range of 2.
            self.current = layer
            scores = getattr(self, layer.class_name)({**layer.config, "activation": None}, inputs.tensor)
            for weights in layer.weights.values():
                weights *= 2 / float(scores.abs().max())
        result = self.call(layer, [inputs], {})
        layer.fresh = False
        return result

    def call_network(self, network, inputs):
        """Calls a finished network as a layer."""
        layer = self.layers.get(network.name)
        if layer is None:
            layer = self.layers[network.name] = Layer("Sequential" if network.sequential else "Functional", {"name": network.name}, {}, network=network)
        return self.call(layer, [inputs], {})

    def op(self, compute, keras2=None, keras3=None, name=None):
        """
        Calls a function outside of layers. keras2: TensorFlow's function, its first argument, the others by name; keras3: module and class of keras.ops,
        its settings, its arguments by place.
        """
        if self.keras == 2:
            function, first, named = keras2
            layer = Layer("SlicingOpLambda" if function.endswith("getitem") else "TFOpLambda", {"trainable": True, "dtype": "float32", "function": function}, {})
            layer.config["name"] = name or self.unique("tf." + function)
            arguments = [first]
        else:
            module, class_name, settings, arguments = keras3
            layer = Layer(class_name, {"name": name or self.unique(class_name), **settings}, {}, module=module)
            named = {}
        layer.compute = compute
        self.layers[layer.name] = layer
        return self.call(layer, arguments, named)

    def call(self, layer, arguments, named):
        layer.calls.append((arguments, named))
        call = (layer, [value for item in [*arguments, *named.values()] for value in values_in(item)])
        self.history.append((call, len(layer.calls) - 1))
        return Value(layer, len(layer.calls) - 1, self.compute(layer, [value.tensor for value in call[1]]))

    def compute(self, layer, tensors):
        if layer.network is not None:
            return layer.network.run(tensors[0])
        if layer.compute is not None:
            return layer.compute(*tensors)
        self.current = layer
        return getattr(self, layer.class_name)(layer.config, *tensors)

    def run(self, tensor):
        """The first output for another input."""
        results = {(self.inputs[0].layer.name, 0): tensor}
        for (layer, values), index in self.history:
            results[(layer.name, index)] = self.compute(layer, [results[(value.layer.name, value.call)] for value in values])
        return results[(self.outputs[0].layer.name, self.outputs[0].call)]

    def random_weight(self, shape, kind):
        if kind == "kernel":  # variance 2 / fan-in keeps activations at one size through any depth
            fan = int(np.prod(shape[:-1])) if len(shape) != 4 or shape[2] * shape[3] != shape[2] else int(np.prod(shape[:2]))
            return self.random.normal(0, math.sqrt(2 / max(fan, 1)), shape).astype(np.float32)
        low, high = {"gain": (0.7, 1.3), "variance": (0.5, 1.5), "shift": (-0.3, 0.3)}[kind]
        return self.random.uniform(low, high, shape).astype(np.float32)

    def weight(self, key, shape, kind="kernel"):
        if key not in self.current.weights:
            assert self.current.fresh, f"{self.current.name} has no weight {key}"
            self.current.weights[key] = self.random_weight(tuple(int(side) for side in shape), kind)
        return torch.from_numpy(self.current.weights[key])

    # --- layers ---------------------------------------------------------------------------------------------------------------------------

    def first(self, x, config):
        return x if config.get("data_format") == "channels_first" else nchw(x)

    def back(self, x, config):
        return x if config.get("data_format") == "channels_first" else nhwc(x)

    def convolve(self, x, weights, config, kernel, strides, dilations, groups):
        if config.get("padding", "valid") == "same":
            x = same(x, kernel, strides, dilations)
        return F.conv2d(x, weights, stride=strides, dilation=dilations, groups=groups)

    def biased(self, x, config, filters):
        return x + self.weight("bias", [filters], "shift").view(1, -1, 1, 1) if config.get("use_bias", True) else x

    def Conv2D(self, config, x):
        x = self.first(x, config)
        kernel, strides, dilations = (pair(config.get(key, 1)) for key in ("kernel_size", "strides", "dilation_rate"))
        groups, filters = config.get("groups", 1), config["filters"]
        weights = self.weight("kernel", [*kernel, x.shape[1] // groups, filters]).permute(3, 2, 0, 1)
        return activate(config.get("activation"), self.back(self.biased(self.convolve(x, weights, config, kernel, strides, dilations, groups), config, filters), config), self.keras)

    def depthwise(self, config, x, key):
        kernel, strides, dilations = (pair(config.get(key, 1)) for key in ("kernel_size", "strides", "dilation_rate"))
        channels, multiplier = x.shape[1], config.get("depth_multiplier", 1)
        weights = self.weight(key, [*kernel, channels, multiplier]).permute(2, 3, 0, 1).reshape(channels * multiplier, 1, *kernel)
        return self.convolve(x, weights, config, kernel, strides, dilations, channels)

    def DepthwiseConv2D(self, config, x):
        x = self.depthwise(config, self.first(x, config), "kernel" if self.keras == 3 else "depthwise_kernel")
        return activate(config.get("activation"), self.back(self.biased(x, config, x.shape[1]), config), self.keras)

    def SeparableConv2D(self, config, x):
        x = self.depthwise(config, self.first(x, config), "depthwise_kernel")
        x = F.conv2d(x, self.weight("pointwise_kernel", [1, 1, x.shape[1], config["filters"]]).permute(3, 2, 0, 1))
        return activate(config.get("activation"), self.back(self.biased(x, config, config["filters"]), config), self.keras)

    def Conv2DTranspose(self, config, x):
        """As a sum over where each pixel's kernel lands, cut to the size that Keras documents."""
        x = self.first(x, config)
        kernel, strides, dilations = (pair(config.get(key, 1)) for key in ("kernel_size", "strides", "dilation_rate"))
        weights = self.weight("kernel", [*kernel, config["filters"], x.shape[1]])
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
        sizes, befores = [], []
        for size, k, s, extra in zip(x.shape[2:], reach, strides, pair(config["output_padding"]) if config.get("output_padding") is not None else [None, None]):
            is_same = config.get("padding", "valid") == "same"
            length = (size * s + (0 if is_same else max(k - s, 0))) if extra is None else (size - 1) * s + k - 2 * (k // 2 if is_same else 0) + extra
            sizes.append(length)
            befores.append(max((size - 1) * s + k - length, 0) // 2 if is_same else 0)
        full = torch.zeros(x.shape[0], config["filters"], max(sizes[0] + befores[0], (x.shape[2] - 1) * strides[0] + reach[0]), max(sizes[1] + befores[1], (x.shape[3] - 1) * strides[1] + reach[1]))
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                part = torch.einsum("nchw,oc->nohw", x, weights[i, j])
                top, left = i * dilations[0], j * dilations[1]
                full[:, :, top:top + (x.shape[2] - 1) * strides[0] + 1:strides[0], left:left + (x.shape[3] - 1) * strides[1] + 1:strides[1]] += part
        x = full[:, :, befores[0]:befores[0] + sizes[0], befores[1]:befores[1] + sizes[1]]
        return activate(config.get("activation"), self.back(self.biased(x, config, config["filters"]), config), self.keras)

    def Dense(self, config, x):
        x = x @ self.weight("kernel", [x.shape[-1], config["units"]])
        if config.get("use_bias", True):
            x = x + self.weight("bias", [config["units"]], "shift")
        return activate(config.get("activation"), x, self.keras)

    def BatchNormalization(self, config, x):
        axis = config.get("axis", -1)
        axis = (axis[0] if isinstance(axis, list) else axis) % x.dim()
        shape = [-1 if i == axis else 1 for i in range(x.dim())]
        size = [x.shape[axis]]
        gamma = self.weight("gamma", size, "gain").view(shape) if config.get("scale", True) else 1
        beta = self.weight("beta", size, "shift").view(shape) if config.get("center", True) else 0
        mean, variance = self.weight("moving_mean", size, "shift").view(shape), self.weight("moving_variance", size, "variance").view(shape)
        return gamma * (x - mean) / torch.sqrt(variance + config.get("epsilon", 1e-3)) + beta

    def LayerNormalization(self, config, x):
        size = [x.shape[-1]]
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        x = (x - mean) / torch.sqrt(variance + config.get("epsilon", 1e-3))
        return x * self.weight("gamma", size, "gain") + self.weight("beta", size, "shift")

    def LayerScale(self, config, x):
        return x * self.weight("gamma", [x.shape[-1]], "gain")

    def Rescaling(self, config, x):
        return x * torch.tensor(config["scale"]) + torch.tensor(config.get("offset", 0.0))

    def Normalization(self, config, x):
        if config.get("mean") is not None:
            mean, variance = torch.tensor(config["mean"]), torch.tensor(config["variance"])
        else:
            mean, variance = self.weight("mean", [x.shape[-1]], "shift"), self.weight("variance", [x.shape[-1]], "variance")
            self.weight("count", (), "gain")
        return (x - mean) / torch.sqrt(variance).clamp(min=1e-7)

    def pool(self, config, x, average):
        x = self.first(x, config)
        kernel = pair(config.get("pool_size", 2))
        strides = pair(config["strides"]) if config.get("strides") is not None else kernel
        if not average:
            x = same(x, kernel, strides, [1, 1], -math.inf) if config.get("padding", "valid") == "same" else x
            return self.back(F.max_pool2d(x, kernel, strides), config)
        count = torch.ones_like(x)
        if config.get("padding", "valid") == "same":
            x, count = same(x, kernel, strides, [1, 1]), same(count, kernel, strides, [1, 1])
        return self.back(F.avg_pool2d(x, kernel, strides) / F.avg_pool2d(count, kernel, strides), config)

    def MaxPooling2D(self, config, x):
        return self.pool(config, x, False)

    def AveragePooling2D(self, config, x):
        return self.pool(config, x, True)

    def GlobalAveragePooling2D(self, config, x):
        return x.mean((2, 3) if config.get("data_format") == "channels_first" else (1, 2), keepdim=config.get("keepdims", False))

    def GlobalMaxPooling2D(self, config, x):
        return x.amax((2, 3) if config.get("data_format") == "channels_first" else (1, 2), keepdim=config.get("keepdims", False))

    def Activation(self, config, x):
        return activate(config["activation"], x, self.keras)

    def ReLU(self, config, x):
        slope, threshold, most = config.get("negative_slope", 0.0) or 0.0, config.get("threshold", 0.0) or 0.0, config.get("max_value")
        x = torch.where(x >= threshold, x, slope * (x - threshold))
        return x if most is None else x.clamp(max=most)

    def LeakyReLU(self, config, x):
        return F.leaky_relu(x, config.get("negative_slope", config.get("alpha", 0.3)))

    def PReLU(self, config, x):
        shape = list(x.shape[1:])
        for axis in config.get("shared_axes") or []:
            shape[axis - 1] = 1
        return torch.where(x < 0, x * self.weight("alpha", shape, "shift"), x)

    def ELU(self, config, x):
        return F.elu(x, config.get("alpha", 1.0))

    def Softmax(self, config, x):
        return F.softmax(x, config.get("axis", -1))

    def ThresholdedReLU(self, config, x):
        return torch.where(x > config["theta"], x, torch.zeros_like(x))

    def ZeroPadding2D(self, config, x):
        padding = config["padding"]
        rows, columns = [[padding] * 2] * 2 if isinstance(padding, int) else padding if isinstance(padding[0], (list, tuple)) else [[side] * 2 for side in padding]
        return self.back(F.pad(self.first(x, config), [*columns, *rows]), config)

    def Cropping2D(self, config, x):
        (top, bottom), (left, right) = config["cropping"]
        x = self.first(x, config)
        return self.back(x[:, :, top:x.shape[2] - bottom, left:x.shape[3] - right], config)

    def CenterCrop(self, config, x):
        top, left = (x.shape[1] - config["height"]) // 2, (x.shape[2] - config["width"]) // 2
        return x[:, top:top + config["height"], left:left + config["width"]]

    def interpolate(self, x, height, width, how):
        if how == "nearest":
            rows = torch.clamp(((torch.arange(height) + 0.5) * x.shape[1] / height).floor().long(), max=x.shape[1] - 1)
            columns = torch.clamp(((torch.arange(width) + 0.5) * x.shape[2] / width).floor().long(), max=x.shape[2] - 1)
            return x[:, rows][:, :, columns]
        return nhwc(F.interpolate(nchw(x), (height, width), mode="bilinear", align_corners=False))

    def Resizing(self, config, x):
        return self.interpolate(x, config["height"], config["width"], config.get("interpolation", "bilinear"))

    def UpSampling2D(self, config, x):
        size = pair(config.get("size", 2))
        return self.interpolate(x, x.shape[1] * size[0], x.shape[2] * size[1], config.get("interpolation", "nearest"))

    def Flatten(self, config, x):
        return (x.permute(0, *range(2, x.dim()), 1) if config.get("data_format") == "channels_first" else x).reshape(x.shape[0], -1)

    def Reshape(self, config, x):
        return x.reshape(x.shape[0], *config["target_shape"])

    def Permute(self, config, x):
        return x.permute(0, *config["dims"])

    def RepeatVector(self, config, x):
        return x.unsqueeze(1).repeat(1, config["n"], 1)

    def aligned(self, values):
        rank = max(value.dim() for value in values)
        return [value.reshape(value.shape[0], *[1] * (rank - value.dim()), *value.shape[1:]) for value in values]

    def Add(self, config, *values):
        return sum(self.aligned(values))

    def Subtract(self, config, first, second):
        return first - second

    def Multiply(self, config, *values):
        return math.prod(self.aligned(values))

    def Average(self, config, *values):
        return sum(self.aligned(values)) / len(values)

    def Maximum(self, config, *values):
        return torch.stack(torch.broadcast_tensors(*self.aligned(values))).amax(0)

    def Minimum(self, config, *values):
        return torch.stack(torch.broadcast_tensors(*self.aligned(values))).amin(0)

    def Concatenate(self, config, *values):
        return torch.cat(values, config.get("axis", -1))

    def CustomScaleLayer(self, config, shortcut, residual):
        return shortcut + residual * config["scale"]

    def Lambda(self, config, shortcut, residual):
        return shortcut + residual * config["arguments"]["scale"]

    def passes(self, config, x):
        return x

    Dropout = SpatialDropout2D = GaussianNoise = GaussianDropout = AlphaDropout = ActivityRegularization = RandomFlip = RandomRotation = RandomZoom = RandomContrast = passes

    # --- writing --------------------------------------------------------------------------------------------------------------------------

    def config(self, h5=True):
        """What get_config() answers; h5: in the form that goes into .h5 files."""
        if self.sequential:
            layers = [self.layer_config(layer, h5) for layer in self.layers.values()]
            config = {"name": self.name, "layers": layers}
        else:
            layers = []
            for layer in self.layers.values():
                described = self.layer_config(layer, h5)
                described["name"] = layer.name
                described["inbound_nodes"] = [self.node(layer, call) for call in layer.calls if call[0] or call[1]]
                layers.append(described)
            config = {"name": self.name, "trainable": True, "layers": layers, "input_layers": [self.reference(value, True) for value in self.inputs], "output_layers": [self.reference(value, True) for value in self.outputs]}
        described = {"class_name": "Sequential" if self.sequential else "Functional", "config": config}
        if not h5:
            described = {"module": "keras" if self.sequential else "keras.src.models.functional", **described, "registered_name": "Sequential" if self.sequential else "Functional"}
        return described

    def layer_config(self, layer, h5):
        if layer.network is not None:
            return layer.network.config(h5)
        config = dict(layer.config)
        if self.keras == 3 and "dtype" in config and layer.class_name != "InputLayer" and layer.module is None:
            config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
        described = {"class_name": layer.class_name, "config": config}
        if not h5:
            described = {"module": layer.module or "keras.layers", **described, "registered_name": None if layer.module is None else layer.class_name}
        return described

    def index(self, value, output=False):
        # A model's own first node counts as a call: in all references of Keras 2, in the outputs of Keras 3.
        nested = value.layer.network is not None and (self.keras == 2 or output)
        return value.call + (1 if nested else 0)

    def reference(self, value, output=False):
        return [value.layer.name, self.index(value, output), 0]

    def node(self, layer, call):
        arguments, named = call
        if self.keras == 3:
            def wrap(item):
                if isinstance(item, Value):
                    return {"class_name": "__keras_tensor__", "config": {"shape": [None, *item.tensor.shape[1:]], "dtype": "float32", "keras_history": self.reference(item)}}
                return [wrap(part) for part in item] if isinstance(item, list) else item
            return {"args": [wrap(item) for item in arguments], "kwargs": {key: wrap(item) for key, item in named.items()}}

        extra = {key: self.reference(item) if isinstance(item, Value) else item for key, item in named.items()}
        first = arguments[0]
        if isinstance(first, list):
            return [[*self.reference(item), extra] for item in first]
        if not isinstance(first, Value):
            return ["_CONSTANT_VALUE", -1, first, extra]
        # Operations keep the structure of their argument; layers have a list around it.
        return [*self.reference(first), extra] if layer.class_name.endswith("OpLambda") else [[*self.reference(first), extra]]

    def flat_layers(self):
        """The layers with their own weights, those of nested networks in place, with the names of the models around them."""
        for layer in self.layers.values():
            if layer.network is not None:
                for inner, path in layer.network.flat_layers():
                    yield inner, [layer.name, *path]
            else:
                yield layer, [layer.name]


TRAINED = {"moving_mean": False, "moving_variance": False, "mean": False, "variance": False, "count": False}


def write_attribute(group, name, names, pieces=1):
    """A list of names, as Keras writes it: split over several attributes where it grows too long."""
    if pieces == 1:
        group.attrs[name] = np.asarray([item.encode() for item in names]) if names else np.zeros((0,), "S1")
    else:
        for index, part in enumerate(np.array_split(np.asarray([item.encode() for item in names]), pieces)):
            group.attrs[f"{name}{index}"] = part


def write_h5(network, path, version="2.11.0", pieces=1, **options):
    """model.save("x.h5")"""
    with h5py.File(path, "w", **options) as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(network.config(h5=True), separators=(",", ":"))
        group = file.create_group("model_weights")
        write_attribute(group, "layer_names", list(network.layers), pieces)
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = version.encode()
        suffix = "" if network.keras == 3 else ":0"
        for layer in sorted(network.layers.values(), key=lambda layer: layer.name):  # a name may be the beginning of another, with a slash
            weights = []
            if layer.network is not None:
                for trained in (True, False):  # a nested network's trained weights come first
                    for inner, path_ in layer.network.flat_layers():
                        weights += [(f"{inner.name}/{key}{suffix}", array) for key, array in inner.weights.items() if TRAINED.get(key, True) == trained]
            else:
                weights = [(f"{layer.name}/{key}{suffix}", array) for key, array in layer.weights.items()]
            stored = group.create_group(layer.name)
            write_attribute(stored, "weight_names", [name for name, _ in weights], pieces if len(weights) > pieces else 1)
            for name, array in weights:
                stored.create_dataset(name, data=array)
        group.create_group("top_level_model_weights").attrs["weight_names"] = np.zeros((0,), "S1")


def snake(name):
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def write_keras(network, path, version="3.5.0", names="layers", compression=zipfile.ZIP_STORED, **options):
    """model.save("x.keras"); names: "layers" as since Keras 2.14, "dependencies" as 2.12 and 2.13 do it."""
    memory = io.BytesIO()
    with h5py.File(memory, "w", **options) as file:
        def save(net, group):
            used = {}
            container = group.create_group("layers" if names == "layers" else "_layer_checkpoint_dependencies")
            for layer in net.layers.values():
                name = snake(layer.class_name)
                if net.sequential and layer.class_name == "InputLayer" and names == "layers":
                    continue
                used[name] = used.get(name, -1) + 1
                number = used[name]
                if names == "dependencies" and (layer.weights or layer.network is not None):
                    used[name] += 1  # such a layer stands in the list twice
                stored = container.create_group(name if number == 0 else f"{name}_{number}")
                variables = stored.create_group("vars")
                for index, array in enumerate(layer.weights.values()):
                    variables.create_dataset(str(index), data=array)
                if layer.network is not None:
                    save(layer.network, stored)
        save(network, file)
        file.create_group("vars")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"})),
                              ("config.json", json.dumps(network.config(h5=False), separators=(",", ":"))),
                              ("model.weights.h5", memory.getvalue())]:
            archive.writestr(zipfile.ZipInfo(name), content, compression)


class Answers:
    """What networks answer, each array once: little-endian floats in base64."""

    def __init__(self):
        self.arrays, self.files = {}, {}

    def add(self, file, network):
        self.files[file] = {"input": self.array(network.inputs[0].tensor), "outputs": {value.layer.name: self.array(value.tensor) for value in network.outputs}}

    def array(self, tensor):
        text = base64.b64encode(tensor.contiguous().numpy().astype("<f4").tobytes()).decode()
        return {"shape": list(tensor.shape), "values": self.arrays.setdefault(text, len(self.arrays))}

    def write(self, path):
        with open(path, "w") as file:
            json.dump({"files": self.files, "arrays": list(self.arrays)}, file, separators=(",", ":"))
            file.write("\n")
