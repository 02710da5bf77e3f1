"""Fine-tunes MobileNetV2 on the grocery photos. See README.md for the recipe and its results."""
import argparse
import copy
import json
import math
import time

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from mobilenet_v2 import MobileNetV2
from photos import preprocess, read_classes, read_split


def random_crop(photo, size, smallest, rng):
    """A random part of the photo (area `smallest`..1, aspect 3/4..4/3), half of the time mirrored."""
    width, height = photo.size
    for _ in range(10):
        area = rng.uniform(smallest, 1) * width * height
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            box = (left, top, left + w, top + h)
            break
    else:
        box = (0, 0, width, height)
    pixels = np.asarray(photo.resize((size, size), Image.BILINEAR, box=box))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def jitter(x, strength, white_balance, rng):
    """Changes brightness, contrast, saturation and white balance of each picture in a batch [N,3,H,W] of 0..1."""
    def factors(strength, channels=1):
        values = rng.uniform(1 - strength, 1 + strength, (len(x), channels, 1, 1))
        return torch.from_numpy(values.astype(np.float32))

    def grey(x):
        return (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)

    # Adjacent scalings collapse into one: brightness and white balance are both gains.
    x = (x * (factors(strength) * factors(white_balance, 3))).clamp_(0, 1)
    middle = grey(x).mean((2, 3), keepdim=True)
    x = torch.lerp(middle.expand_as(x), x, factors(strength)).clamp_(0, 1)
    return torch.lerp(grey(x).expand_as(x), x, factors(strength)).clamp_(0, 1)


def mix(x, targets, mixup, cutmix, rng):
    """Blends each picture with another one of the batch (mixup), or pastes a part of it (cutmix), and its target too."""
    draw = rng.random()
    if draw >= mixup + cutmix:
        return x, targets
    # Pictures are already in random order, so the neighbour is a random partner.
    other, other_targets = x.roll(1, 0), targets.roll(1, 0)
    if draw < mixup:
        keep = float(rng.beta(0.2, 0.2))
        x = torch.lerp(other, x, keep)
    else:
        # https://arxiv.org/abs/1905.04899, section 3.1: the box's area is 1 - lambda, lambda uniform.
        size = x.shape[-1]
        side = int(size * math.sqrt(1 - rng.random()))
        cx, cy = rng.integers(size, size=2)
        left, right = max(cx - side // 2, 0), min(cx + side // 2, size)
        top, bottom = max(cy - side // 2, 0), min(cy + side // 2, size)
        x = x.clone()
        x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        keep = 1 - (right - left) * (bottom - top) / size ** 2
    return x, torch.lerp(other_targets, targets, keep)


def logits_of(model, pixels):
    """Logits for uint8 pictures [N,H,W,3], in float32."""
    model.eval()
    with torch.inference_mode():
        return torch.cat([
            model(torch.from_numpy(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)
                  .contiguous(memory_format=torch.channels_last))
            for batch in np.array_split(pixels, math.ceil(len(pixels) / 32))])


def figures(logits, fine, coarse, coarse_of):
    """Top-1, top-5 and cross entropy on the fine classes, and top-1 on the coarse class of the best fine one."""
    best = logits.argsort(1, descending=True).numpy()
    return {
        'top1': float((best[:, 0] == fine).mean()),
        'top5': float((best[:, :5] == fine[:, None]).any(1).mean()),
        'coarse_top1': float((coarse_of[best[:, 0]] == coarse).mean()),
        'loss': float(functional.cross_entropy(logits, torch.from_numpy(fine))),
    }


def train(options):
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)

    coarse_of = np.array([row[1] for row in read_classes(options.data)])
    classes = len(coarse_of)
    photos, fine, _ = read_split(options.data, 'train')
    val_photos, val_fine, val_coarse = read_split(options.data, 'val')
    val_pixels = np.stack([preprocess(photo, options.serving_size) for photo in val_photos])

    model = MobileNetV2(classes, options.dropout)
    if options.initial.endswith('.tflite'):
        model.load_tflite(options.initial)
    else:
        model.load_state_dict(torch.load(options.initial)['weights'])
    model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model)

    def group(parameters, rate):
        parameters = list(parameters)
        return [{'params': [p for p in parameters if p.dim() > 1], 'lr': rate, 'weight_decay': options.weight_decay},
                {'params': [p for p in parameters if p.dim() == 1], 'lr': rate, 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(
        group(model.backbone.parameters(), options.backbone_rate) + group(model.head.parameters(), options.head_rate))
    steps_per_epoch = len(photos) // options.batch
    steps = steps_per_epoch * options.epochs

    def rate(step):
        if step < options.warm_up:
            return (step + 1) / options.warm_up
        done = (step - options.warm_up) / (steps - options.warm_up)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    one_hot = torch.eye(classes) * (1 - options.smoothing) + options.smoothing / classes
    began = time.time()
    for epoch in range(min(options.epochs, options.stop_after or options.epochs)):
        model.train()
        order, total = rng.permutation(len(photos)), 0.0
        for step in range(steps_per_epoch):
            chosen = order[step * options.batch:(step + 1) * options.batch]
            pixels = np.stack([random_crop(photos[i], options.size, options.smallest_crop, rng) for i in chosen])
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
            x = jitter(x, options.jitter, options.white_balance, rng).mul_(2).sub_(1)
            x, targets = mix(x, one_hot[fine[chosen]], options.mixup, options.cutmix, rng)
            with torch.autocast('cpu', torch.bfloat16, enabled=options.bfloat16):
                logits = model(x.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
            schedule.step()
            total += loss.item()
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters()):
                    slow.lerp_(fast, 1 - options.average)
        line = {'epoch': epoch + 1, 'train_loss': round(total / steps_per_epoch, 4), 'seconds': round(time.time() - began)}
        if (epoch + 1) % 2 == 0 or epoch + 1 == options.epochs:
            line.update({name: round(value, 4) for name, value in
                         figures(logits_of(average, val_pixels), val_fine, val_coarse, coarse_of).items()})
            torch.save({'options': vars(options), 'weights': average.state_dict()}, options.out)
        print(json.dumps(line), flush=True)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True, help='folder of the GroceryStoreDataset with train.txt, val.txt, classes.csv')
    parser.add_argument('--initial', required=True, help='what to start from: MobileNetV2 as a TensorFlow Lite file, or a checkpoint of an earlier phase')
    parser.add_argument('--out', required=True, help='checkpoint to write')
    for name, default in dict(epochs=14, size=192, serving_size=224, batch=32, seed=1, threads=2, warm_up=100, stop_after=0).items():
        parser.add_argument('--' + name.replace('_', '-'), type=int, default=default)
    for name, default in dict(backbone_rate=3e-4, head_rate=3e-3, weight_decay=1e-2, smoothing=0.1, dropout=0.2,
                              average=0.995, smallest_crop=0.3, jitter=0.3, white_balance=0.0, mixup=0.0, cutmix=0.0).items():
        parser.add_argument('--' + name.replace('_', '-'), type=float, default=default)
    parser.add_argument('--bfloat16', action='store_true', help='faster where the processor has bfloat16 arithmetic, slower elsewhere')
    train(parser.parse_args())
