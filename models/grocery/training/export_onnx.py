"""Writes the trained network as ONNX: pixels in, probabilities, embedding and last feature map out."""
import numpy as np

from mobilenet_v2 import FEATURES, Block, Conv
from onnx_writer import Graph

# ReduceMean takes its axes as an attribute up to opset 17; IR version 8 is the one that came with it.
OPSET, IR_VERSION = 17, 8


def export(model, size, path):
    graph = Graph('grocery')

    # Normalisation stays in front of the first convolution: its zero padding means pixel 127.5, not pixel 0,
    # so only the scale could be folded into its weights, and a multiply-add on the input costs nothing.
    x = graph.input('image', np.uint8, ['N', size, size, 3])
    x = graph.node('Transpose', [x], 'image_nchw', perm=[0, 3, 1, 2])
    x = graph.node('Cast', [x], 'image_float', to=1)
    x = graph.node('Mul', [x, graph.constant('scale', np.float32(1 / 127.5))], 'image_scaled')
    x = graph.node('Add', [x, graph.constant('offset', np.float32(-1))], 'image_normalized')

    zero, six = graph.constant('zero', np.float32(0)), graph.constant('six', np.float32(6))

    def conv(x, layer, name, output=None):
        weight = graph.constant(f'{name}.weight', layer.weight.detach().numpy())
        bias = graph.constant(f'{name}.bias', layer.bias.detach().numpy())
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        # Order: top, left, bottom, right. SAME at stride 2 pads an even input at the bottom and right only.
        before, after = (0, 1) if stride == 2 else (kernel // 2, kernel // 2)
        activated = not layer.linear
        x = graph.node('Conv', [x, weight, bias], f'{name}.conv' if activated else output or name,
                       kernel_shape=[kernel, kernel], strides=[stride, stride], group=layer.groups,
                       pads=[before, before, after, after])
        return graph.node('Clip', [x, zero, six], output or name) if activated else x

    last = len(model.backbone) - 1
    for i, module in enumerate(model.backbone):
        if isinstance(module, Conv):
            x = conv(x, module, f'conv{i}', 'features' if i == last else None)
            continue
        assert isinstance(module, Block)
        before = x
        names = [f'block{i}.expand', f'block{i}.depthwise', f'block{i}.project'][-len(module.layers):]
        for layer, name in zip(module.layers, names):
            x = conv(x, layer, name)
        if module.residual:
            x = graph.node('Add', [before, x], f'block{i}')

    x = graph.node('ReduceMean', [x], 'embedding', axes=[2, 3], keepdims=0)
    classes = model.head.out_features
    x = graph.node('Gemm', [x, graph.constant('head.weight', model.head.weight.detach().numpy()),
                            graph.constant('head.bias', model.head.bias.detach().numpy())], 'logits', transB=1)
    graph.node('Softmax', [x], 'probabilities', axis=1)

    side = size // 32
    graph.output('probabilities', np.float32, ['N', classes])
    graph.output('embedding', np.float32, ['N', FEATURES])
    graph.output('features', np.float32, ['N', FEATURES, side, side])
    graph.save(path, 'whatsit', OPSET, IR_VERSION)
