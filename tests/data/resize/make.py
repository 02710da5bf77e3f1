#!/usr/bin/python3
"""Writes the pictures and the reference results that every resizer of ours must give, in the server and in the browser.

pil-*        Pillow itself (this file was last run with 9.4.0; Resample.c has not changed its arithmetic since 2.7)
tf-bilinear  tensorflow/core/kernels/image/resize_bilinear_op.cc written in numpy, in single precision as there
tfjs-*       make.mjs, run afterwards, adds TensorFlow.js' own results

All files are raw: rows from top to bottom, R G B, .u8 bytes or .f32 little-endian floats. golden.json names them.
"""
import json
import os

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
FILTERS = {
    "pil-nearest": Image.Resampling.NEAREST,
    "pil-bilinear": Image.Resampling.BILINEAR,
    "pil-bicubic": Image.Resampling.BICUBIC,
    "pil-lanczos": Image.Resampling.LANCZOS,
}


def picture(width, height, seed):
    """Gradients, a disc and stripes with hard edges, and noise: smooth parts hide rounding, edges and noise show it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 255 * y / max(height - 1, 1)
    blue = 127 + 127 * np.sin((x + 2 * y) / 9)
    rgb = np.stack([red, green, blue], axis=2)
    disc = (x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (min(width, height) * 0.25) ** 2
    rgb[disc] = [255, 255, 255] - rgb[disc]
    rgb[(x // 3 + y // 5) % 11 == 0] = [0, 0, 0]
    rgb[(x * 2 + y) % 37 == 0] = [255, 255, 255]
    rgb += random.normal(0, 12, rgb.shape)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def tf_bilinear(pixels, width, height):
    """resize_bilinear with half_pixel_centers: every intermediate is a float32, as in the kernel."""
    f = np.float32

    def axis(size_in, size_out):
        scale = f(size_in) / f(size_out)
        at = (np.arange(size_out, dtype=f) + f(0.5)) * scale - f(0.5)
        floor = np.floor(at)
        lower = np.maximum(floor.astype(np.int64), 0)
        upper = np.minimum(np.ceil(at).astype(np.int64), size_in - 1)
        return lower, upper, (at - floor).astype(f)

    top, bottom, down = axis(pixels.shape[0], height)
    left, right, across = axis(pixels.shape[1], width)
    across, down = across[None, :, None], down[:, None, None]
    image = pixels.astype(f)
    upper_row = image[top][:, left] + (image[top][:, right] - image[top][:, left]) * across
    lower_row = image[bottom][:, left] + (image[bottom][:, right] - image[bottom][:, left]) * across
    return (upper_row + (lower_row - upper_row) * down).astype(f)


def resize(pixels, resizer, width, height):
    if resizer == "tf-bilinear":
        return tf_bilinear(pixels, width, height)
    return np.asarray(Image.fromarray(pixels).resize((width, height), FILTERS[resizer]))


def apply(pixels, resizer, crop, shortest, width, height):
    if crop == "center-square":
        side = min(pixels.shape[:2])
        y, x = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        return resize(pixels[y:y + side, x:x + side], resizer, width, height)
    if crop == "resize-then-center":
        # torchvision.transforms.functional: _compute_resized_output_size and center_crop
        h, w = pixels.shape[:2]
        short, long = (w, h) if w <= h else (h, w)
        new_short, new_long = shortest, int(shortest * long / short)
        new_w, new_h = (new_short, new_long) if w <= h else (new_long, new_short)
        resized = resize(pixels, resizer, new_w, new_h)
        top, left = int(round((new_h - height) / 2.0)), int(round((new_w - width) / 2.0))
        return resized[top:top + height, left:left + width]
    return resize(pixels, resizer, width, height)


def main():
    golden = []
    pictures = {}
    for name, width, height in [
            ("square", 348, 348), ("tall", 348, 464), ("odd", 61, 47), ("tiny", 7, 5), ("dot", 1, 1), ("wide", 301, 20)]:
        pictures[name] = picture(width, height, seed=width * 1000 + height)
        pictures[name].tofile(os.path.join(HERE, f"{name}.u8"))

    def add(source, resizer, width, height, crop="none", shortest=None):
        pixels = pictures[source]
        output = np.ascontiguousarray(apply(pixels, resizer, crop, shortest, width, height))
        kind = "f32" if output.dtype == np.float32 else "u8"
        name = f"{source}-{width}x{height}-{crop}-{resizer}"
        output.tofile(os.path.join(HERE, f"{name}.{kind}"))
        entry = {"name": name, "resizer": resizer, "crop": crop}
        if shortest:
            entry["resize_shortest"] = shortest
        entry["input"] = {"file": f"{source}.u8", "width": pixels.shape[1], "height": pixels.shape[0]}
        entry["output"] = {"file": f"{name}.{kind}", "width": width, "height": height, "type": kind}
        golden.append(entry)

    # What the bundled model and most ImageNet models do, at full size
    add("square", "pil-bilinear", 224, 224)
    add("tall", "pil-bilinear", 224, 224)
    add("tall", "pil-bilinear", 224, 224, "center-square")
    add("tall", "pil-bilinear", 224, 224, "resize-then-center", 256)
    # Every resizer: down, up, one side each way, odd sizes, every crop, the same size, a single pixel
    for resizer in [*FILTERS, "tf-bilinear"]:
        add("square", resizer, 56, 44)
        add("tall", resizer, 40, 40, "center-square")
        add("tall", resizer, 37, 40, "resize-then-center", 49)
        add("odd", resizer, 67, 53)
        add("odd", resizer, 32, 32, "center-square")
        add("odd", resizer, 33, 31, "resize-then-center", 40)
        add("tiny", resizer, 20, 19)
        add("wide", resizer, 50, 31)
        add("odd", resizer, 61, 47)
        add("dot", resizer, 6, 6)
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
