"""The photos of the GroceryStoreDataset, and the preprocessing that the bundle's manifest describes."""
import csv
import os

import numpy as np
from PIL import Image


def read_classes(data):
    """(fine id, coarse id, fine name, coarse name) from classes.csv, in the order of the fine ids."""
    with open(os.path.join(data, 'classes.csv'), newline='') as file:
        rows = list(csv.reader(file))[1:]
    return sorted((int(fine_id), int(coarse_id), fine, coarse) for fine, fine_id, coarse, coarse_id, *_ in rows)


def read_split(data, split):
    """All photos of `train` or `val`, decoded to RGB, and their fine and coarse ids."""
    photos, fine, coarse = [], [], []
    with open(os.path.join(data, split + '.txt')) as file:
        for line in file:
            path, fine_id, coarse_id = (field.strip() for field in line.split(','))
            photos.append(Image.open(os.path.join(data, path)).convert('RGB'))
            fine.append(int(fine_id))
            coarse.append(int(coarse_id))
    return photos, np.array(fine), np.array(coarse)


def preprocess(photo, size, crop='resize-then-center', resize_shortest=None):
    """Crops and resizes one photo exactly as the server does: uint8 [size,size,3].

    `none` squashes the whole photo, `center-square` takes the largest square, and `resize-then-center`
    makes the shortest side `resize_shortest` (8/7 of the input unless said) and takes the middle. `pil-bilinear`
    is this very call: Pillow's BILINEAR widens its filter when it makes a picture smaller (antialiasing).
    """
    width, height = photo.size
    if crop == 'resize-then-center':
        # As torchvision: Resize cuts the longer side to whole pixels, CenterCrop rounds halves to even.
        shortest = resize_shortest or shortest_side(size)
        resized = (shortest, shortest * height // width) if width <= height else (shortest * width // height, shortest)
        left, top = (round((side - size) / 2) for side in resized)
        return np.array(photo.resize(resized, Image.BILINEAR).crop((left, top, left + size, top + size)))
    if crop == 'center-square':
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        photo = photo.crop((left, top, left + side, top + side))
    elif crop != 'none':
        raise ValueError(f'The crop {crop!r} is not one of none, center-square, resize-then-center.')
    return np.array(photo.resize((size, size), Image.BILINEAR))


def shortest_side(size):
    """The usual margin around the crop: 256 pixels for an input of 224."""
    return round(size * 8 / 7)
