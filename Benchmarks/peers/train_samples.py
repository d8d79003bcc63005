"""What the training peers share: their arguments, the samples that `beamline samples` wrote, and their report.

A peer prints one line of JSON: `samples` (trained on in one epoch), `ends` (seconds on one clock at which each epoch,
validation pass included, ended), `validation` (the mean loss of the whole validation part after each epoch) and, with
--report, `features` (their number), `auc` (of the test part), `meanScore` and `share` (of the training part).
"""

import argparse
import glob
import json
import os

import numpy as np


def arguments(variants):
    parser = argparse.ArgumentParser()
    parser.add_argument("samples", help="the directory that `beamline samples` wrote")
    parser.add_argument("--variant", choices=variants, default=variants[0])
    parser.add_argument("--hidden", default="128,64", help="units of the hidden layers")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--port", type=int, default=24502, help="loopback port on which several processes meet")
    parser.add_argument("--report", action="store_true", help="also score the test and the training part")
    return parser


def hidden(options):
    return [int(units) for units in options.hidden.split(",")]


def load(folder, part):
    """The features [n, F] and the labels [n] of a part, both float32."""
    paths = sorted(glob.glob(os.path.join(folder, f"{part}-*.npz")))
    if not paths:
        raise SystemExit(f"{folder} has no samples of the {part} part")
    archives = [np.load(path, allow_pickle=False) for path in paths]
    features = np.concatenate([archive["features"] for archive in archives])
    return np.ascontiguousarray(features), np.concatenate([archive["label"] for archive in archives]).astype(np.float32)


def area(scores, labels):
    """The area under the ROC curve; a tie counts half."""
    values, indices, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[indices.reshape(-1)]
    signal = labels == 1
    own, others = int(signal.sum()), int((~signal).sum())
    return float((ranks[signal].sum() - own * (own + 1) / 2) / (own * others))


def report(options, framework, samples, ends, validation, score):
    """Prints the line; `score` gives the probabilities of features."""
    line = {
        "framework": framework,
        "variant": options.variant,
        "samples": samples,
        "ends": ends,
        "validation": validation,
    }
    if options.report:
        features, labels = load(options.samples, "test")
        line["features"] = features.shape[1]
        line["auc"] = area(score(features), labels)
        features, labels = load(options.samples, "train")
        line["meanScore"] = float(np.mean(score(features), dtype=np.float64))
        line["share"] = float(np.mean(labels, dtype=np.float64))
    print(json.dumps(line), flush=True)
