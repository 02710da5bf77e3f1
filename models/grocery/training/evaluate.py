"""Compares ways to prepare the validation photos for one checkpoint: the crop, and the input size."""
import argparse

import numpy as np
import torch

from mobilenet_v2 import MobileNetV2
from photos import preprocess, read_classes, read_split
from train import figures, logits_of

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True)
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--sizes', type=int, nargs='+', default=[192, 224, 256])
    options = parser.parse_args()

    coarse_of = np.array([row[1] for row in read_classes(options.data)])
    model = MobileNetV2(len(coarse_of))
    model.load_state_dict(torch.load(options.checkpoint)['weights'])
    model = model.to(memory_format=torch.channels_last)
    photos, fine, coarse = read_split(options.data, 'val')
    print('size  crop                top1   top5  coarse   loss')
    for size in options.sizes:
        for crop in ('none', 'center-square', 'resize-then-center'):
            pixels = np.stack([preprocess(photo, size, crop, round(size * 8 / 7)) for photo in photos])
            row = figures(logits_of(model, pixels), fine, coarse, coarse_of)
            print(f"{size:4}  {crop:18} {row['top1']:6.1%} {row['top5']:6.1%}  {row['coarse_top1']:6.1%}  {row['loss']:5.3f}", flush=True)
