"""The networks of keras.applications, from their papers and their documentation, with random weights and fewer channels.

    python3 networks.py NAME FILE             writes the model to FILE (.h5 or .keras) and what it answers to FILE.json
    python3 networks.py DESCRIPTION FILE      the same for a description in TensorFlow.js' form (model.json without weights), at its full size

Channels are divided by eight where the name does not say otherwise; depths, kernels, strides, paddings and names are the networks' own.
"""
import json
import sys

import numpy as np
import torch

from reference import Answers, Network, write_h5, write_keras

sys.setrecursionlimit(100_000)


def picture(side, low=-1.0, high=1.0, seed=7):
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, (1, side, side, 3)).astype(np.float32))


def thin(channels):
    return max(4, channels // 8)


def divisible(value, divisor=8):
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def correct_pad(side, kernel):
    return [[kernel // 2 - (1 - side % 2), kernel // 2]] * 2


def finish(net, x, classes=10, activation="softmax"):
    x = net("GlobalAveragePooling2D", x, name="avg_pool")
    net.outputs = [net("Dense", x, units=classes, activation=activation, name="predictions")]
    return net


def start(name, keras, side, low=-1.0, high=1.0):
    net = Network(name, keras=keras, seed=23)
    return net, net.input(picture(side, low, high))


# --- VGG ------------------------------------------------------------------------------------------------------------------------------------


def vgg16(keras):
    net, x = start("vgg16", keras, 32)
    for block, (repeats, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for conv in range(1, repeats + 1):
            x = net("Conv2D", x, filters=thin(filters), kernel_size=[3, 3], padding="same", activation="relu", name=f"block{block}_conv{conv}")
        x = net("MaxPooling2D", x, pool_size=[2, 2], strides=[2, 2], name=f"block{block}_pool")
    x = net("Flatten", x, name="flatten")
    for name in ("fc1", "fc2"):
        x = net("Dense", x, units=thin(4096) // 4, activation="relu", name=name)
    net.outputs = [net("Dense", x, units=10, activation="softmax", name="predictions")]
    return net


# --- MobileNet ------------------------------------------------------------------------------------------------------------------------------


def mobilenet(keras):
    net, x = start("mobilenet_0.25_64", keras, 64)

    def block(x, filters, index, strides):
        if strides == 2:
            x = net("ZeroPadding2D", x, padding=[[0, 1], [0, 1]], name=f"conv_pad_{index}")
        x = net("DepthwiseConv2D", x, kernel_size=[3, 3], strides=[strides, strides], padding="same" if strides == 1 else "valid", depth_multiplier=1, use_bias=False, name=f"conv_dw_{index}")
        x = net("ReLU", net("BatchNormalization", x, name=f"conv_dw_{index}_bn"), max_value=6.0, negative_slope=0.0, threshold=0.0, name=f"conv_dw_{index}_relu")
        x = net("Conv2D", x, filters=filters, kernel_size=[1, 1], padding="same", use_bias=False, name=f"conv_pw_{index}")
        return net("ReLU", net("BatchNormalization", x, name=f"conv_pw_{index}_bn"), max_value=6.0, negative_slope=0.0, threshold=0.0, name=f"conv_pw_{index}_relu")

    x = net("Conv2D", x, filters=8, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=False, name="conv1")
    x = net("ReLU", net("BatchNormalization", x, name="conv1_bn"), max_value=6.0, negative_slope=0.0, threshold=0.0, name="conv1_relu")
    for index, (filters, strides) in enumerate([(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)], 1):
        x = block(x, filters // 4, index, strides)
    x = net("GlobalAveragePooling2D", x, keepdims=True)
    x = net("Conv2D", net("Dropout", x, rate=1e-3, name="dropout"), filters=10, kernel_size=[1, 1], padding="same", name="conv_preds")
    x = net("Reshape", x, target_shape=[10], name="reshape_2")
    net.outputs = [net("Activation", x, activation="softmax", name="predictions")]
    return net


def mobilenet_v2(keras):
    net, x = start("mobilenetv2_0.25_64", keras, 64)

    def normalised(x, name, relu=None):
        x = net("BatchNormalization", x, epsilon=1e-3, momentum=0.999, name=name)
        return x if relu is None else net("ReLU", x, max_value=6.0, negative_slope=0.0, threshold=0.0, name=relu)

    x = normalised(net("Conv2D", x, filters=8, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=False, name="Conv1"), "bn_Conv1", "Conv1_relu")
    index = 0
    for expansion, channels, repeats, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for repeat in range(repeats):
            strides, filters, before, side = stride if repeat == 0 else 1, divisible(channels * 0.25), x.tensor.shape[-1], x.tensor.shape[1]
            prefix, shortcut = f"block_{index}_" if index else "expanded_conv_", x
            if index:
                x = normalised(net("Conv2D", x, filters=expansion * before, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "expand"), prefix + "expand_BN", prefix + "expand_relu")
            if strides == 2:
                x = net("ZeroPadding2D", x, padding=correct_pad(side, 3), name=prefix + "pad")
            x = net("DepthwiseConv2D", x, kernel_size=[3, 3], strides=[strides, strides], use_bias=False, padding="same" if strides == 1 else "valid", name=prefix + "depthwise")
            x = normalised(x, prefix + "depthwise_BN", prefix + "depthwise_relu")
            x = normalised(net("Conv2D", x, filters=filters, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "project"), prefix + "project_BN")
            if before == filters and strides == 1:
                x = net("Add", [shortcut, x], name=prefix + "add")
            index += 1
    return finish(net, normalised(net("Conv2D", x, filters=160, kernel_size=[1, 1], use_bias=False, name="Conv_1"), "Conv_1_bn", "out_relu"))


SMALL = [(1, 16, 3, 2, 0.25, "relu"), (72 / 16, 24, 3, 2, None, "relu"), (88 / 24, 24, 3, 1, None, "relu"), (4, 40, 5, 2, 0.25, "swish"), (6, 40, 5, 1, 0.25, "swish"), (6, 40, 5, 1, 0.25, "swish"),
         (3, 48, 5, 1, 0.25, "swish"), (3, 48, 5, 1, 0.25, "swish"), (6, 96, 5, 2, 0.25, "swish"), (6, 96, 5, 1, 0.25, "swish"), (6, 96, 5, 1, 0.25, "swish")]
LARGE = [(1, 16, 3, 1, None, "relu"), (4, 24, 3, 2, None, "relu"), (3, 24, 3, 1, None, "relu"), (3, 40, 5, 2, 0.25, "relu"), (3, 40, 5, 1, 0.25, "relu"), (3, 40, 5, 1, 0.25, "relu"), (6, 80, 3, 2, None, "swish"),
         (2.5, 80, 3, 1, None, "swish"), (2.3, 80, 3, 1, None, "swish"), (2.3, 80, 3, 1, None, "swish"), (6, 112, 3, 1, 0.25, "swish"), (6, 112, 3, 1, 0.25, "swish"), (6, 160, 5, 2, 0.25, "swish"),
         (6, 160, 5, 1, 0.25, "swish"), (6, 160, 5, 1, 0.25, "swish")]


def mobilenet_v3(keras, name, blocks, last):
    net, x = start(name, keras, 64, 0, 255)
    numpy = "keras.src.ops.numpy"

    def hard_sigmoid(x):
        x = net.op(lambda a: a + 3, ("__operators__.add", x, {"y": 3.0, "name": None}), (numpy, "Add", {}, [x, 3.0]))
        x = net("ReLU", x, max_value=6.0, negative_slope=0.0, threshold=0.0)
        return net.op(lambda a: a * (1 / 6), ("math.multiply", x, {"y": 1 / 6, "name": None}), (numpy, "Multiply", {}, [x, 1 / 6]))

    def activation(x, kind):
        # Keras 2 composes what Keras 3 has as an activation.
        return net("ReLU", x) if kind == "relu" else net("Activation", x, activation="hard_silu") if keras == 3 else net("Multiply", [hard_sigmoid(x), x])

    def normalised(x, name):
        return net("BatchNormalization", x, epsilon=1e-3, momentum=0.999, name=name)

    x = net("Rescaling", x, scale=1 / 127.5, offset=-1.0)
    x = activation(normalised(net("Conv2D", x, filters=16, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=False, name="Conv"), "Conv/BatchNorm"), "swish")
    for index, (expansion, filters, kernel, stride, se, kind) in enumerate(blocks):
        filters = divisible(filters // 2)
        prefix, shortcut, before = f"expanded_conv_{index}/" if index else "expanded_conv/", x, x.tensor.shape[-1]
        if index:
            x = net("Conv2D", x, filters=divisible(before * expansion), kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "expand")
            x = activation(normalised(x, prefix + "expand/BatchNorm"), kind)
        if stride == 2:
            x = net("ZeroPadding2D", x, padding=correct_pad(x.tensor.shape[1], kernel), name=prefix + "depthwise/pad")
        x = net("DepthwiseConv2D", x, kernel_size=[kernel, kernel], strides=[stride, stride], padding="same" if stride == 1 else "valid", use_bias=False, name=prefix + "depthwise")
        x = activation(normalised(x, prefix + "depthwise/BatchNorm"), kind)
        if se:
            channels = x.tensor.shape[-1]
            y = net("GlobalAveragePooling2D", x, keepdims=True, name=prefix + "squeeze_excite/AvgPool")
            y = net("Conv2D", y, filters=divisible(channels * se), kernel_size=[1, 1], padding="same", name=prefix + "squeeze_excite/Conv")
            y = net("Conv2D", net("ReLU", y, name=prefix + "squeeze_excite/Relu"), filters=channels, kernel_size=[1, 1], padding="same", name=prefix + "squeeze_excite/Conv_1")
            x = net("Multiply", [x, hard_sigmoid(y)], name=prefix + "squeeze_excite/Mul")
        x = normalised(net("Conv2D", x, filters=filters, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "project"), prefix + "project/BatchNorm")
        if stride == 1 and before == filters:
            x = net("Add", [shortcut, x], name=prefix + "Add")
    x = activation(normalised(net("Conv2D", x, filters=divisible(x.tensor.shape[-1] * 6), kernel_size=[1, 1], padding="same", use_bias=False, name="Conv_1"), "Conv_1/BatchNorm"), "swish")
    x = net("GlobalAveragePooling2D", x, keepdims=True)
    x = activation(net("Conv2D", x, filters=last, kernel_size=[1, 1], padding="same", name="Conv_2"), "swish")
    x = net("Conv2D", net("Dropout", x, rate=0.2), filters=10, kernel_size=[1, 1], padding="same", name="Logits")
    net.outputs = [net("Activation", net("Flatten", x), activation="softmax", name="Predictions")]
    return net


# --- ResNet ---------------------------------------------------------------------------------------------------------------------------------


def resnet(keras, name, blocks, v2):
    net, x = start(name, keras, 64)
    epsilon = 1.001e-5

    def act(x, name):
        return net("Activation", net("BatchNormalization", x, axis=3, epsilon=epsilon, name=name + "_bn"), activation="relu", name=name + "_relu")

    x = net("Conv2D", net("ZeroPadding2D", x, padding=[[3, 3], [3, 3]], name="conv1_pad"), filters=8, kernel_size=[7, 7], strides=[2, 2], name="conv1_conv")
    x = x if v2 else act(x, "conv1")
    x = net("MaxPooling2D", net("ZeroPadding2D", x, padding=[[1, 1], [1, 1]], name="pool1_pad"), pool_size=[3, 3], strides=[2, 2], name="pool1_pool")
    for stack, (filters, repeats) in enumerate(zip([8, 16, 32, 64], blocks), 2):
        for block in range(1, repeats + 1):
            prefix = f"conv{stack}_block{block}"
            if v2:
                stride = 2 if block == repeats and stack < 5 else 1
                start_ = act(x, prefix + "_preact")
                shortcut = net("Conv2D", start_, filters=4 * filters, kernel_size=[1, 1], strides=[stride, stride], name=prefix + "_0_conv") if block == 1 else \
                    net("MaxPooling2D", x, pool_size=[1, 1], strides=[stride, stride]) if stride > 1 else x
                y = act(net("Conv2D", start_, filters=filters, kernel_size=[1, 1], use_bias=False, name=prefix + "_1_conv"), prefix + "_1")
                y = net("ZeroPadding2D", y, padding=[[1, 1], [1, 1]], name=prefix + "_2_pad")
                y = act(net("Conv2D", y, filters=filters, kernel_size=[3, 3], strides=[stride, stride], use_bias=False, name=prefix + "_2_conv"), prefix + "_2")
                x = net("Add", [shortcut, net("Conv2D", y, filters=4 * filters, kernel_size=[1, 1], name=prefix + "_3_conv")], name=prefix + "_out")
            else:
                stride = 2 if block == 1 and stack > 2 else 1
                shortcut = x if block > 1 else net("BatchNormalization", net("Conv2D", x, filters=4 * filters, kernel_size=[1, 1], strides=[stride, stride], name=prefix + "_0_conv"), axis=3, epsilon=epsilon, name=prefix + "_0_bn")
                y = act(net("Conv2D", x, filters=filters, kernel_size=[1, 1], strides=[stride, stride], name=prefix + "_1_conv"), prefix + "_1")
                y = act(net("Conv2D", y, filters=filters, kernel_size=[3, 3], padding="same", name=prefix + "_2_conv"), prefix + "_2")
                y = net("BatchNormalization", net("Conv2D", y, filters=4 * filters, kernel_size=[1, 1], name=prefix + "_3_conv"), axis=3, epsilon=epsilon, name=prefix + "_3_bn")
                x = net("Activation", net("Add", [shortcut, y], name=prefix + "_add"), activation="relu", name=prefix + "_out")
    return finish(net, act(x, "post") if v2 else x)


# --- DenseNet -------------------------------------------------------------------------------------------------------------------------------


def densenet121(keras):
    net, x = start("densenet121", keras, 64)
    growth = 8

    def act(x, name):
        return net("Activation", net("BatchNormalization", x, axis=3, epsilon=1.001e-5, name=name + "_bn"), activation="relu", name=name + "_relu")

    x = net("Conv2D", net("ZeroPadding2D", x, padding=[[3, 3], [3, 3]]), filters=16, kernel_size=[7, 7], strides=[2, 2], use_bias=False, name="conv1/conv")
    x = net("MaxPooling2D", net("ZeroPadding2D", act(x, "conv1"), padding=[[1, 1], [1, 1]]), pool_size=[3, 3], strides=[2, 2], name="pool1")
    for stack, repeats in enumerate([6, 12, 24, 16], 2):
        for block in range(1, repeats + 1):
            prefix = f"conv{stack}_block{block}"
            y = net("Conv2D", act(x, prefix + "_0"), filters=4 * growth, kernel_size=[1, 1], use_bias=False, name=prefix + "_1_conv")
            y = net("Conv2D", act(y, prefix + "_1"), filters=growth, kernel_size=[3, 3], padding="same", use_bias=False, name=prefix + "_2_conv")
            x = net("Concatenate", [x, y], axis=3, name=prefix + "_concat")
        if stack < 5:
            x = net("Conv2D", act(x, f"pool{stack}"), filters=x.tensor.shape[-1] // 2, kernel_size=[1, 1], use_bias=False, name=f"pool{stack}_conv")
            x = net("AveragePooling2D", x, pool_size=[2, 2], strides=[2, 2], name=f"pool{stack}_pool")
    return finish(net, net("Activation", net("BatchNormalization", x, axis=3, epsilon=1.001e-5, name="bn"), activation="relu", name="relu"))


# --- EfficientNet ---------------------------------------------------------------------------------------------------------------------------


def squeeze_excite(net, x, filters, reduced, prefix):
    y = net("GlobalAveragePooling2D", x, name=prefix + "se_squeeze")
    y = net("Reshape", y, target_shape=[1, 1, filters], name=prefix + "se_reshape")
    y = net("Conv2D", y, filters=reduced, kernel_size=[1, 1], padding="same", activation="swish", name=prefix + "se_reduce")
    y = net("Conv2D", y, filters=filters, kernel_size=[1, 1], padding="same", activation="sigmoid", name=prefix + "se_expand")
    return net("Multiply", [x, y], name=prefix + "se_excite")


def efficientnet_b0(keras):
    net, x = start("efficientnetb0", keras, 64, 0, 255)
    x = net("Rescaling", x, scale=1 / 255)
    x = net("Normalization", x, axis=[3] if keras == 2 else [-1], mean=None, variance=None)
    x = net("Rescaling", x, scale=[2.0896918976428642, 2.1128856368212916, 2.1081851067789197])  # since TensorFlow 2.9
    x = net("ZeroPadding2D", x, padding=correct_pad(64, 3), name="stem_conv_pad")
    x = net("Conv2D", x, filters=8, kernel_size=[3, 3], strides=[2, 2], padding="valid", use_bias=False, name="stem_conv")
    x = net("Activation", net("BatchNormalization", x, axis=3, name="stem_bn"), activation="swish", name="stem_activation")
    for stage, (kernel, repeats, filters, expansion, stride) in enumerate([(3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2), (3, 1, 320, 6, 1)], 1):
        for repeat in range(repeats):
            strides, out, prefix, shortcut, before = stride if repeat == 0 else 1, divisible(filters / 4, 4), f"block{stage}{chr(97 + repeat)}_", x, x.tensor.shape[-1]
            inner = before * expansion
            if expansion != 1:
                x = net("Conv2D", x, filters=inner, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "expand_conv")
                x = net("Activation", net("BatchNormalization", x, axis=3, name=prefix + "expand_bn"), activation="swish", name=prefix + "expand_activation")
            if strides == 2:
                x = net("ZeroPadding2D", x, padding=correct_pad(x.tensor.shape[1], kernel), name=prefix + "dwconv_pad")
            x = net("DepthwiseConv2D", x, kernel_size=[kernel, kernel], strides=[strides, strides], padding="valid" if strides == 2 else "same", use_bias=False, name=prefix + "dwconv")
            x = net("Activation", net("BatchNormalization", x, axis=3, name=prefix + "bn"), activation="swish", name=prefix + "activation")
            x = squeeze_excite(net, x, inner, max(1, before // 4), prefix)
            x = net("BatchNormalization", net("Conv2D", x, filters=out, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "project_conv"), axis=3, name=prefix + "project_bn")
            if strides == 1 and before == out:
                x = net("Add", [net("Dropout", x, rate=0.1, noise_shape=[None, 1, 1, 1], name=prefix + "drop"), shortcut], name=prefix + "add")
    x = net("Conv2D", x, filters=160, kernel_size=[1, 1], padding="same", use_bias=False, name="top_conv")
    return finish(net, net("Activation", net("BatchNormalization", x, axis=3, name="top_bn"), activation="swish", name="top_activation"))


def efficientnet_v2_b0(keras):
    net, x = start("efficientnetv2-b0", keras, 64, 0, 255)
    x = net("Rescaling", x, scale=1 / 255)
    x = net("Normalization", x, axis=-1, mean=[0.485, 0.456, 0.406], variance=[0.229 ** 2, 0.224 ** 2, 0.225 ** 2])

    def normalised(x, name, activation=None):
        x = net("BatchNormalization", x, axis=3, momentum=0.9, name=name)
        return net("Activation", x, activation="swish", name=activation) if activation else x

    x = normalised(net("Conv2D", x, filters=8, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=False, name="stem_conv"), "stem_bn", "stem_activation")
    for stage, (fused, kernel, repeats, filters, expansion, stride, se) in enumerate([(True, 3, 1, 16, 1, 1, 0), (True, 3, 2, 32, 4, 2, 0), (True, 3, 2, 48, 4, 2, 0), (False, 3, 3, 96, 4, 2, 0.25), (False, 3, 5, 112, 6, 1, 0.25), (False, 3, 8, 192, 6, 2, 0.25)], 1):
        for repeat in range(repeats):
            strides, out, prefix, shortcut, before = stride if repeat == 0 else 1, divisible(filters / 4, 4), f"block{stage}{chr(97 + repeat)}_", x, x.tensor.shape[-1]
            inner = before * expansion
            if fused:
                if expansion != 1:
                    x = normalised(net("Conv2D", x, filters=inner, kernel_size=[kernel, kernel], strides=[strides, strides], padding="same", use_bias=False, name=prefix + "expand_conv"), prefix + "expand_bn", prefix + "expand_activation")
                size, step = (1, 1) if expansion != 1 else (kernel, strides)
                x = normalised(net("Conv2D", x, filters=out, kernel_size=[size, size], strides=[step, step], padding="same", use_bias=False, name=prefix + "project_conv"), prefix + "project_bn", prefix + "project_activation" if expansion == 1 else None)
            else:
                x = normalised(net("Conv2D", x, filters=inner, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "expand_conv"), prefix + "expand_bn", prefix + "expand_activation")
                x = normalised(net("DepthwiseConv2D", x, kernel_size=[kernel, kernel], strides=[strides, strides], padding="same", use_bias=False, name=prefix + "dwconv2"), prefix + "bn", prefix + "activation")
                x = squeeze_excite(net, x, inner, max(1, int(before * se)), prefix)
                x = normalised(net("Conv2D", x, filters=out, kernel_size=[1, 1], padding="same", use_bias=False, name=prefix + "project_conv"), prefix + "project_bn")
            if strides == 1 and before == out:
                x = net("Add", [net("Dropout", x, rate=0.1, noise_shape=[None, 1, 1, 1], name=prefix + "drop"), shortcut], name=prefix + "add")
    return finish(net, normalised(net("Conv2D", x, filters=160, kernel_size=[1, 1], padding="same", use_bias=False, name="top_conv"), "top_bn", "top_activation"))


# --- Xception and Inception -----------------------------------------------------------------------------------------------------------------


def xception(keras):
    net, x = start("xception", keras, 75)

    def conv(x, filters, name, strides=1):
        x = net("Conv2D", x, filters=thin(filters), kernel_size=[3, 3], strides=[strides, strides], use_bias=False, name=name)
        return net("Activation", net("BatchNormalization", x, name=name + "_bn"), activation="relu", name=name + "_act")

    def separable(x, filters, name, before=True, after=False):
        if before:
            x = net("Activation", x, activation="relu", name=name + "_act")
        x = net("SeparableConv2D", x, filters=thin(filters), kernel_size=[3, 3], padding="same", use_bias=False, name=name)
        x = net("BatchNormalization", x, name=name + "_bn")
        return net("Activation", x, activation="relu", name=name + "_act") if after else x

    def entry(x, index, first, second, before):
        shortcut = net("BatchNormalization", net("Conv2D", x, filters=thin(second), kernel_size=[1, 1], strides=[2, 2], padding="same", use_bias=False))
        x = separable(x, first, f"block{index}_sepconv1", before)
        x = separable(x, second, f"block{index}_sepconv2")
        return net("Add", [net("MaxPooling2D", x, pool_size=[3, 3], strides=[2, 2], padding="same", name=f"block{index}_pool"), shortcut])

    x = conv(conv(x, 32, "block1_conv1", 2), 64, "block1_conv2")
    x = entry(x, 2, 128, 128, False)
    x = entry(x, 3, 256, 256, True)
    x = entry(x, 4, 728, 728, True)
    for index in range(5, 13):
        y = x
        for step in (1, 2, 3):
            y = separable(y, 728, f"block{index}_sepconv{step}")
        x = net("Add", [y, x])
    x = entry(x, 13, 728, 1024, True)
    x = separable(x, 1536, "block14_sepconv1", False, True)
    return finish(net, separable(x, 2048, "block14_sepconv2", False, True))


class Inception:
    """What InceptionV3 and InceptionResNetV2 share: convolution, batch norm without a gain, ReLU."""

    def __init__(self, net):
        self.net = net

    def conv(self, x, filters, rows, columns, padding="same", strides=1, name=None, activation="relu"):
        x = self.net("Conv2D", x, filters=thin(filters), kernel_size=[rows, columns], strides=[strides, strides], padding=padding, use_bias=False, name=name)
        x = self.net("BatchNormalization", x, axis=3, scale=False, name=name and name + "_bn")
        return self.net("Activation", x, activation=activation, name=name and name + "_ac") if activation else x

    def pool(self, x, average, size=3, strides=1, padding="same"):
        return self.net("AveragePooling2D" if average else "MaxPooling2D", x, pool_size=[size, size], strides=[strides, strides], padding=padding)

    def join(self, parts, name=None):
        return self.net("Concatenate", parts, axis=3, name=name)


def inception_v3(keras):
    net, x = start("inception_v3", keras, 80)
    block = Inception(net)
    conv, pool, join = block.conv, block.pool, block.join
    x = conv(conv(conv(x, 32, 3, 3, "valid", 2), 32, 3, 3, "valid"), 64, 3, 3)
    x = conv(conv(pool(x, False, strides=2, padding="valid"), 80, 1, 1, "valid"), 192, 3, 3, "valid")
    x = pool(x, False, strides=2, padding="valid")
    for index, filters in enumerate([32, 64, 64]):
        x = join([conv(x, 64, 1, 1), conv(conv(x, 48, 1, 1), 64, 5, 5), conv(conv(conv(x, 64, 1, 1), 96, 3, 3), 96, 3, 3), conv(pool(x, True), filters, 1, 1)], f"mixed{index}")
    x = join([conv(x, 384, 3, 3, "valid", 2), conv(conv(conv(x, 64, 1, 1), 96, 3, 3), 96, 3, 3, "valid", 2), pool(x, False, strides=2, padding="valid")], "mixed3")
    for index, filters in enumerate([128, 160, 160, 192], 4):
        double = conv(conv(conv(conv(conv(x, filters, 1, 1), filters, 7, 1), filters, 1, 7), filters, 7, 1), 192, 1, 7)
        x = join([conv(x, 192, 1, 1), conv(conv(conv(x, filters, 1, 1), filters, 1, 7), 192, 7, 1), double, conv(pool(x, True), 192, 1, 1)], f"mixed{index}")
    x = join([conv(conv(x, 192, 1, 1), 320, 3, 3, "valid", 2), conv(conv(conv(conv(x, 192, 1, 1), 192, 1, 7), 192, 7, 1), 192, 3, 3, "valid", 2), pool(x, False, strides=2, padding="valid")], "mixed8")
    for index in range(2):
        three, double = conv(x, 384, 1, 1), conv(conv(x, 448, 1, 1), 384, 3, 3)
        x = join([conv(x, 320, 1, 1), join([conv(three, 384, 1, 3), conv(three, 384, 3, 1)], f"mixed9_{index}"), join([conv(double, 384, 1, 3), conv(double, 384, 3, 1)]), conv(pool(x, True), 192, 1, 1)], f"mixed{9 + index}")
    return finish(net, x)


def inception_resnet_v2(keras):
    net, x = start("inception_resnet_v2", keras, 80)
    block = Inception(net)
    conv, pool, join = block.conv, block.pool, block.join

    def residual(x, scale, kind, index, activation="relu"):
        branches = {
            "block35": lambda: [conv(x, 32, 1, 1), conv(conv(x, 32, 1, 1), 32, 3, 3), conv(conv(conv(x, 32, 1, 1), 48, 3, 3), 64, 3, 3)],
            "block17": lambda: [conv(x, 192, 1, 1), conv(conv(conv(x, 128, 1, 1), 160, 1, 7), 192, 7, 1)],
            "block8": lambda: [conv(x, 192, 1, 1), conv(conv(conv(x, 192, 1, 1), 224, 1, 3), 256, 3, 1)],
        }[kind]()
        name = f"{kind}_{index}"
        up = net("Conv2D", join(branches, name + "_mixed"), filters=x.tensor.shape[-1], kernel_size=[1, 1], padding="same", use_bias=True, name=name + "_conv")
        # Keras 2 compiled a Python function into the file.
        y = net("CustomScaleLayer", [x, up], scale=scale) if keras == 3 else \
            net("Lambda", [x, up], function=["4wEAAAAAAAAA", None, None], function_type="lambda", module="keras.applications", output_shape=list(x.tensor.shape[1:]), output_shape_type="raw", arguments={"scale": scale}, name=name)
        return net("Activation", y, activation=activation, name=name + "_ac") if activation else y

    x = conv(conv(conv(x, 32, 3, 3, "valid", 2), 32, 3, 3, "valid"), 64, 3, 3)
    x = conv(conv(pool(x, False, strides=2, padding="valid"), 80, 1, 1, "valid"), 192, 3, 3, "valid")
    x = pool(x, False, strides=2, padding="valid")
    x = join([conv(x, 96, 1, 1), conv(conv(x, 48, 1, 1), 64, 5, 5), conv(conv(conv(x, 64, 1, 1), 96, 3, 3), 96, 3, 3), conv(pool(x, True), 64, 1, 1)], "mixed_5b")
    for index in range(1, 11):
        x = residual(x, 0.17, "block35", index)
    x = join([conv(x, 384, 3, 3, "valid", 2), conv(conv(conv(x, 256, 1, 1), 256, 3, 3), 384, 3, 3, "valid", 2), pool(x, False, strides=2, padding="valid")], "mixed_6a")
    for index in range(1, 21):
        x = residual(x, 0.1, "block17", index)
    x = join([conv(conv(x, 256, 1, 1), 384, 3, 3, "valid", 2), conv(conv(x, 256, 1, 1), 288, 3, 3, "valid", 2), conv(conv(conv(x, 256, 1, 1), 288, 3, 3), 320, 3, 3, "valid", 2), pool(x, False, strides=2, padding="valid")], "mixed_7a")
    for index in range(1, 10):
        x = residual(x, 0.2, "block8", index)
    x = residual(x, 1.0, "block8", 10, None)
    return finish(net, conv(x, 1536, 1, 1, name="conv_7b"))


# --- NASNet ---------------------------------------------------------------------------------------------------------------------------------


def nasnet_mobile(keras):
    net, x = start("NASNet", keras, 64)

    def act(x):
        return net("Activation", x, activation="relu")

    def norm(x):
        return net("BatchNormalization", x, axis=3, momentum=0.9997, epsilon=1e-3)

    def separable(x, filters, kernel, strides=1):
        y = act(x)
        if strides == 2:
            y = net("ZeroPadding2D", y, padding=correct_pad(y.tensor.shape[1], kernel))
        y = norm(net("SeparableConv2D", y, filters=filters, kernel_size=[kernel, kernel], strides=[strides, strides], padding="valid" if strides == 2 else "same", use_bias=False))
        return norm(net("SeparableConv2D", act(y), filters=filters, kernel_size=[kernel, kernel], padding="same", use_bias=False))

    def fit(p, x, filters):
        if p is None:
            return x
        if p.tensor.shape[1] != x.tensor.shape[1]:
            p = act(p)
            first = net("Conv2D", net("AveragePooling2D", p, pool_size=[1, 1], strides=[2, 2], padding="valid"), filters=filters // 2, kernel_size=[1, 1], padding="same", use_bias=False)
            second = net("Cropping2D", net("ZeroPadding2D", p, padding=[[0, 1], [0, 1]]), cropping=[[1, 0], [1, 0]])
            second = net("Conv2D", net("AveragePooling2D", second, pool_size=[1, 1], strides=[2, 2], padding="valid"), filters=filters // 2, kernel_size=[1, 1], padding="same", use_bias=False)
            return norm(net("Concatenate", [first, second], axis=3))
        return p if p.tensor.shape[-1] == filters else norm(net("Conv2D", act(p), filters=filters, kernel_size=[1, 1], padding="same", use_bias=False))

    def average(x, strides=1, padding="same"):
        return net("AveragePooling2D", x, pool_size=[3, 3], strides=[strides, strides], padding=padding)

    def normal(x, p, filters):
        p = fit(p, x, filters)
        h = norm(net("Conv2D", act(x), filters=filters, kernel_size=[1, 1], padding="same", use_bias=False))
        parts = [p, net("Add", [separable(h, filters, 5), separable(p, filters, 3)]), net("Add", [separable(p, filters, 5), separable(p, filters, 3)]),
                 net("Add", [average(h), p]), net("Add", [average(p), average(p)]), net("Add", [separable(h, filters, 3), h])]
        return net("Concatenate", parts, axis=3), x

    def reduction(x, p, filters):
        p = fit(p, x, filters)
        h = norm(net("Conv2D", act(x), filters=filters, kernel_size=[1, 1], padding="same", use_bias=False))
        h3 = net("ZeroPadding2D", h, padding=correct_pad(h.tensor.shape[1], 3))
        pooled = net("MaxPooling2D", h3, pool_size=[3, 3], strides=[2, 2], padding="valid")
        first = net("Add", [separable(h, filters, 5, 2), separable(p, filters, 7, 2)])
        second = net("Add", [pooled, separable(p, filters, 7, 2)])
        third = net("Add", [average(h3, 2, "valid"), separable(p, filters, 5, 2)])
        fourth = net("Add", [average(first), second])
        fifth = net("Add", [separable(first, filters, 3), pooled])
        return net("Concatenate", [second, third, fourth, fifth], axis=3), x

    filters = 8
    x, p = norm(net("Conv2D", x, filters=8, kernel_size=[3, 3], strides=[2, 2], padding="valid", use_bias=False, name="stem_conv1")), None
    x, p = reduction(x, p, filters // 4)
    x, p = reduction(x, p, filters // 2)
    for stage in range(3):
        if stage:
            x, p = reduction(x, p, filters * 2 ** stage)
        for _ in range(4):
            x, p = normal(x, p, filters * 2 ** stage)
    return finish(net, act(x))


NETWORKS = {
    "vgg16": vgg16, "mobilenet": mobilenet, "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_small": lambda keras: mobilenet_v3(keras, "MobilenetV3small", SMALL, 64), "mobilenet_v3_large": lambda keras: mobilenet_v3(keras, "MobilenetV3large", LARGE, 80),
    "resnet50": lambda keras: resnet(keras, "resnet50", [3, 4, 6, 3], False), "resnet50_v2": lambda keras: resnet(keras, "resnet50v2", [3, 4, 6, 3], True),
    "densenet121": densenet121, "efficientnet_b0": efficientnet_b0, "efficientnet_v2_b0": efficientnet_v2_b0, "xception": xception,
    "inception_v3": inception_v3, "inception_resnet_v2": inception_resnet_v2, "nasnet_mobile": nasnet_mobile,
}


def described(path):
    """A network from its description: layers in an order in which they can be called, one call each."""
    with open(path) as file:
        model = json.load(file)["modelTopology"]["model_config"]["config"]
    net, values = Network(model["name"], keras=2, seed=29), {}
    for layer in model["layers"]:
        config = dict(layer["config"])
        name = config.pop("name")
        if layer["class_name"] == "InputLayer":
            values[name] = net.input(picture(config["batch_input_shape"][1]), name=name)
            continue
        inputs = [values[source[0]] for source in layer["inbound_nodes"][0]]
        values[name] = net(layer["class_name"], inputs if len(inputs) > 1 else inputs[0], name=name, **config)
    net.outputs = [values[output[0]] for output in model["output_layers"]]
    return net


def main(name, path):
    keras = 3 if path.endswith(".keras") else 2
    net = described(name) if name.endswith(".json") else NETWORKS[name](keras)
    (write_keras if keras == 3 else write_h5)(net, path)
    answers = Answers()
    answers.add("model", net)
    answers.write(path + ".json")


if __name__ == "__main__":
    main(*sys.argv[1:])
