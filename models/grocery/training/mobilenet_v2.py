"""MobileNetV2 1.0 (https://arxiv.org/abs/1801.04381) with batch normalisation folded away."""
import torch
from torch import nn
from torch.nn import functional

from tflite_weights import CONV_2D, DEPTHWISE_CONV_2D, read_layers

# Table 2 of the paper: expansion, output channels, repetitions, stride of the first.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
FEATURES = 1280


class Conv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, followed by ReLU6 unless it is linear.

    With stride 2 and an even input, SAME pads one row at the bottom and one column at the right only.
    Symmetric padding would shift every such layer by half a pixel from what the weights were trained on.
    """

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, linear=False):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)
        self.linear = linear

    def forward(self, x):
        if self.stride[0] == 2:
            x = functional.pad(x, (0, 1, 0, 1))
        x = super().forward(x)
        # ReLU6, in place: activations are what training spends its memory bandwidth on.
        return x if self.linear else functional.relu6(x, inplace=True)


class Block(nn.Module):
    """The inverted residual: expand, filter each channel, project; added to the input where shapes allow."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *([Conv(inputs, wide)] if expansion != 1 else []),
            Conv(wide, wide, 3, stride, groups=wide),
            Conv(wide, outputs, linear=True))

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    def __init__(self, classes, dropout=0.0):
        super().__init__()
        layers, channels = [Conv(3, 32, 3, 2)], 32
        for expansion, outputs, repeat, stride in STAGES:
            for i in range(repeat):
                layers.append(Block(channels, outputs, stride if i == 0 else 1, expansion))
                channels = outputs
        self.backbone = nn.Sequential(*layers, Conv(channels, FEATURES))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, classes)
        # A zero head begins with the same loss for every class and sends no noise into the backbone.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        """Logits for pictures [N,3,H,W] whose pixels lie in -1..1."""
        return self.head(self.dropout(self.backbone(x).mean((2, 3))))

    def load_tflite(self, path):
        """Starts the backbone from a TensorFlow Lite file of the same network; the head stays as it is."""
        convs = [module for module in self.backbone.modules() if isinstance(module, Conv)]
        layers = [layer for layer in read_layers(path) if layer[0] in (CONV_2D, DEPTHWISE_CONV_2D)]
        # Files differ in whether the classifier is a fully connected layer or a 1x1 convolution after these.
        if len(layers) < len(convs):
            raise ValueError(f'{path} has {len(layers)} convolutions; MobileNetV2 has {len(convs)}.')
        for conv, (code, weights, bias) in zip(convs, layers):
            axes = (3, 0, 1, 2) if code == DEPTHWISE_CONV_2D else (0, 3, 1, 2)
            weights = torch.from_numpy(weights.transpose(axes).copy())
            if weights.shape != conv.weight.shape:
                raise ValueError(f'{path}: a convolution of shape {tuple(weights.shape)} stands where '
                                 f'{tuple(conv.weight.shape)} was expected.')
            conv.weight.data.copy_(weights)
            conv.bias.data.copy_(torch.from_numpy(bias))
