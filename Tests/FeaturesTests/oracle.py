"""What BatchAssembler must make of the HZZ file of the corpus, computed by awkward and NumPy.

usage: oracle.py FILE OUTPUT    writes little-endian float32: flat [n, 8], sequence [n, N, 3], mask [n, N],
                                image [n, 6, 5, 1]
"""
import sys

import awkward as ak
import numpy as np
import uproot

f = np.float32
tree = uproot.open(sys.argv[1])["events"]
branches = tree.arrays(["MET_px", "NJet", "Jet_Px", "Jet_Py", "Jet_E"])


def normalise(values, offset, scale, fill):
    values = np.asarray(values, f)
    return np.where(np.isnan(values), f(fill), (values - f(offset)) * f(scale))


def padded(name, width):
    array = ak.fill_none(ak.pad_none(ak.values_astype(branches[name], f), width, clip=True), np.nan)
    return np.asarray(ak.to_numpy(array), f).reshape(len(array), width)


flat = np.concatenate([
    normalise(np.asarray(branches["MET_px"], f)[:, None], 1.5, 0.25, 0),
    normalise(padded("Jet_E", 3), 20, 0.01, -1),
    normalise(np.asarray(branches["NJet"], f)[:, None], 0, 0.5, 0),
    normalise(padded("Jet_Px", 3), 0, 1, 0.5),
], axis=1)

longest = int(ak.max(ak.num(branches["Jet_Px"])))
counts = np.asarray(ak.num(branches["Jet_Px"]))
mask = (np.arange(longest)[None, :] < counts[:, None]).astype(f)
sequence = np.stack([
    normalise(padded("Jet_Px", longest), -2, 0.5, 0), normalise(padded("Jet_Py", longest), 0, 2, 0),
    normalise(padded("Jet_E", longest), 3, 0.125, 0)], axis=2) * mask[:, :, None]

image = np.zeros((len(branches), 6, 5, 1), f)
outside = 0
for sample, (xs, ys, weights) in enumerate(zip(*(ak.to_list(branches[n]) for n in ("Jet_Px", "Jet_Py", "Jet_E")))):
    for x, y, weight in zip(xs, ys, weights):
        if not (-60 <= x < 60 and -50 <= y < 70):
            outside += 1
            continue
        row, column = int(np.floor((y + 50) / 120 * 6)), int(np.floor((x + 60) / 120 * 5))
        image[sample, row, column, 0] += (f(weight) - f(1)) * f(0.5)

with open(sys.argv[2], "wb") as file:
    for array in (flat, sequence, mask, image):
        file.write(array.astype("<f4").tobytes())
print(len(branches), longest, outside)
