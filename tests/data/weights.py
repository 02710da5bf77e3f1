"""Random weights and a picture for the networks that PyTorch answers for: safetensors/networks.py, exporters/networks.py."""

import math

import torch

# What is added to rows of vectors.
ADDED = ("token", "pos_embed", "position", "tables")


def randomise(model, seed, spread):
    """Weights under which every layer matters: deviations of one through the network, statistics that are not those of an untrained one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dtype != torch.float32:
            continue
        if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
            tensor.data = noise.abs() * 0.5 + 0.5
        elif tensor.dim() == 1 or any(part in name for part in ADDED):
            tensor.data = noise * spread
        else:
            tensor.data = noise * math.sqrt(1.5 / (tensor.numel() / tensor.shape[0]))


def pixels(height, width):
    y, x, c = torch.meshgrid(torch.arange(height), torch.arange(width), torch.arange(3), indexing="ij")
    return (x * 31 + y * 17 + c * 71 + x * y * (c + 1)) % 256
