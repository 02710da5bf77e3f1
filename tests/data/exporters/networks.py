"""Small classifiers as torch.onnx.export writes them, with every side open as for a hub, and what PyTorch answers for them.

    python3 networks.py FOLDER [NAME ...]

Written from the papers, in the way that public implementations compute each step, since it is the steps that the exporter writes; random weights. Needs
python3-torch alone.
"""

import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from weights import pixels, randomise  # noqa: E402

CLASSES = 5


class Norm(nn.Module):
    """Layer normalisation over the channels of a picture: by hand, or with the channels moved behind and back."""

    def __init__(self, width, moved):
        super().__init__()
        self.weight, self.bias, self.moved = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), moved

    def forward(self, x):
        if self.moved:
            return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


# ---- ConvNeXt --------------------------------------------------------------------------------------------------------------------------------


class ConvNext(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, 4), Norm(width, False))
        self.depthwise = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.5))
        self.reduce = nn.Sequential(Norm(width, True), nn.Conv2d(width, 2 * width, 2, 2))
        self.last = nn.LayerNorm(2 * width, 1e-6)
        self.head = nn.Linear(2 * width, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        x = self.reduce(x + y.permute(0, 3, 1, 2))
        return self.head(self.last(x.mean([-2, -1])))


# ---- EfficientNet ----------------------------------------------------------------------------------------------------------------------------


class MBConv(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        wide = 4 * i
        self.expand = nn.Sequential(nn.Conv2d(i, wide, 1, bias=False), nn.BatchNorm2d(wide, 1e-3), nn.SiLU())
        self.pad = nn.ZeroPad2d((0, 1, 0, 1)) if stride == 2 else nn.Identity()
        self.depthwise = nn.Sequential(nn.Conv2d(wide, wide, 3, stride, 0 if stride == 2 else 1, groups=wide, bias=False), nn.BatchNorm2d(wide, 1e-3), nn.SiLU())
        self.squeeze, self.excite = nn.Conv2d(wide, 2, 1), nn.Conv2d(2, wide, 1)
        self.project = nn.Sequential(nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o, 1e-3))
        self.adds = stride == 1 and i == o

    def forward(self, x):
        y = self.depthwise(self.pad(self.expand(x)))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        y = self.project(y * gate)
        return x + y if self.adds else y


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8, 1e-3), nn.Hardswish())
        self.blocks = nn.Sequential(MBConv(8, 8, 1), MBConv(8, 12, 2))
        self.top = nn.Sequential(nn.Conv2d(12, 24, 1, bias=False), nn.BatchNorm2d(24, 1e-3), nn.SiLU())
        self.pool = nn.AvgPool2d(8, ceil_mode=True)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x):
        x = self.pool(self.top(self.blocks(self.stem(x))))
        return self.head(x.reshape(x.shape[:2]))


# ---- Swin ------------------------------------------------------------------------------------------------------------------------------------


