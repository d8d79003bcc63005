"""The test AUC of Beamline and of PyTorch on pairs of real files: one network, the same samples, several seeds."""

import os
import shutil

from cluster import Cluster, job
from quality import seeds_of, spread

# Name; signal and background as (file, tree); branches to drop.
PAIRS = [
    (
        "HZZ vs WW",
        ("skhep__uproot-HZZ.root", "events"),
        ("fastcarp__CMS_HEP_tutorial_ww.root", "events"),
        ["MC*", "EventWeight", "triggerIsoMu24"],
    ),
    ("Higgs", ("lmtmva__Higgs_data.root", "sig_tree"), ("lmtmva__Higgs_data.root", "bkg_tree"), []),
    (
        "TMVA example",
        ("roottest__tmva_class_example.root", "TreeS"),
        ("roottest__tmva_class_example.root", "TreeB"),
        [],
    ),
]
HIDDEN, DROPOUT, BATCH, EPOCHS = (64,), 0.2, 64, 20


def find(folder, name):
    """The file in the directory, or in its `files`; None where it is in neither."""
    paths = [os.path.join(folder, name), os.path.join(folder, "files", name)]
    return next((os.path.abspath(path) for path in paths if os.path.exists(path)), None)


def run(options, peers, out):
    epochs = 2 if options.quick else EPOCHS
    network = f"F-{HIDDEN[0]}-1, dropout {DROPOUT}, batch {BATCH}, {epochs} epochs"
    out(f"test AUC, {network}: mean and deviation of {options.seeds} seeds")
    out(f"  {'pair':14} {'features':>8} {'Beamline':>17} {'PyTorch':>17} {'difference':>18}")
    lines = []
    for name, signal, background, drop in PAIRS:
        paths = [find(options.pairs, file) for file, _ in (signal, background)]
        if None in paths:
            out(f"  {name:14} skipped: {options.pairs} does not have its files")
            continue
        datasets = [
            {"name": kind, "label": label, "tree": tree, "files": [path]}
            for kind, label, path, (_, tree) in zip(("signal", "background"), (1, 0), paths, (signal, background))
        ]
        lines.append({"pair": name, **measure(options, peers, datasets, drop, epochs)})
        out(f"  {name:14} {lines[-1]['features']:>8} " + cells(lines[-1]))
    return lines


def measure(options, peers, datasets, drop, epochs):
    """The AUCs of each seed; the split is the same for all of them."""
    folder = os.path.join(options.work, "samples-pair")
    line = {"features": "-", "beamline": [], "pytorch": []}
    with Cluster(options, 1, 2) as cluster:
        for seed in seeds_of(options):
            description = job(
                datasets, HIDDEN, BATCH, epochs, DROPOUT, options.lanes, seed, branches={"keep": ["*"], "drop": drop}
            )
            line["beamline"].append(cluster.train(description).status["test"]["auc"])
        cluster.samples(folder, ["train", "validation", "test"])
    for seed in seeds_of(options) if peers.has("torch") else []:
        done = peers.train(
            "torch", folder, HIDDEN, BATCH, epochs, seed, options.peer_threads, dropout=DROPOUT, extra=["--report"]
        )
        line["pytorch"].append(done["auc"])
        line["features"] = done["features"]
    shutil.rmtree(folder)
    return line


def cells(line):
    ours = "{:.4f} ± {:.4f}".format(*spread(line["beamline"]))
    if not line["pytorch"]:
        return f"{ours:>17} {'absent':>17}"
    theirs = "{:.4f} ± {:.4f}".format(*spread(line["pytorch"]))
    means = [spread(line[name]) for name in ("beamline", "pytorch")]
    # The deviation of the difference of two means of independent seeds.
    error = (sum(deviation**2 for _, deviation in means) / len(line["beamline"])) ** 0.5
    difference = f"{means[0][0] - means[1][0]:+.4f} ± {error:.4f}"
    return f"{ours:>17} {theirs:>17} {difference:>18}"
