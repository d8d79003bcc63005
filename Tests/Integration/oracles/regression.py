"""Makes files with a target, and holds a finished regression against oracles.

regression.py make DIRECTORY
    writes linear_1.root and linear_2.root, whose y is linear in x0, x1 and x2; broken.root, whose y is NaN in entry 17;
    and constant.root, whose y is 7 everywhere
regression.py check BUNDLE.tar STATUS.json DIRECTORY SAMPLES NODE
    draws the test part again, predicts it by onnxruntime, and measures it by scikit-learn; the node must predict what
    onnxruntime does, and the exported samples must have the files' targets
"""

import glob
import json
import sys
import tarfile
import urllib.request

import numpy as np
import uproot

BRANCHES = ["x0", "x1", "x2"]


def make(directory):
    random = np.random.default_rng(11)
    for name, count in (("linear_1", 3000), ("linear_2", 1000), ("broken", 600), ("constant", 600)):
        x = random.normal(0, 1, (3, count)).astype(np.float32)
        y = 4000 + 300 * x[0].astype(np.float64) - 200 * x[1] + 50 * x[2] + 10 * random.normal(0, 1, count)
        if name == "broken":
            y[17] = np.nan
        if name == "constant":
            y[:] = 7
        with uproot.recreate(f"{directory}/{name}.root") as file:
            data = {**dict(zip(BRANCHES, x)), "y": y}
            tree = file.mktree("events", {branch: values.dtype for branch, values in data.items()})
            tree.extend(data)


def mix(z):
    z = np.asarray(z, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def text_hash(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return mix(value)


def draws(file, split, count):
    key = mix(mix(split["seed"]) ^ mix(text_hash(file.file.uuid.hex)))
    return mix(key ^ mix(np.arange(count, dtype=np.uint64))) >> np.uint64(32)


def check(bundle, status, directory, samples, node):
    import onnxruntime
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    np.seterr(over="ignore")
    with tarfile.open(bundle) as tar:
        archive = {member.name: tar.extractfile(member).read() for member in tar}
    schema, lineage = json.loads(archive["schema.json"]), json.loads(archive["lineage.json"])
    status = json.load(open(status))
    names = [channel["branch"] for channel in schema["inputs"][0]["channels"]]
    assert names == BRANCHES and schema["target"]["branch"] == "y", schema
    split = lineage["split"]
    rows, targets, trained = [], [], []
    for path in sorted(glob.glob(directory + "/linear_*.root")):
        file = uproot.open(path)
        arrays = file["events"].arrays(BRANCHES + ["y"], library="np")
        draw = draws(file, split, len(arrays["y"]))
        test = draw >= np.uint64(int((split["train"] + split["validation"]) * 2**32))
        train = draw < np.uint64(int(split["train"] * 2**32))
        rows.append(np.stack([arrays[name] for name in BRANCHES], axis=1)[test])
        targets.append(arrays["y"][test])
        trained.append(arrays["y"][train])
    rows, targets, trained = np.concatenate(rows), np.concatenate(targets), np.concatenate(trained)
    assert abs(schema["target"]["offset"] / trained.mean() - 1) < 1e-6, schema["target"]
    assert abs(schema["target"]["scale"] * trained.std() - 1) < 1e-6, schema["target"]

    session = onnxruntime.InferenceSession(archive["model.onnx"])
    predictions = session.run(None, {"features": rows})[0][:, 0]
    found = status["test"]["regression"]
    assert status["test"]["events"] == len(targets)
    assert status["test"]["auc"] is None and status["test"]["accuracy"] is None
    expected = {
        "mae": mean_absolute_error(targets, predictions), "rmse": np.sqrt(mean_squared_error(targets, predictions)),
        "r2": r2_score(targets, predictions),
    }
    for name, value in expected.items():
        assert abs(found[name] - value) < 1e-4 * value, (name, found, value)
    assert found["r2"] > 0.98, found
    evaluation = status["evaluation"]
    assert evaluation["test"]["metrics"] == status["test"] and "outputs" not in evaluation
    residuals = evaluation["test"]["regression"]["residuals"]
    assert sum(residuals["counts"]) + residuals["below"] + residuals["above"] == len(targets)
    metrics = json.loads(archive["metrics.json"])
    assert metrics["evaluation"] == evaluation and metrics["epochs"][-1]["validation"]["regression"]["rmse"] > 0

    exported = np.load(samples + "/test-00000.npz", allow_pickle=False)
    assert "label" not in exported and exported["target"].dtype == np.float32
    assert np.array_equal(exported["target"], targets.astype(np.float32))

    sample = rows[:200]
    data = [[float(value) for value in row] for row in sample]
    body = {"inputs": [{"name": "features", "shape": list(sample.shape), "datatype": "FP32", "data": data}]}
    request = urllib.request.Request(
        node + "/v2/models/linear/infer", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    served = np.array(json.load(urllib.request.urlopen(request))["outputs"][0]["data"])
    difference = np.abs(served - predictions[:200]).max()
    assert difference < 0.01, difference
    print(f"{len(rows)} test events agree: {expected}, largest difference of served predictions {difference:.1e}")


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    check(*sys.argv[2:])