class Swin(nn.Module):
    """Two blocks over windows, the second over windows that are moved by half of their size, with a mask that is written into zeros slice by slice."""

    def __init__(self, width=12, heads=2, window=4):
        super().__init__()
        self.heads, self.window = heads, window
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.before = nn.LayerNorm(width)
        self.blocks = nn.ModuleList([nn.ModuleDict({
            "norm1": nn.LayerNorm(width), "query": nn.Linear(width, width), "key": nn.Linear(width, width), "value": nn.Linear(width, width),
            "out": nn.Linear(width, width), "norm2": nn.LayerNorm(width), "up": nn.Linear(width, 2 * width), "down": nn.Linear(2 * width, width)})
            for _ in range(2)])
        self.tables = nn.ParameterList([nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads)) for _ in range(2)])
        grid = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("places", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        self.merge_norm, self.merge = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)
        self.last, self.head = nn.LayerNorm(2 * width), nn.Linear(2 * width, CLASSES)

    def windows(self, x):
        b, h, w, c = x.shape
        return x.view(b, h // self.window, self.window, w // self.window, self.window, c).permute(0, 1, 3, 2, 4, 5).contiguous() \
            .view(-1, self.window, self.window, c)

    def mask(self, height, width, shift):
        mask, count = torch.zeros((1, height, width, 1)), 0
        parts = (slice(0, -self.window), slice(-self.window, -shift), slice(-shift, None))
        for rows in parts:
            for columns in parts:
                mask[:, rows, columns, :] = count
                count += 1
        mask = self.windows(mask).view(-1, self.window * self.window)
        mask = mask.unsqueeze(1) - mask.unsqueeze(2)
        return mask.masked_fill(mask != 0, float(-100.0)).masked_fill(mask == 0, float(0.0))

    def split(self, x):
        return x.view(x.size()[:-1] + (self.heads, x.size(-1) // self.heads)).permute(0, 2, 1, 3)

    def block(self, x, height, width, number):
        block, shift = self.blocks[number], self.window // 2 if number else 0
        b, _, c = x.shape
        y = block["norm1"](x).view(b, height, width, c)
        right, bottom = (self.window - width % self.window) % self.window, (self.window - height % self.window) % self.window
        y = F.pad(y, (0, 0, 0, right, 0, bottom))
        _, padded_height, padded_width, _ = y.shape
        if shift:
            y = torch.roll(y, shifts=(-shift, -shift), dims=(1, 2))
        y = self.windows(y).view(-1, self.window * self.window, c)
        query, key, value = self.split(block["query"](y)), self.split(block["key"](y)), self.split(block["value"](y))
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(c // self.heads)
        bias = self.tables[number][self.places.view(-1)].view(self.window ** 2, self.window ** 2, -1).permute(2, 0, 1).contiguous()
        scores = scores + bias.unsqueeze(0)
        if shift:
            mask = self.mask(padded_height, padded_width, shift)
            many = mask.shape[0]
            scores = scores.view(y.shape[0] // many, many, self.heads, self.window ** 2, self.window ** 2) + mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(-1, self.heads, self.window ** 2, self.window ** 2)
        y = torch.matmul(F.softmax(scores, -1), value).permute(0, 2, 1, 3).contiguous()
        y = block["out"](y.view(y.size()[:-2] + (c,))).view(-1, self.window, self.window, c)
        y = y.view(-1, padded_height // self.window, padded_width // self.window, self.window, self.window, c).permute(0, 1, 3, 2, 4, 5).contiguous() \
            .view(-1, padded_height, padded_width, c)
        if shift:
            y = torch.roll(y, shifts=(shift, shift), dims=(1, 2))
        x = x + y[:, :height, :width, :].contiguous().view(b, height * width, c)
        return x + block["down"](F.gelu(block["up"](block["norm2"](x))))

    def forward(self, x):
        x = self.patches(x)
        _, _, height, width = x.shape
        x = self.before(x.flatten(2).transpose(1, 2))
        for number in range(2):
            x = self.block(x, height, width, number)
        b, _, c = x.shape
        x = x.view(b, height, width, c)
        x = torch.cat([x[:, 0::2, 0::2, :], x[:, 1::2, 0::2, :], x[:, 0::2, 1::2, :], x[:, 1::2, 1::2, :]], -1).view(b, -1, 4 * c)
        x = self.last(self.merge(self.merge_norm(x)))
        return self.head(torch.flatten(F.adaptive_avg_pool1d(x.transpose(1, 2), 1), 1))


# ---- MobileViT -------------------------------------------------------------------------------------------------------------------------------


class MobileVit(nn.Module):
    """A convolution, patches that are unfolded so that pixels of one place attend to each other, folded again, and joined."""

    def __init__(self, width=12, patch=2):
        super().__init__()
        self.patch = patch
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.inside = nn.Conv2d(8, width, 1, bias=False)
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 20), nn.Linear(20, width)
        self.outside = nn.Sequential(nn.Conv2d(width, 8, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.fusion = nn.Sequential(nn.Conv2d(16, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = kept = self.stem(x)
        x = self.inside(x)
        patch, (b, c, h, w) = self.patch, x.shape
        new_h, new_w = int(math.ceil(h / patch) * patch), int(math.ceil(w / patch) * patch)
        if new_h != h or new_w != w:
            x = F.interpolate(x, size=(new_h, new_w), mode="bilinear", align_corners=False)
        rows, columns = new_h // patch, new_w // patch
        x = x.reshape(b * c * rows, patch, columns, patch).transpose(1, 2).reshape(b, c, rows * columns, patch * patch)
        x = x.transpose(1, 3).reshape(b * patch * patch, rows * columns, c)
        q, k, v = self.qkv(self.norm1(x)).reshape(x.shape[0], x.shape[1], 3, 3, c // 3).permute(2, 0, 3, 1, 4).unbind(0)
        y = torch.einsum("bhij,bhjd->bhid", torch.einsum("bhid,bhjd->bhij", q * (c // 3) ** -0.5, k).softmax(-1), v)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        x = x + self.down(F.silu(self.up(self.norm2(x))))
        x = x.contiguous().view(b, patch * patch, rows * columns, -1).transpose(1, 3)
        x = x.reshape(b * c * rows, columns, patch, patch).transpose(1, 2).reshape(b, c, new_h, new_w)
        if new_h != h or new_w != w:
            x = F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)
        x = self.fusion(torch.cat((kept, self.outside(x)), 1))
        return self.head(torch.mean(x, dim=[-2, -1], keepdim=False))


# ---- ViT whose positions follow the picture --------------------------------------------------------------------------------------------------


class Vit(nn.Module):
    """One block of PyTorch's own attention; the positions of the training are resized to the picture's patches."""

    def __init__(self, width=12):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token, self.positions = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 17, width))
        self.norm1, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, 3, batch_first=True)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 20), nn.Linear(20, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        height, width = x.shape[2] // 8, x.shape[3] // 8
        x = self.patches(x).flatten(2).transpose(1, 2)
        grid = self.positions[:, 1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).view(1, -1, x.shape[2])
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + torch.cat((self.positions[:, :1], grid), 1)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return self.head(x[:, 0])


# Opset, side of the picture, network.
NETWORKS = {
    "convnext": (17, 32, ConvNext),
    "efficientnet": (14, 32, EfficientNet),
    "swin": (16, 40, Swin),
    "swin-12": (12, 32, Swin),
    "mobilevit": (15, 42, MobileVit),
    "mobilevit-even": (13, 32, MobileVit),
    "vit-resized": (17, 48, Vit),
}


if __name__ == "__main__":
    target, *names = sys.argv[1:]
    for name in names or NETWORKS:
        opset, side, kind = NETWORKS[name]
        model = kind().eval()
        randomise(model, 1 + list(NETWORKS).index(name), 0.5)
        picture = (pixels(side, side).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
        with torch.no_grad():
            logits = model(picture)
        folder = os.path.join(target, name)
        timm = name == "convnext"
        file = os.path.join(folder, *([] if timm else ["onnx"]), "model.onnx")
        os.makedirs(os.path.dirname(file), exist_ok=True)
        open_sides = {"pixel_values": {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}, "logits": {0: "batch_size"}}
        torch.onnx.export(model, (torch.cat([picture, picture]),), file, opset_version=opset,
                          input_names=["pixel_values"], output_names=["logits"], dynamic_axes=open_sides, do_constant_folding=True)
        labels = [f"leaf {at}" for at in range(CLASSES)]
        for file, content in (
                ("config.json", {"architecture": name, "num_classes": CLASSES, "label_names": labels, "pretrained_cfg": {
                    "input_size": [3, side, side], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center", "mean": [0.5] * 3,
                    "std": [0.25] * 3}} if timm else
                 {"architectures": [f"{kind.__name__}ForImageClassification"], "image_size": side,
                  "id2label": {str(at): label for at, label in enumerate(labels)}}),
                *([] if timm else [("preprocessor_config.json", {"size": {"height": side, "width": side}, "rescale_factor": 1 / 255, "image_mean": [0.5] * 3,
                                                "image_std": [0.25] * 3, "resample": 2, "image_processor_type": "ViTImageProcessor"})]),
                ("expected.json", {"height": side, "width": side, "logits": [float(value) for value in logits[0]]})):
            with open(os.path.join(folder, file), "w") as stream:
                json.dump(content, stream, indent=1)
                stream.write("\n")
