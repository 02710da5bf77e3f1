"""Turns a trained checkpoint into the bundle: ONNX file, classifier weights, figures, recorded answers, manifest.

Every figure and every recorded answer comes out of ONNX Runtime running the file that ships, not out of PyTorch;
the two are compared on the way.
"""
import argparse
import hashlib
import json
import os
import re
import subprocess
import tempfile

import numpy as np
import torch
from PIL import Image

from export_onnx import export
from mobilenet_v2 import FEATURES, MobileNetV2
from photos import preprocess, read_classes, read_split, shortest_side

HERE = os.path.dirname(os.path.abspath(__file__))
TOLERANCE = 1e-4


def entry(folder, name):
    path = os.path.join(folder, name)
    with open(path, 'rb') as file:
        return {'file': name, 'bytes': os.path.getsize(path), 'sha256': hashlib.sha256(file.read()).hexdigest()}


def run_onnx(path, pixels):
    """The file's outputs for uint8 pictures [N,H,W,3]."""
    with tempfile.TemporaryDirectory() as folder:
        raw = os.path.join(folder, 'pixels.u8')
        pixels.tofile(raw)
        subprocess.run(['node', os.path.join(HERE, 'run_onnx.mjs'), path, raw, str(pixels.shape[1]), folder], check=True)
        return {name: np.fromfile(os.path.join(folder, name + '.f32'), '<f4').reshape(len(pixels), *shape)
                for name, shape in (('probabilities', (-1,)), ('embedding', (FEATURES,)),
                                    ('features', (FEATURES, pixels.shape[1] // 32, pixels.shape[2] // 32)))}


def run_torch(model, pixels):
    with torch.inference_mode():
        features = torch.cat([model.backbone(torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1)
                              for part in np.array_split(pixels, max(1, len(pixels) // 16))])
        embedding = features.mean((2, 3))
        return {'probabilities': model.head(embedding).softmax(1).numpy(), 'embedding': embedding.numpy(),
                'features': features.numpy()}


def predictions(probabilities, labels, count=5):
    best = np.argsort(-probabilities)[:count]
    return [{'index': int(i), 'label': labels[i], 'confidence': round(float(probabilities[i]), 6)} for i in best]


def threshold(best, right, keep=0.97):
    """The highest confidence, in hundredths, under which at most 3 % of the right answers fall."""
    return max(t / 100 for t in range(100) if (best[right] >= t / 100).mean() >= keep)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True)
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--bundle', default=os.path.dirname(HERE), help='folder with labels.txt, sample.png and samples/')
    parser.add_argument('--version', default='1')
    options = parser.parse_args()
    bundle = options.bundle

    checkpoint = torch.load(options.checkpoint)
    size = checkpoint['options']['serving_size']
    classes = read_classes(options.data)
    model = MobileNetV2(len(classes))
    model.load_state_dict(checkpoint['weights'])
    model.eval()
    with open(os.path.join(bundle, 'labels.txt'), encoding='utf-8') as file:
        labels = [line.rstrip('\n').split('\t')[0] for line in file]
    assert len(labels) == len(classes) == len(set(labels))

    onnx = os.path.join(bundle, 'model.onnx')
    export(model, size, onnx)
    model.head.weight.detach().numpy().astype('<f4').tofile(os.path.join(bundle, 'classifier.f32'))

    photos, fine, coarse = read_split(options.data, 'val')
    pixels = np.stack([preprocess(photo, size) for photo in photos])
    outputs, expected = run_onnx(onnx, pixels), run_torch(model, pixels)
    for name, values in outputs.items():
        # Relative to the output's range: features reach 6, and rounding grows with them.
        off = float(np.abs(values - expected[name]).max() / max(1, expected[name].max()))
        print(f'{name}: ONNX Runtime and PyTorch differ by at most {off:.1e}')
        if off > TOLERANCE:
            raise SystemExit(f'{name} differs by {off:.1e}; the limit is {TOLERANCE}.')

    probabilities = outputs['probabilities']
    ranked = np.argsort(-probabilities, 1)
    coarse_of = np.array([row[1] for row in classes])
    right, best = ranked[:, 0] == fine, probabilities.max(1)
    limit = threshold(best, right)
    print(f'abstain under {limit}: keeps {(best[right] >= limit).mean():.1%} of {right.sum()} right answers, '
          f'catches {(best[~right] < limit).mean():.1%} of {(~right).sum()} wrong ones')

    def recorded(file):
        shown = Image.open(os.path.join(bundle, file)).convert('RGB')
        return run_onnx(onnx, preprocess(shown, size)[None])['probabilities'][0]

    samples = []
    folder = os.path.join(bundle, 'samples')
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        answer = recorded('samples/' + file)
        i, name = int(answer.argmax()), file.rsplit('.', 1)[0].replace('-', ' ')
        print(f'samples/{file}: {labels[i]} {answer[i]:.1%}')
        if labels[i].lower() != name:
            raise SystemExit(f'samples/{file} is answered with {labels[i]!r}.')
        samples.append({'file': 'samples/' + file, 'title': labels[i], 'index': i})

    manifest = {
        'name': 'grocery', 'version': options.version, 'title': 'Groceries',
        'description': 'Names fruit, vegetables and cartons of juice, milk and yoghurt in photos taken with a phone in a shop.',
        'license': 'Apache-2.0',
        'source': 'MobileNetV2 (Google, Apache-2.0) fine-tuned on the GroceryStoreDataset (Klasson et al. 2019, MIT)',
        'labels': 'labels.txt',
        'files': {'fp32': entry(bundle, 'model.onnx')},
        'input': {'name': 'image', 'type': 'uint8', 'layout': 'nhwc', 'width': size, 'height': size},
        'preprocessing': {
            'crop': 'resize-then-center', 'resize_shortest': shortest_side(size), 'resample': 'pil-bilinear',
            'rescale_factor': 0.00392156862745098, 'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.5, 0.5, 0.5],
            'channel_order': 'rgb'},
        'output': {
            'name': 'probabilities', 'kind': 'probabilities', 'embedding': 'embedding', 'features': 'features',
            'classifier_weights': entry(bundle, 'classifier.f32')},
        'abstain': {'threshold': limit},
        'metrics': {'fp32': {
            'photos': len(photos), 'top1': round(float(right.mean()), 4),
            'top5': round(float((ranked[:, :5] == fine[:, None]).any(1).mean()), 4),
            'coarse_top1': round(float((coarse_of[ranked[:, 0]] == coarse).mean()), 4),
            'data': 'validation split of GroceryStoreDataset'}},
        'sample': {'file': 'sample.png', 'predictions': predictions(recorded('sample.png'), labels), 'tolerance': 0.02},
        'samples': samples,
    }
    with open(os.path.join(bundle, 'model.json'), 'w', encoding='utf-8') as file:
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        # Mean and deviation read better on one line.
        text = re.sub(r'\[\s+([-\d.,\s]+?)\s+\]', lambda match: '[' + ', '.join(re.split(r',\s+', match[1])) + ']', text)
        file.write(text + '\n')
    print(json.dumps(manifest['metrics']['fp32']))
