"""Holds a finished job against oracles: model.py BUNDLE.tar STATUS.json SIGNAL_DIRECTORY BACKGROUND_DIRECTORY NODE

The test part is drawn again here, its features are made with uproot and NumPy, scored by onnxruntime, and measured by
scikit-learn; the node must give onnxruntime's scores, with padding, missing values and a constant branch.
"""

import glob
import json
import sys
import tarfile
import urllib.request

import awkward as ak
import numpy as np
import onnxruntime
import uproot
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

bundle, status, *directories, node = sys.argv[1:]
archive = {m.name: tarfile.open(bundle).extractfile(m).read() for m in tarfile.open(bundle)}
schema = json.loads(archive["schema.json"])
lineage = json.loads(archive["lineage.json"])
status = json.load(open(status))
M = np.uint64


def mix(z):
    z = np.asarray(z, M) + M(0x9E3779B97F4A7C15)
    z = (z ^ (z >> M(30))) * M(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> M(27))) * M(0x94D049BB133111EB)
    return z ^ (z >> M(31))


def text_hash(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return mix(value)


def features(tree):
    columns = []
    for item in schema["inputs"][0]["channels"]:
        array = tree[item["branch"]].array()
        if item["jagged"]:
            padded = ak.fill_none(ak.pad_none(ak.values_astype(array, np.float32), item["width"], clip=True), np.nan)
            columns.append(np.asarray(ak.to_numpy(padded), np.float32))
        else:
            columns.append(np.asarray(ak.to_numpy(array), np.float32).reshape(len(array), -1))
    return np.concatenate(columns, axis=1)


np.seterr(over="ignore")
rows, labels = [], []
for label, directory in zip((1, 0), directories):
    for path in sorted(glob.glob(directory + "/*.root")):
        file = uproot.open(path)
        tree = file["events"] if "events" in file else file["boosted/events"]
        split = lineage["split"]
        key = mix(mix(split["seed"]) ^ mix(text_hash(file.file.uuid.hex)))
        draw = mix(key ^ mix(np.arange(tree.num_entries, dtype=M))) >> M(32)
        test = draw >= M(int((split["train"] + split["validation"]) * 2**32))
        rows.append(features(tree)[test])
        labels.append(np.full(test.sum(), label))
rows, labels = np.concatenate(rows), np.concatenate(labels)
session = onnxruntime.InferenceSession(archive["model.onnx"])
scores = session.run(None, {"features": rows})[0][:, 0]
assert len(rows) == status["test"]["events"], (len(rows), status["test"])
area = roc_auc_score(labels, scores)
assert abs(area - status["test"]["auc"]) < 1e-4, (area, status["test"])
assert abs(accuracy_score(labels, scores >= 0.5) - status["test"]["accuracy"]) < 2.5 / len(rows), status["test"]
evaluation = status["evaluation"]
metrics = json.loads(archive["metrics.json"])
assert metrics["format"] == 3 and metrics["evaluation"] == evaluation
assert metrics["test"] == evaluation["test"]["metrics"]
confusion = np.array(evaluation["test"]["confusion"])
# A score at the edge may be rounded to its other side here.
assert np.abs(confusion - confusion_matrix(labels, scores >= 0.5)).sum() <= 4, confusion
assert len(evaluation["outputs"]) == 1 and evaluation["train"]["metrics"]["events"] > 2 * len(rows)

sample = rows[:: max(1, len(rows) // 200)].copy()
sample[::3, ::5] = np.nan
data = [[None if np.isnan(value) else float(value) for value in row] for row in sample]
body = {"inputs": [{"name": "features", "shape": list(sample.shape), "datatype": "FP32", "data": data}]}
request = urllib.request.Request(
    node + "/v2/models/tth/infer", json.dumps(body).encode(), {"content-type": "application/json"}
)
served = np.array(json.load(urllib.request.urlopen(request))["outputs"][0]["data"])
difference = np.abs(served - session.run(None, {"features": sample})[0][:, 0]).max()
assert difference < 1e-5, difference
print(f"{len(rows)} test events agree: AUC {area:.5f}, largest difference of served scores {difference:.1e}")
