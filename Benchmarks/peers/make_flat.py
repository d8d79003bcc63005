#!/usr/bin/env python3
"""Writes seeded ROOT files of 27 flat branches for the training benchmark: one file of signal, the others background.

    make_flat.py OUTDIR [--signal 34115] [--background 315885] [--background-files 8] [--basket 10000] [--seed 1]

Every branch of the signal is shifted by an amount of its own, and all branches share a common fluctuation, so that a
small network separates the classes well and not perfectly. The background files differ a little from each other, as
different processes do, and in size.
"""

import argparse
import json
import os

import numpy as np
import uproot

BRANCHES = 27


def events(random, count, is_signal, process):
    """Columns of `count` events; `process` numbers the file, from 0."""
    common = random.normal(0, 1, count)
    columns = {}
    for index in range(BRANCHES):
        strength = 0.15 * (index % 5) * (-1 if index % 2 else 1)
        x = random.normal(0, 1, count) + 0.3 * common + 0.02 * process + (strength if is_signal else 0)
        if index in (4, 13, 22):
            columns[f"count{index}"] = random.poisson(np.exp(1.5 + 0.25 * x)).astype(np.int32)
        elif index in (8, 17):
            columns[f"flag{index}"] = x > 0.4
        elif index % 3 == 1:
            columns[f"momentum{index}"] = np.exp(3.5 + 0.4 * x).astype(np.float32)
        else:
            columns[f"shape{index}"] = x.astype(np.float32)
    return columns


def write(path, size, is_signal, process, options):
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree = None
        for part, start in enumerate(range(0, size, options.basket)):
            random = np.random.default_rng([options.seed, process, part])
            columns = events(random, min(options.basket, size - start), is_signal, process)
            if tree is None:
                types = {name: column.dtype for name, column in columns.items()}
                tree = file.mktree("Events", types, initial_basket_capacity=max(10, -(-size // options.basket)))
            tree.extend(columns)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--signal", type=int, default=34_115)
    parser.add_argument("--background", type=int, default=315_885)
    parser.add_argument("--background-files", type=int, default=8)
    parser.add_argument("--basket", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    # The largest background file has three times the events of the smallest.
    shares = np.linspace(1, 3, options.background_files)
    ends = np.round(np.cumsum(shares) / shares.sum() * options.background).astype(int)
    sizes = [options.signal, *np.diff(ends, prepend=0).tolist()]
    listing = []
    for process, size in enumerate(sizes):
        path = os.path.join(options.out, "signal.root" if process == 0 else f"background{process}.root")
        write(path, size, process == 0, process, options)
        listing.append({"path": os.path.abspath(path), "label": int(process == 0), "events": size})
    with open(os.path.join(options.out, "files.json"), "w") as out:
        json.dump({"events": sum(sizes), "files": listing}, out, indent=1)


main()
