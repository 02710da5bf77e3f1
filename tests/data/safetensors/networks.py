"""Small classifiers with the parameters of Transformers' and timm's classes by name, random weights, and what PyTorch answers for them.

    python3 networks.py FOLDER [NAME ...]      # a folder as a repository has it, with expected.json, for each network
    python3 networks.py FOLDER --committed     # the few that lie beside this file

Written from the papers and the names in published checkpoints; needs python3-torch and numpy alone.
"""

import json
import math
import os
import struct
import sys

import torch
import torch.nn.functional as F
from torch import nn

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weights import pixels, randomise  # noqa: E402

CLASSES = 5


# ---- Building blocks -------------------------------------------------------------------------------------------------------------------------


class Same(nn.Module):
    """TensorFlow's padding: as many pixels as the last window lacks, the odd one behind."""

    def __init__(self, kernel, stride, dilation):
        super().__init__()
        self.kernel, self.stride, self.dilation = kernel, stride, dilation

    def forward(self, x):
        pads = []
        for side in (x.shape[3], x.shape[2]):
            reach = (self.kernel - 1) * self.dilation + 1
            lacking = max((math.ceil(side / self.stride) - 1) * self.stride + reach - side, 0)
            pads += [lacking // 2, lacking - lacking // 2]
        return F.pad(x, pads)


def function(name):
    return {
        "relu": F.relu,
        "relu6": F.relu6,
        "gelu": F.gelu,
        "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "silu": F.silu,
        None: lambda x: x,
    }[name]


class Unit(nn.Module):
    """Convolution, normalisation, activation."""

    def __init__(self, i, o, k, act=None, stride=1, groups=1, dilation=1, same=False, eps=1e-5):
        super().__init__()
        self.before = Same(k, stride, dilation) if same else nn.Identity()
        self.convolution = nn.Conv2d(i, o, k, stride, 0 if same else (k - 1) // 2 * dilation, dilation, groups, bias=False)
        self.normalization = nn.BatchNorm2d(o, eps=eps)
        self.act = function(act)

    def forward(self, x):
        return self.act(self.normalization(self.convolution(self.before(x))))


# ---- ResNet ----------------------------------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, i, o, stride, c):
        super().__init__()
        if c["layer_type"] == "basic":
            self.layer = nn.Sequential(Unit(i, o, 3, "relu", stride), Unit(o, o, 3))
        else:
            first = c.get("downsample_in_bottleneck", False)
            self.layer = nn.Sequential(
                Unit(i, o // 4, 1, "relu", stride if first else 1), Unit(o // 4, o // 4, 3, "relu", 1 if first else stride), Unit(o // 4, o, 1))
        self.shortcut = Unit(i, o, 1, None, stride) if i != o or stride > 1 else nn.Identity()
        self.act = function(c.get("hidden_act", "relu"))

    def forward(self, x):
        return self.act(self.layer(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.resnet = nn.Module()
        self.resnet.embedder = nn.Module()
        self.resnet.embedder.embedder = Unit(3, c["embedding_size"], 7, c.get("hidden_act", "relu"), 2)
        self.resnet.encoder = nn.Module()
        self.resnet.encoder.stages = nn.ModuleList()
        width = c["embedding_size"]
        for number, (depth, to) in enumerate(zip(c["depths"], c["hidden_sizes"])):
            stage = nn.Module()
            down = number > 0 or c.get("downsample_in_first_stage", False)
            stage.layers = nn.Sequential(*[Block(width if at == 0 else to, to, 2 if at == 0 and down else 1, c) for at in range(depth)])
            self.resnet.encoder.stages.append(stage)
            width = to
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(width, CLASSES))

    def forward(self, x):
        x = F.max_pool2d(self.resnet.embedder.embedder(x), 3, 2, 1)
        for stage in self.resnet.encoder.stages:
            x = stage.layers(x)
        return self.classifier(x.mean((2, 3)))


# ---- MobileNetV2 -----------------------------------------------------------------------------------------------------------------------------


def divisible(value, divisor, least):
    result = max(least, int(value + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * value else result


class Inverted(nn.Module):
    def __init__(self, i, wide, o, stride, dilation, unit):
        super().__init__()
        self.expand_1x1 = unit(i, wide, 1)
        self.conv_3x3 = unit(wide, wide, 3, stride=stride, groups=wide, dilation=dilation)
        self.reduce_1x1 = unit(wide, o, 1, act=None)
        self.adds = stride == 1 and i == o

    def forward(self, x):
        y = self.reduce_1x1(self.conv_3x3(self.expand_1x1(x)))
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    def __init__(self, c):
        super().__init__()
        act, same, eps = c.get("hidden_act", "relu6"), c.get("tf_padding", True), c.get("layer_norm_eps", 0.001)
        divisor, least, alpha = c.get("depth_divisible_by", 8), c.get("min_depth", 8), c.get("depth_multiplier", 1.0)

        def unit(i, o, k, act=act, **more):
            return Unit(i, o, k, act, same=same, eps=eps, **more)

        def scaled(count):
            return divisible(int(round(count * alpha)), divisor, least)

        self.mobilenet_v2 = body = nn.Module()
        widths = [scaled(n) for n in [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]]
        stem = scaled(32)
        body.conv_stem = nn.Module()
        body.conv_stem.first_conv = unit(3, stem, 3, stride=2)
        if not c.get("first_layer_is_expansion", True):
            body.conv_stem.expand_1x1 = unit(stem, stem, 1)
        body.conv_stem.conv_3x3 = unit(stem, stem, 3, groups=stem)
        body.conv_stem.reduce_1x1 = unit(stem, widths[0], 1, act=None)
        body.layer = nn.ModuleList()
        at, dilation = 2, 1
        for number, (i, o) in enumerate(zip(widths, widths[1:])):
            stride = 2 if number in (0, 2, 5, 12) else 1
            wide = divisible(int(round(i * c.get("expand_ratio", 6))), divisor, least)
            if at < c.get("output_stride", 32):
                body.layer.append(Inverted(i, wide, o, stride, 1, unit))
                at *= stride
            else:
                body.layer.append(Inverted(i, wide, o, 1, dilation, unit))
                dilation *= stride
        last = 1280 if c.get("finegrained_output", True) and alpha < 1 else scaled(1280)
        body.conv_1x1 = unit(widths[-1], last, 1)
        self.classifier = nn.Linear(last, CLASSES)

    def forward(self, x):
        body = self.mobilenet_v2
        for name in ("first_conv", "expand_1x1", "conv_3x3", "reduce_1x1"):
            x = getattr(body.conv_stem, name)(x) if hasattr(body.conv_stem, name) else x
        for layer in body.layer:
            x = layer(x)
        return self.classifier(body.conv_1x1(x).mean((2, 3)))


# ---- ViT, DeiT -------------------------------------------------------------------------------------------------------------------------------


def tree(**children):
    module = nn.Module()
    for name, child in children.items():
        setattr(module, name, child)
    return module


class Transformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.root = "deit" if c["model_type"] == "deit" else "vit"
        d, wide, eps, bias = c["hidden_size"], c["intermediate_size"], c.get("layer_norm_eps", 1e-12), c.get("qkv_bias", True)
        pair = lambda value: tuple(value) if isinstance(value, list) else (value, value)
        (height, width), patch = pair(c["image_size"]), pair(c["patch_size"])
        places = (height // patch[0]) * (width // patch[1])
        embeddings = tree(patch_embeddings=tree(projection=nn.Conv2d(3, d, patch, patch)))
        embeddings.cls_token = nn.Parameter(torch.empty(1, 1, d))
        if self.root == "deit":
            embeddings.distillation_token = nn.Parameter(torch.empty(1, 1, d))
        embeddings.position_embeddings = nn.Parameter(torch.empty(1, places + (2 if self.root == "deit" else 1), d))
        layers = nn.ModuleList([tree(
            attention=tree(
                attention=tree(query=nn.Linear(d, d, bias=bias), key=nn.Linear(d, d, bias=bias), value=nn.Linear(d, d, bias=bias)),
                output=tree(dense=nn.Linear(d, d))),
            intermediate=tree(dense=nn.Linear(d, wide)),
            output=tree(dense=nn.Linear(wide, d)),
            layernorm_before=nn.LayerNorm(d, eps=eps),
            layernorm_after=nn.LayerNorm(d, eps=eps)) for _ in range(c["num_hidden_layers"])])
        setattr(self, self.root, tree(embeddings=embeddings, encoder=tree(layer=layers), layernorm=nn.LayerNorm(d, eps=eps)))
        if c["architectures"][0].endswith("WithTeacher"):
            self.cls_classifier, self.distillation_classifier = nn.Linear(d, CLASSES), nn.Linear(d, CLASSES)
        else:
            self.classifier = nn.Linear(d, CLASSES)

    def forward(self, x):
        body = getattr(self, self.root)
        act, heads = function(self.c.get("hidden_act", "gelu")), self.c["num_attention_heads"]
        x = body.embeddings.patch_embeddings.projection(x)
        x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1)
        tokens = [body.embeddings.cls_token] + ([body.embeddings.distillation_token] if self.root == "deit" else [])
        x = torch.cat([token.expand(x.shape[0], 1, x.shape[2]) for token in tokens] + [x], 1) + body.embeddings.position_embeddings
        for layer in body.encoder.layer:
            y, projections = layer.layernorm_before(x), layer.attention.attention
            y = torch.einsum(
                "bhqk,bkhd->bqhd",
                torch.einsum("bqhd,bkhd->bhqk", split(projections.query(y), heads), split(projections.key(y), heads))
                .div(math.sqrt(y.shape[2] // heads)).softmax(-1),
                split(projections.value(y), heads)).reshape(y.shape)
            x = x + layer.attention.output.dense(y)
            x = x + layer.output.dense(act(layer.intermediate.dense(layer.layernorm_after(x))))
        x = body.layernorm(x)
        if hasattr(self, "classifier"):
            return self.classifier(x[:, 0])
        return (self.cls_classifier(x[:, 0]) + self.distillation_classifier(x[:, 1])) / 2


def split(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1)


# ---- The same by timm's names -----------------------------------------------------------------------------------------------------------------


class TimmBlock(nn.Module):
    def __init__(self, i, o, stride, bottleneck, groups):
        super().__init__()
        inner = o // 4 * groups if bottleneck else o
        kernels = [(1, i, inner, 1, 1), (3, inner, inner, stride, groups), (1, inner, o, 1, 1)] if bottleneck else [(3, i, o, stride, 1), (3, o, o, 1, 1)]
        for at, (k, a, b, s, g) in enumerate(kernels, 1):
            setattr(self, f"conv{at}", nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=False))
            setattr(self, f"bn{at}", nn.BatchNorm2d(b))
        self.count = len(kernels)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)) if i != o or stride > 1 else None

    def forward(self, x):
        y = x
        for at in range(1, self.count + 1):
            y = getattr(self, f"bn{at}")(getattr(self, f"conv{at}")(y))
            y = F.relu(y) if at < self.count else y
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class TimmResNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        bottleneck, groups = c["test"].get("bottleneck", False), c["test"].get("groups", 1)
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        i = 8
        for stage, (depth, o) in enumerate(c["test"]["stages"], 1):
            blocks = [TimmBlock(i if at == 0 else o, o, 2 if at == 0 and stage > 1 else 1, bottleneck, groups) for at in range(depth)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            i = o
        self.stages, self.fc = len(c["test"]["stages"]), nn.Linear(i, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


class TimmMobile(nn.Module):
    def __init__(self, i, o, stride, expands):
        super().__init__()
        wide = i * 3 if expands else i
        parts = [("conv_pw", i, wide, 1, 1, 1)] * expands + [("conv_dw", wide, wide, 3, stride, wide), ("conv_pwl" if expands else "conv_pw", wide, o, 1, 1, 1)]
        self.names = [part[0] for part in parts]
        for at, (name, a, b, k, s, g) in enumerate(parts, 1):
            setattr(self, name, nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=False))
            setattr(self, f"bn{at}", nn.BatchNorm2d(b))
        self.adds = stride == 1 and i == o

    def forward(self, x):
        y = x
        for at, name in enumerate(self.names, 1):
            y = getattr(self, f"bn{at}")(getattr(self, name)(y))
            y = F.relu6(y) if at < len(self.names) else y
        return x + y if self.adds else y


class TimmMobileNetV2(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_stem, self.bn1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        stages, i = [], 8
        for stage, (depth, stride, o) in enumerate([(1, 1, 4), (2, 2, 6), (3, 2, 6), (4, 2, 8), (3, 1, 8), (3, 2, 10), (1, 1, 12)]):
            stages.append(nn.Sequential(*[TimmMobile(i if at == 0 else o, o, stride if at == 0 else 1, stage > 0) for at in range(depth)]))
            i = o
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2, self.classifier = nn.Conv2d(i, 24, 1, bias=False), nn.BatchNorm2d(24), nn.Linear(24, CLASSES)

    def forward(self, x):
        x = self.blocks(F.relu6(self.bn1(self.conv_stem(x))))
        return self.classifier(F.relu6(self.bn2(self.conv_head(x))).mean((2, 3)))


class TimmTransformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        args = c["model_args"]
        d, self.heads, patch = args["embed_dim"], args["num_heads"], args["patch_size"]
        self.distilled = "distilled" in c["architecture"]
        self.cls_token = nn.Parameter(torch.empty(1, 1, d))
        if self.distilled:
            self.dist_token, self.head_dist = nn.Parameter(torch.empty(1, 1, d)), nn.Linear(d, CLASSES)
        self.pos_embed = nn.Parameter(torch.empty(1, (args["img_size"] // patch) ** 2 + 1 + self.distilled, d))
        self.patch_embed = tree(proj=nn.Conv2d(3, d, patch, patch))
        self.blocks = nn.ModuleList([tree(
            norm1=nn.LayerNorm(d, 1e-6), attn=tree(qkv=nn.Linear(d, 3 * d), proj=nn.Linear(d, d)), norm2=nn.LayerNorm(d, 1e-6),
            mlp=tree(fc1=nn.Linear(d, 2 * d), fc2=nn.Linear(2 * d, d))) for _ in range(args["depth"])])
        self.norm, self.head = nn.LayerNorm(d, 1e-6), nn.Linear(d, CLASSES)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        front = [self.cls_token] + ([self.dist_token] if self.distilled else [])
        x = torch.cat([token.expand(len(x), -1, -1) for token in front] + [x], 1) + self.pos_embed
        for block in self.blocks:
            b, n, d = x.shape
            q, k, v = block.attn.qkv(block.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
            y = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1) @ v
            x = x + block.attn.proj(y.transpose(1, 2).reshape(b, n, d))
            x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))
        x = self.norm(x)
        return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2 if self.distilled else self.head(x[:, 0])


# ---- Networks --------------------------------------------------------------------------------------------------------------------------------

RESNET = {"architectures": ["ResNetForImageClassification"], "model_type": "resnet"}
MOBILENET = {"architectures": ["MobileNetV2ForImageClassification"], "model_type": "mobilenet_v2"}
VIT = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
       "intermediate_size": 20, "image_size": 24, "patch_size": 8}
DEIT = {**VIT, "architectures": ["DeiTForImageClassification"], "model_type": "deit"}
TEACHER = {**DEIT, "architectures": ["DeiTForImageClassificationWithTeacher"]}

# Configuration, height and width of the picture, type of the weights, number of files.
NETWORKS = {
    "resnet": ({**RESNET, "embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 2], "layer_type": "basic"}, (40, 40), "F32", 1),
    "mobilenet_v2": ({**MOBILENET, "depth_multiplier": 0.1, "finegrained_output": False, "expand_ratio": 2}, (40, 40), "F16", 1),
    "vit": (VIT, (24, 24), "F32", 1),
    "deit": (TEACHER, (24, 24), "BF16", 1),
    "resnet-bottleneck": ({**RESNET, "embedding_size": 16, "hidden_sizes": [16, 32, 48], "depths": [2, 1, 2], "layer_type": "bottleneck",
                           "hidden_act": "silu"}, (50, 50), "F32", 1),
    "resnet-early": ({**RESNET, "embedding_size": 16, "hidden_sizes": [32, 48], "depths": [1, 2], "layer_type": "bottleneck",
                      "downsample_in_bottleneck": True, "downsample_in_first_stage": True}, (64, 64), "F32", 2),
    "mobilenet_v2-fine": ({**MOBILENET, "depth_multiplier": 0.35, "min_depth": 8}, (50, 50), "F32", 1),
    "mobilenet_v2-dilated": ({**MOBILENET, "depth_multiplier": 0.5, "output_stride": 8, "tf_padding": False, "first_layer_is_expansion": False,
                              "finegrained_output": False, "hidden_act": "relu", "layer_norm_eps": 1e-5}, (48, 48), "F32", 1),
    "mobilenet_v2-same": ({**MOBILENET, "output_stride": 16, "depth_multiplier": 0.25}, (72, 72), "BF16", 1),
    "vit-plain": ({**VIT, "qkv_bias": False, "hidden_act": "gelu_new", "image_size": [24, 40], "patch_size": [8, 4], "layer_norm_eps": 1e-6}, (24, 40),
                  "F32", 3),
    "vit-quick": ({**VIT, "hidden_act": "quick_gelu", "hidden_size": 24, "num_attention_heads": 1, "num_hidden_layers": 4}, (24, 24), "F16", 1),
    "deit-student": (DEIT, (24, 24), "F32", 1),
    "timm-resnet": ({"architecture": "resnet18", "test": {"stages": [(1, 8), (2, 12)]}}, (40, 40), "F32", 1),
    "timm-resnext": ({"architecture": "resnext50_32x4d", "test": {"stages": [(2, 16), (1, 32)], "bottleneck": True, "groups": 2}}, (48, 48), "F32", 1),
    "timm-mobilenetv2": ({"architecture": "mobilenetv2_100"}, (50, 50), "F32", 1),
    "timm-vit": ({"architecture": "vit_tiny_patch16_224",
                  "model_args": {"img_size": 24, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2}}, (24, 24), "F32", 1),
    "timm-deit": ({"architecture": "deit_tiny_distilled_patch16_224",
                   "model_args": {"img_size": 24, "patch_size": 8, "embed_dim": 18, "depth": 1, "num_heads": 3}}, (24, 24), "F16", 1),
}
COMMITTED = ["resnet", "mobilenet_v2", "vit", "deit", "timm-resnet", "timm-vit"]
KINDS = {"resnet": ResNet, "mobilenet_v2": MobileNetV2, "vit": Transformer, "deit": Transformer, "resnet18": TimmResNet, "resnext50_32x4d": TimmResNet,
         "mobilenetv2_100": TimmMobileNetV2, "vit_tiny_patch16_224": TimmTransformer, "deit_tiny_distilled_patch16_224": TimmTransformer}


def stored(tensor, kind):
    """The tensor as the file has it, and the bytes."""
    if kind == "F16":
        return tensor.half().float(), tensor.half().numpy().tobytes()
    if kind == "BF16":
        return tensor.bfloat16().float(), tensor.bfloat16().view(torch.int16).numpy().tobytes()
    return tensor, tensor.numpy().tobytes()


def save(path, tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, shape, content) in sorted(tensors.items()):
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def write(root, name, number):
    config, (height, width), kind, files = NETWORKS[name]
    model = KINDS[config.get("model_type") or config["architecture"]](config).eval()
    randomise(model, number, 0.3)
    tensors = {}
    for key, tensor in model.state_dict().items():
        if tensor.dtype == torch.float32:
            value, content = stored(tensor.contiguous(), kind)
            tensor.copy_(value)
            tensors[key] = (kind, list(tensor.shape), content)
        else:
            tensors[key] = ("I64", list(tensor.shape), tensor.numpy().tobytes())
    with torch.no_grad():
        picture = pixels(height, width).permute(2, 0, 1)[None].float() / 255
        logits = model((picture - 0.5) / 0.25)
    folder = os.path.join(root, name)
    os.makedirs(folder, exist_ok=True)
    if files == 1:
        save(os.path.join(folder, "model.safetensors"), tensors)
    else:
        parts = [{key: tensors[key] for key in sorted(tensors)[part::files]} for part in range(files)]
        names = [f"model-{part + 1:05}-of-{files:05}.safetensors" for part in range(files)]
        for part, file in zip(parts, names):
            save(os.path.join(folder, file), part)
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump({"metadata": {"total_size": 0}, "weight_map": {key: name for part, name in zip(parts, names) for key in part}}, file)
    dump(folder, "expected.json", {"height": height, "width": width, "logits": [float(value) for value in logits[0]]})
    if "architecture" in config:
        dump(folder, "config.json", {
            **{key: value for key, value in config.items() if key != "test"}, "num_classes": CLASSES,
            "global_pool": "token" if "patch" in config["architecture"] else "avg", "label_names": [f"leaf {at}" for at in range(CLASSES)],
            "pretrained_cfg": {"input_size": [3, height, width], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center", "mean": [0.5] * 3,
                               "std": [0.25] * 3, "num_classes": CLASSES}})
        return
    dump(folder, "config.json", {**config, "id2label": {str(at): f"leaf {at}" for at in range(CLASSES)}, "torch_dtype": "float32"})
    dump(folder, "preprocessor_config.json", {
        "image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}, "do_resize": True, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 2})


def dump(folder, name, content):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    target, *names = sys.argv[1:]
    for name in COMMITTED if names == ["--committed"] else names or NETWORKS:
        write(target, name, 1 + list(NETWORKS).index(name))
