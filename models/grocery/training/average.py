"""Averages checkpoints weight by weight, which generalises better than either (https://arxiv.org/abs/2203.05482)."""
import argparse

import torch

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True)
    parser.add_argument('checkpoints', nargs='+', help='the first one also says the serving size')
    options = parser.parse_args()
    checkpoints = [torch.load(path) for path in options.checkpoints]
    weights = {name: sum(checkpoint['weights'][name] for checkpoint in checkpoints) / len(checkpoints) for name in checkpoints[0]['weights']}
    torch.save({'options': checkpoints[0]['options'], 'weights': weights}, options.out)
