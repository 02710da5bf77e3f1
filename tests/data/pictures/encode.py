#!/usr/bin/python3
"""Encodes the scene as AVIF, HEIC and lossy WebP: what has a codec of its own. Run by hand after make.py FOLDER: encode.py FOLDER.

Last run with Pillow 9.4.0, avifenc 0.11.1 (libavif-bin), heif-enc 1.15.1 (libheif-examples) and cwebp 1.2.4 (webp), all of Debian 12.
"""
import os
import subprocess
import sys
import tempfile

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
SCENE = Image.open(os.path.join(sys.argv[1], "plain.png"))


def encode(name, *command, size=128, rows=None, mode="RGB"):
    picture = SCENE if size == 128 else SCENE.resize((size, rows or size), Image.BICUBIC)
    if mode == "RGBA":
        picture = picture.convert("RGBA")
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "scene.png")
        picture.save(source)
        subprocess.run([*command, source, "-o", os.path.join(HERE, "encoded", name)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(name, os.path.getsize(os.path.join(HERE, "encoded", name)))


avif = ("avifenc", "--speed", "8", "--min", "4", "--max", "12")
large = ("avifenc", "--speed", "9", "--min", "40", "--max", "50")
encode("scene.avif", *avif, "--yuv", "444")
encode("scene-grid.avif", *avif, "--yuv", "444", "--grid", "2x2")
encode("scene-10-bit.avif", *avif, "--yuv", "444", "--depth", "10")
encode("scene-turned.avif", *avif, "--yuv", "444", "--irot", "1")
encode("scene.heic", "heif-enc", "-q", "85")
encode("scene.webp", "cwebp", "-q", "90")
encode("12-megapixels.avif", *large, size=3456)
encode("48-megapixels.avif", *large, size=6912)
encode("12-megapixels-alpha.avif", *large, size=3456, mode="RGBA")
encode("16-megapixels-lossy.webp", "cwebp", "-q", "5", size=4096)
