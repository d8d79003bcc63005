"""Compares what `beamline samples` wrote with the files: samples.py NORMALISED RAW BUNDLE.tar SPECS.json LIMIT
DIRECTORY ...

NORMALISED has the parts train and test; RAW has all parts, in files of at most LIMIT samples. Every array is computed
again with uproot and NumPy from the files in the directories, and must be the same bits.
"""

import glob
import json
import os
import sys
import tarfile

import awkward as ak
import numpy as np
import uproot

normalised, raw, bundle, specs, limit, *directories = sys.argv[1:]
specs = json.load(open(specs))
with tarfile.open(bundle) as archive:
    schema = json.load(archive.extractfile("schema.json"))
channels = schema["inputs"][0]["channels"]
f = np.float32


def spread(key):
    return np.concatenate([np.full(c["width"], c[key], f) for c in channels])


def features(tree):
    columns = []
    for item in channels:
        array = tree[item["branch"]].array()
        if item["jagged"]:
            padded = ak.fill_none(ak.pad_none(ak.values_astype(array, f), item["width"], clip=True), np.nan)
            columns.append(np.asarray(ak.to_numpy(padded), f))
        else:
            columns.append(np.asarray(ak.to_numpy(array), f).reshape(len(array), -1))
    return np.concatenate(columns, axis=1)


def load(directory, part, most):
    files = [np.load(path, allow_pickle=False) for path in sorted(glob.glob(f"{directory}/{part}-[0-9]*.npz"))]
    counts = [len(file["label"]) for file in files]
    assert all(count == most for count in counts[:-1]) and 0 < counts[-1] <= most, counts
    for file in files:
        assert (file["file_names"] == files[0]["file_names"]).all()
    names = ["features", "label", "weight", "entry", "file"]
    arrays = {name: np.concatenate([file[name] for file in files]) for name in names}
    types = {name: array.dtype.str for name, array in arrays.items()}
    assert types == {"features": "<f4", "label": "<i4", "weight": "<f4", "entry": "<i8", "file": "<i4"}, types
    assert len(arrays["label"]) == specs["parts"][part], part
    order = list(zip(arrays["file"].tolist(), arrays["entry"].tolist()))
    assert order == sorted(set(order)), "the plan's order, each once"
    return arrays, files[0]["file_names"], files[0]["feature_names"], len(files)


def equal(found, expected):
    """The same bits, whatever bits stand for NaN."""
    assert found.shape == expected.shape and expected.dtype == f
    both = np.isnan(found) & np.isnan(expected)
    return bool((both | (found.view(np.uint32) == expected.view(np.uint32))).all())


trees = {}
for directory in directories:
    for path in glob.glob(directory + "/*.root"):
        file = uproot.open(path)
        tree = file["events"] if "events" in file else file["boosted/events"]
        trees[os.path.basename(path)] = (features(tree), 1 if "tth" in directory else 0)

seen = {name: [] for name in trees}
missing = 0
raws = {}
for part in ("train", "validation", "test"):
    arrays, names, labels, files = load(raw, part, int(limit))
    raws[part] = arrays
    expected_names = [
        n for c in channels for n in ([c["branch"]] if c["width"] == 1 and not c["jagged"]
                                      else [f"{c['branch']}[{i}]" for i in range(c["width"])])]
    assert labels.tolist() == expected_names
    assert part != "train" or files > 1
    assert sorted(os.path.basename(name) for name in names) == sorted(trees)
    assert (arrays["weight"] == 1).all()
    for index, name in enumerate(os.path.basename(name) for name in names):
        rows = arrays["file"] == index
        expected, label = trees[name]
        assert equal(arrays["features"][rows], expected[arrays["entry"][rows]]), (part, name)
        assert (arrays["label"][rows] == label).all(), (part, name)
        seen[name] += arrays["entry"][rows].tolist()
    missing += np.isnan(arrays["features"]).sum()
for name, entries in seen.items():
    assert sorted(entries) == list(range(len(trees[name][0]))), name
assert missing > 1000

offset, scale, fill = spread("offset"), spread("scale"), spread("fill")
assert (scale != 1).any() and not os.path.exists(f"{normalised}/validation-00000.npz")
for part in ("train", "test"):
    arrays, _, _, files = load(normalised, part, 100_000)
    assert files == 1
    for name in ("label", "weight", "entry", "file"):
        assert (arrays[name] == raws[part][name]).all(), name
    values = raws[part]["features"]
    assert equal(arrays["features"], np.where(np.isnan(values), fill, (values - offset) * scale)), part
print(f"{sum(map(len, seen.values()))} samples of {len(trees)} files agree, {missing} values are missing")
