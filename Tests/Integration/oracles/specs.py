"""Compares the specs of a job with what uproot and NumPy compute from the same files: specs.py SPECS.json DIRECTORY
..."""

import glob
import json
import sys

import awkward as ak
import numpy as np
import uproot

document = json.load(open(sys.argv[1]))
trees = []
for directory in sys.argv[2:]:
    for path in sorted(glob.glob(directory + "/*.root")):
        file = uproot.open(path)
        trees.append(file["events"] if "events" in file else file["boosted/events"])
for branch in document["branches"]:
    arrays = [tree[branch["name"]].array() for tree in trees]
    values = np.concatenate([np.asarray(ak.flatten(array, axis=None), np.float64) for array in arrays])
    counts = max(int(ak.max(ak.num(array))) if array.ndim > 1 else 1 for array in arrays)
    assert branch["values"] == len(values), branch
    assert branch["min"] == values.min() and branch["max"] == values.max(), branch
    assert abs(branch["mean"] - values.mean()) <= 1e-9 * max(1, abs(values.mean())), branch
    assert abs(branch["deviation"] - values.std()) <= 1e-9 * max(1, values.std()), branch
    assert branch["multiplicity"] == counts, branch
print(f"{len(document['branches'])} branches agree")
