#!/usr/bin/env python3
"""uproot reads every branch: minimum, maximum and largest multiplicity.

    read_uproot.py iterate|baskets PROCESSES REPETITIONS FILE...

iterate: `TTree.iterate` in steps of 100,000 events, as its documentation shows.  baskets: basket by basket with NumPy
and without concatenation, the fastest way that was found; isa-l inflates zlib.  Prints a JSON line a repetition, and at
last the results. The pool of processes is started before timing.
"""

import json
import multiprocessing
import sys
import time

import awkward as ak
import numpy as np
import uproot

STEP = 100_000
# The documented switch acts on a copy that reading does not use; this one does.
uproot.compression._decompress_ZLIB.library = "isal"


def merge(into, name, low, high, width):
    old = into.get(name)
    into[name] = (low, high, width) if old is None else (min(old[0], low), max(old[1], high), max(old[2], width))


def iterate(path, part, parts):
    found = {}
    with uproot.open(path) as file:
        tree = file["Events"]
        names = [branch.name for branch in tree.branches][part::parts]
        for arrays in tree.iterate(names, step_size=STEP, library="ak", how=dict):
            for name, array in arrays.items():
                layout = array.layout
                width = 1
                if layout.is_list:
                    offsets = np.asarray(layout.offsets)
                    width = int(np.diff(offsets).max())
                    values = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
                else:
                    values = np.asarray(layout.data)
                if values.size:
                    merge(found, name, float(values.min()), float(values.max()), width)
    return found


def baskets(path, part, parts):
    found = {}
    with uproot.open(path) as file:
        for branch in file["Events"].branches[part::parts]:
            reading = branch.interpretation
            jagged = isinstance(reading, uproot.interpretation.jagged.AsJagged)
            dtype = np.dtype((reading.content if jagged else reading).from_dtype)
            for number in range(branch.num_baskets):
                basket = branch.basket(number)
                values = np.frombuffer(basket.data, dtype)
                width = int(np.diff(basket.byte_offsets).max()) // dtype.itemsize if jagged else 1
                if values.size:
                    values = values.astype(dtype.newbyteorder("="), copy=False)
                    merge(found, branch.name, float(values.min()), float(values.max()), width)
    return found


def task(arguments):
    way, path, part, parts = arguments
    return (iterate if way == "iterate" else baskets)(path, part, parts)


def main():
    way, processes, repetitions, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    tasks = [(way, path, part, processes) for path in files for part in range(processes)]
    pool = multiprocessing.get_context("fork").Pool(processes) if processes > 1 else None
    if pool:
        pool.map(abs, range(64))
    for repetition in range(repetitions + 1):
        start = time.perf_counter()
        found = {}
        for result in pool.imap_unordered(task, tasks, 1) if pool else map(task, tasks):
            for name, (low, high, width) in result.items():
                merge(found, name, low, high, width)
        if repetition:
            print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
    print(json.dumps({"results": found}))


main()
