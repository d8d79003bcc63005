"""Checks the report of a regression against scikit-learn, NumPy and PyTorch's definition of the Huber loss.

Usage: regression_oracle.py FILE, a JSON object: `target` (its schema), perhaps `delta`, `report`, and for each of
`train` and `test` normalised `scores` and `targets`.
"""
import json
import sys

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

case = json.load(open(sys.argv[1]))
target, delta = case["target"], case.get("delta")
parts = ("train", "test")


def close(found, expected, tolerance=1e-9):
    assert np.allclose(found, expected, rtol=tolerance, atol=tolerance), (found, expected)


def predictions(name):
    scores = np.array(case[name]["scores"], np.float32)
    return scores.astype(np.float64) / np.float32(target["scale"]) + np.float32(target["offset"])


def loss(name):
    """Of normalised values in Float32, in the target's units, squared."""
    offset, scale = np.float32(target["offset"]), np.float32(target["scale"])
    normalised = (np.array(case[name]["targets"], np.float32) - offset) * scale
    distance = np.abs((np.array(case[name]["scores"], np.float32) - normalised).astype(np.float64))
    losses = distance**2
    if delta is not None:
        losses = np.where(distance <= delta, distance**2 / 2, delta * (distance - delta / 2))
    return losses.mean() / float(scale) ** 2


errors = [
    np.sqrt(mean_squared_error(np.array(case[name]["targets"], np.float32).astype(float), predictions(name)))
    for name in parts
]
ranges = {case["report"][name]["regression"]["residuals"]["range"] for name in parts}
assert len(ranges) == 1
for name in parts:
    report, metrics = case["report"][name]["regression"], case["report"][name]["metrics"]
    y, p = np.array(case[name]["targets"], np.float32).astype(np.float64), predictions(name)
    assert metrics["events"] == len(y) and metrics["auc"] is None and metrics["accuracy"] is None
    close(metrics["loss"], loss(name))
    close(metrics["regression"]["mae"], mean_absolute_error(y, p))
    close(metrics["regression"]["rmse"], np.sqrt(mean_squared_error(y, p)))
    close(metrics["regression"]["r2"], r2_score(y, p))

    found, reach = report["residuals"], report["residuals"]["range"]
    # The smallest half, quarter, ... of eight spreads (8, for a deviation of 9) that has four times both errors.
    fitting = [64 / 2**halvings for halvings in range(11) if 64 / 2**halvings >= 4 * max(errors)]
    assert reach == (fitting[-1] if fitting else 64), (reach, errors)
    edges = np.linspace(-reach, reach, 65)
    index = np.floor((p - y - edges[0]) / (edges[1] - edges[0]))
    assert found["below"] == (index < 0).sum() and found["above"] == (index >= 64).sum()
    inside = index[(index >= 0) & (index < 64)].astype(int)
    assert found["counts"] == np.bincount(inside, minlength=64).tolist()

    low, high = target["min"], target["max"]
    bins = np.clip(np.floor((y - low) / (high - low) * 20), 0, 19).astype(int)
    for number, entry in enumerate(report["targets"]):
        own = bins == number
        close((entry["low"], entry["high"]), (low + number * (high - low) / 20, low + (number + 1) * (high - low) / 20))
        assert entry["events"] == own.sum()
        if own.any():
            close((entry["meanTarget"], entry["meanPrediction"]), (y[own].mean(), p[own].mean()))
        else:
            assert entry["meanTarget"] is None and entry["meanPrediction"] is None
print("agree")
