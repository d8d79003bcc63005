#!/usr/bin/env python3
"""Writes small good files for the fuzzer: every kind of branch that uproot writes, and RNTuple, with and without
compression."""

import os
import sys

import awkward as ak
import numpy as np
import uproot

directory = sys.argv[1]
os.makedirs(directory, exist_ok=True)
random = np.random.default_rng(7)
for name, compression in (
    ("none", None),
    ("zlib", uproot.ZLIB(1)),
    ("lz4", uproot.LZ4(4)),
    ("zstd", uproot.ZSTD(5)),
    ("lzma", uproot.LZMA(5)),
):
    for entries in (3, 200):
        counts = random.poisson(3, entries)
        total = int(counts.sum())
        jagged = ak.unflatten(
            ak.zip({"pt": random.normal(size=total).astype(np.float32), "id": random.integers(0, 9, total)}), counts
        )
        columns = {
            "flag": random.random(entries) < 0.5,
            "i1": random.integers(-99, 99, entries).astype(np.int8),
            "u2": random.integers(0, 60000, entries).astype(np.uint16),
            "i4": random.integers(-9, 9, entries).astype(np.int32),
            "f8": random.normal(size=entries),
            "matrix": random.normal(size=(entries, 2, 3)).astype(np.float32),
        }
        with uproot.recreate(f"{directory}/tree_{name}_{entries}.root", compression=compression) as file:
            types = {k: np.dtype((v.dtype, v.shape[1:])) for k, v in columns.items()}
            tree = file.mktree("directory/events", {**types, "Jet": jagged.type.content})
            tree.extend({**columns, "Jet": jagged})
            tree.extend({**columns, "Jet": jagged})
        with uproot.recreate(f"{directory}/ntuple_{name}_{entries}.root", compression=compression) as file:
            nested = ak.unflatten(
                jagged, [1] * (entries - entries // 2) + [0] * (entries // 2) + ([entries // 2] if entries > 1 else [])
            )
            flat = {k: v for k, v in columns.items() if v.ndim == 1}
            file.mkrntuple("events", ak.zip({**flat, "jets": jagged}, depth_limit=1))
            file.mkrntuple("nested", ak.zip({"lists": nested}, depth_limit=1))
