"""Checks an evaluation report against scikit-learn, NumPy, SciPy and, where it is there, ROOT.

Usage: evaluation_oracle.py FILE, a JSON object: `outputs`, `report`, and for each of `train` and `test` `scores`
([events][outputs]) and `labels`. Scores lie in 65,536 bins; the report treats all of one bin as equal.
"""
import json
import sys

import numpy as np
from scipy.special import kolmogorov
from scipy.stats import ks_2samp
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score, roc_curve

try:
    import ROOT
except ImportError:
    ROOT = None

BINS = 65536
case = json.load(open(sys.argv[1]))
outputs, report = case["outputs"], case["report"]
classes = max(2, outputs)


def close(found, expected, tolerance=1e-12):
    assert np.allclose(found, expected, rtol=tolerance, atol=tolerance), (found, expected)


class Part:
    def __init__(self, name):
        self.scores = np.array(case[name]["scores"], np.float32).reshape(-1, outputs)
        self.labels = np.array(case[name]["labels"])
        self.bins = np.minimum(np.floor(np.clip(self.scores, 0, 1) * np.float32(BINS)), BINS - 1)
        self.centres = (self.bins.astype(np.float64) + 0.5) / BINS
        self.report = report[name]

    def own(self, output):
        return self.labels == (1 if outputs == 1 else output)

    def check(self):
        metrics = self.report["metrics"]
        assert metrics["events"] == len(self.labels)
        areas = []
        for output in range(outputs):
            own, bins = self.own(output), self.bins[:, output]
            areas.append(roc_auc_score(own, bins) if 0 < own.sum() < len(own) else None)
            if areas[-1] is not None:
                close(areas[-1], roc_auc_score(own, self.scores[:, output]), 1e-3)
            histogram = self.report["histograms"][output]
            for key, events in (("own", own), ("others", ~own)):
                counts, _ = np.histogram(self.centres[events, output], bins=100, range=(0, 1))
                assert histogram[key] == counts.tolist(), key
        defined = [area for area in areas if area is not None]
        if defined:
            close(metrics["auc"], np.mean(defined))
        else:
            assert metrics["auc"] is None
        if outputs == 1:
            assert "classAUC" not in metrics
        else:
            assert [area is None for area in metrics["classAUC"]] == [area is None for area in areas]
            close([area for area in metrics["classAUC"] if area is not None], defined)
        predicted = (self.scores[:, 0] >= 0.5).astype(int) if outputs == 1 else self.scores.argmax(axis=1)
        close(metrics["accuracy"], accuracy_score(self.labels, predicted))
        expected = confusion_matrix(self.labels, predicted, labels=range(classes))
        assert self.report["confusion"] == expected.tolist()


def check_curve(found, own, bins):
    background, signal, thresholds = roc_curve(own, bins, drop_intermediate=False)
    assert found["thresholds"][0] > 1 and found["signal"][0] == 0 and found["background"][0] == 0
    assert found["signal"][-1] == 1 and found["background"][-1] == 1
    points = list(zip(found["thresholds"][1:], found["signal"][1:], found["background"][1:]))
    exact = {t: (s, b) for t, s, b in zip(thresholds[1:] / BINS, signal[1:], background[1:])}
    for threshold, s, b in points:
        close((s, b), exact[threshold])
    assert len(points) <= 200
    if len(exact) <= 200:
        assert len(points) == len(exact)
    # Linear between the kept points, the curve has nearly the same area.
    area = np.trapezoid(found["signal"], found["background"])
    close(area, roc_auc_score(own, bins), 2e-3)


def check_rejection(found, own, bins):
    background, signal, _ = roc_curve(own, bins, drop_intermediate=False)
    for tenths, entry in zip(range(1, 10), found, strict=True):
        close(entry["efficiency"], tenths / 10)
        accepted = background[np.argmax(np.round(signal * own.sum()) * 10 >= tenths * own.sum())]
        if accepted == 0:
            assert entry["rejection"] is None
        else:
            close(entry["rejection"], 1 / accepted)


def check_calibration(found, own, centres):
    assert sum(entry["events"] for entry in found) == len(own)
    filled = [entry for entry in found if entry["events"]]
    assert all(e["share"] is None and e["meanScore"] is None for e in found if not e["events"])
    share, mean = calibration_curve(own, centres, n_bins=20, strategy="uniform")
    close([entry["share"] for entry in filled], share)
    close([entry["meanScore"] for entry in filled], mean)


def check_kolmogorov(found, train, test):
    if len(train) == 0 or len(test) == 0:
        assert found is None
        return
    distance = ks_2samp(train, test, method="asymp").statistic
    close(found["statistic"], distance)
    scaled = distance * np.sqrt(len(train) * len(test) / (len(train) + len(test)))
    close(found["probability"], kolmogorov(scaled), 1e-10)
    if ROOT:
        train, test = np.sort(train), np.sort(test)
        close(found["probability"], ROOT.TMath.KolmogorovTest(len(train), train, len(test), test, ""), 1e-6)


train, test = Part("train"), Part("test")
train.check()
test.check()
for output, entry in enumerate(report["outputs"]):
    own, bins, centres = test.own(output), test.bins[:, output], test.centres[:, output]
    if 0 < own.sum() < len(own):
        check_curve(entry["roc"], own, bins)
        check_rejection(entry["rejection"], own, bins)
    else:
        assert entry["roc"] is None and all(e["rejection"] is None for e in entry["rejection"])
    check_calibration(entry["calibration"], own, centres)
    for key, sign in (("kolmogorovOwn", True), ("kolmogorovOthers", False)):
        of_train = train.centres[train.own(output) == sign, output]
        check_kolmogorov(entry[key], of_train, test.centres[own == sign, output])
print("agree")
