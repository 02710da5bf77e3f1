"""Writes an HDF5 file too large to keep: python3 large.py FILE. Its heap of links has tables of tables, its name index four levels, its chunks super blocks."""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "w", libver="latest") as file:
    target = file.create_group("target")
    for index in range(20_000):
        file[f"a name that fills the heap's blocks {index:05d}"] = target
    numbers = (np.arange(1_000_000) % 97).astype("u1").reshape(1000, 1000)
    del file["target"]
    file.create_dataset("numbers", data=numbers, chunks=(3, 7), maxshape=(None, 1000), compression="gzip", compression_opts=1)
