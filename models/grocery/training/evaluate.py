"""Compares ways to prepare the validation photos for one checkpoint (crop and input size), and lists what it mistakes."""
import argparse
from collections import Counter

import numpy as np
import torch

from mobilenet_v2 import MobileNetV2
from photos import preprocess, read_classes, read_split
from train import figures, logits_of

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True)
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--sizes', type=int, nargs='+', default=[192, 256, 224])
    options = parser.parse_args()

    classes = read_classes(options.data)
    coarse_of = np.array([row[1] for row in classes])
    model = MobileNetV2(len(coarse_of))
    model.load_state_dict(torch.load(options.checkpoint)['weights'])
    model = model.to(memory_format=torch.channels_last)
    photos, fine, coarse = read_split(options.data, 'val')
    print('size  crop                top1   top5  coarse   loss')
    for size in options.sizes:
        for crop in ('none', 'center-square', 'resize-then-center'):
            pixels = np.stack([preprocess(photo, size, crop) for photo in photos])
            logits = logits_of(model, pixels)
            row = figures(logits, fine, coarse, coarse_of)
            print(f"{size:4}  {crop:18} {row['top1']:6.1%} {row['top5']:6.1%}  {row['coarse_top1']:6.1%}  {row['loss']:5.3f}", flush=True)

    # The last line of the table: cropped as the server crops.
    mistakes = Counter((classes[truth][2], classes[answer][2]) for truth, answer in zip(fine, logits.argmax(1).tolist()) if truth != answer)
    print(f'\nMistakes of the last line ({mistakes.total()} of {len(fine)}):')
    for (truth, answer), count in mistakes.most_common():
        print(f'{count:3}  {truth} taken for {answer}')
