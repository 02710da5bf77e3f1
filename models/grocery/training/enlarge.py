"""Enlarges photos to what a phone takes, for measuring what decoding them at a reduced scale changes.

    python3 enlarge.py LIST.csv FOLDER [--side 2784]
    whatsit evaluate grocery --images FOLDER/list.csv --compare fp32:exact fp32:fast

An enlarged photo has no detail that the original had not, but the decoder's and the resizer's work on it is that of a large one.
"""
import argparse
import csv
import pathlib

from PIL import Image

arguments = argparse.ArgumentParser()
arguments.add_argument("list", type=pathlib.Path)
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("--side", type=int, default=2784, help="pixels of the longer side")
arguments = arguments.parse_args()

arguments.folder.mkdir(parents=True, exist_ok=True)
with open(arguments.list, newline="") as source, open(arguments.folder / "list.csv", "w", newline="") as target:
    writer = csv.writer(target, lineterminator="\n")
    for number, (path, label, *_) in enumerate(csv.reader(source)):
        if not (arguments.list.parent / path).is_file():
            continue
        photo = Image.open(arguments.list.parent / path).convert("RGB")
        scale = arguments.side / max(photo.size)
        name = f"{number:04}.jpg"
        photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.BICUBIC).save(arguments.folder / name, quality=90)
        writer.writerow([name, label.strip()])
