"""The photos of the GroceryStoreDataset, and the preprocessing that the bundle's manifest describes."""
import csv
import io
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


def preprocess(photo, size, crop='none', resize_shortest=None):
    """Crops and resizes one photo exactly as the server does: uint8 [size,size,3].

    `none` squashes the whole photo, `center-square` takes the largest square, and `resize-then-center`
    makes the shortest side `resize_shortest` and takes the middle. `pil-bilinear` is this very call:
    Pillow's BILINEAR widens its filter when it makes a picture smaller (antialiasing).
    """
    width, height = photo.size
    if crop == 'none':
        box = (0, 0, width, height)
    elif crop == 'center-square':
        side = min(width, height)
        box = ((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2)
    elif crop == 'resize-then-center':
        scale = resize_shortest / min(width, height)
        photo = photo.resize((round(width * scale), round(height * scale)), Image.BILINEAR)
        left, top = (photo.width - size) // 2, (photo.height - size) // 2
        return np.asarray(photo.crop((left, top, left + size, top + size)))
    else:
        raise ValueError(f'The crop {crop!r} is not one of none, center-square, resize-then-center.')
    return np.asarray(photo.resize((size, size), Image.BILINEAR, box=box))
