#!/usr/bin/env python3
"""Writes seeded ROOT files in the shape of the MLaaS4HEP paper's sample: 74 branches, 22 flat (8 of them counters) and
52 jagged.

    make_data.py OUTDIR --events N --compression zlib:1 [--files 9] [--basket 10000] [--seed 1]

One seed gives the same values whatever the compression.  Floats keep 10 to 12 bits of mantissa, as NanoAOD's do.
"""

import argparse
import json
import os

import awkward as ak
import numpy as np
import uproot

# Collections: mean multiplicity and members.
COLLECTIONS = {
    "Jet": (4.8, ["pt", "eta", "phi", "mass", "btag", "charge", "constituents", "tight", "tau1", "tau2"]),
    "FatJet": (
        1.5,
        ["pt", "eta", "phi", "mass", "btag", "charge", "constituents", "tight", "tau1", "tau2", "tau3", "flavour"],
    ),
    "Muon": (0.7, ["pt", "eta", "phi", "mass", "iso", "charge"]),
    "Electron": (0.7, ["pt", "eta", "phi", "mass", "iso", "charge"]),
    "Photon": (0.5, ["pt", "eta", "phi", "iso"]),
    "Tau": (0.6, ["pt", "eta", "phi", "charge"]),
    "GenPart": (5.8, ["pt", "eta", "phi", "mass", "flavour"]),
    "SubJet": (2.6, ["pt", "eta", "phi", "mass", "btag"]),
}
EVENT = 22 - len(COLLECTIONS)


def short(values, bits):
    """float32 with only `bits` bits of mantissa."""
    whole = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (whole & np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)).view(np.float32)


def member(random, name, count):
    if name == "pt":
        return short(25 + random.exponential(55, count), 10)
    if name == "eta":
        return short(random.normal(0, 1.4, count).clip(-5, 5), 10)
    if name == "phi":
        return short(random.uniform(-np.pi, np.pi, count), 10)
    if name == "mass":
        return short(np.abs(random.normal(65, 25, count)), 10)
    if name == "charge":
        return random.choice(np.array([-1, 1], np.int32), count)
    if name == "constituents":
        return random.poisson(20, count).clip(0, 255).astype(np.uint8)
    if name == "tight":
        return random.random(count) < 0.65
    if name == "flavour":
        return random.choice(np.array([0, 1, 2, 3, 4, 5, 21], np.int32), count)
    return short(random.beta(2, 3, count), 10)


def events(random, count):
    columns = {}
    for index in range(EVENT):
        x = random.normal(0, 1, count)
        if index == 3:
            columns["run_quality"] = (12 + 3 * x).clip(0, 255).astype(np.uint8)
        elif index == 5:
            columns["weight"] = np.round(1 + 0.1 * x, 4).astype(np.float64)
        elif index in (7, 11):
            columns[f"trigger{index}"] = x > 0.4
        elif index == 9:
            columns["vertices"] = random.poisson(30, count).astype(np.int32)
        else:
            columns[f"event{index}"] = short(np.exp(4 + 0.4 * x) if index % 2 else x, 12)
    for name, (mean, members) in COLLECTIONS.items():
        counts = random.poisson(mean, count).clip(0, 30)
        total = int(counts.sum())
        columns[name] = ak.unflatten(ak.zip({key: member(random, key, total) for key in members}), counts)
    return columns


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--compression", default="zlib:1")
    parser.add_argument("--files", type=int, default=9)
    parser.add_argument("--basket", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    name, _, level = options.compression.partition(":")
    codec = {"zlib": uproot.ZLIB, "lz4": uproot.LZ4, "zstd": uproot.ZSTD, "lzma": uproot.LZMA}[name](int(level or 1))
    os.makedirs(options.out, exist_ok=True)
    sizes = [options.events // options.files + (i < options.events % options.files) for i in range(options.files)]
    listing = []
    for number, size in enumerate(sizes):
        path = os.path.join(options.out, f"part{number}.root")
        with uproot.recreate(path, compression=codec) as file:
            tree = None
            for part, start in enumerate(range(0, size, options.basket)):
                random = np.random.default_rng([options.seed, number, part])
                columns = events(random, min(options.basket, size - start))
                if tree is None:
                    types = {k: v.type.content if isinstance(v, ak.Array) else v.dtype for k, v in columns.items()}
                    tree = file.mktree("Events", types, initial_basket_capacity=max(10, -(-size // options.basket)))
                tree.extend(columns)
        listing.append({"path": os.path.abspath(path), "events": size, "bytes": os.path.getsize(path)})
    with open(os.path.join(options.out, "files.json"), "w") as out:
        json.dump({"events": options.events, "files": listing}, out, indent=1)


main()
