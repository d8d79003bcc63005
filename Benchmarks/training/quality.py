"""How good the trained models are: validation losses over seeds, and whether scores follow the share of the classes."""

import os
import shutil
import statistics

from cluster import Cluster, datasets_of, job
from peers import make_flat
from speed import export, flat_files

HIDDEN, BATCH = (128, 64), 100


def spread(values):
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def swings(curves):
    """Over all curves the largest change from one epoch to the next, and the largest rise."""
    changes = [after - before for curve in curves for before, after in zip(curve, curve[1:])]
    return max(map(abs, changes), default=0.0), max([*changes, 0.0])


def seeds_of(options):
    return [42 + index for index in range(options.seeds)]


def curves(options, peers, datasets, samples):
    """The validation losses of each seed by contender; None where it is absent."""
    found = {}
    for name, lanes in ((f"Beamline, {options.lanes} lanes", options.lanes), ("Beamline, 1 lane", 1)):
        with Cluster(options, 1, 2 if lanes > 1 else 1) as cluster:
            found[name] = [
                cluster.train(job(datasets, HIDDEN, BATCH, options.epochs, lanes=lanes, seed=seed)).validation
                for seed in seeds_of(options)
            ]
    found["PyTorch"] = peers.has("torch") and [
        peers.train("torch", samples, HIDDEN, BATCH, options.epochs, seed, options.peer_threads)["validation"]
        for seed in seeds_of(options)
    ]
    return found


def losses(options, peers, out):
    datasets = datasets_of(flat_files(options, peers))
    found = curves(options, peers, datasets, export(options, datasets))
    out(f"validation loss, 27-128-64-1, batch {BATCH}: mean and deviation of {options.seeds} seeds")
    out(
        f"  {'contender':20}"
        + "".join(f" {f'epoch {e}':>15}" for e in range(1, options.epochs + 1))
        + "   change    rise"
    )
    lines = []
    for name, seeds in found.items():
        if not seeds:
            out(f"  {name:20} absent")
            continue
        cells = [spread(values) for values in zip(*seeds)]
        change, rise = swings(seeds)
        text = "".join(f" {mean:.4f} ± {deviation:.4f}" for mean, deviation in cells)
        out(f"  {name:20}{text} {change:8.4f} {rise:7.4f}")
        lines.append({"name": name, "curves": seeds, "largestChange": change, "largestRise": rise})
    out("  change: the largest from one epoch to the next, of any seed; rise: the largest to a higher loss")
    return lines


def share_cases(options, peers):
    """(name, datasets, other keys of the job) of the data whose share of signal the scores should have; and what of
    the given data is not there, or None."""
    many = ("--signal", 8000, "--background", 80_000, "--background-files", 40)
    name = "8,000 signal in one file, 80,000 background in 40"
    if options.quick:
        many = ("--signal", 800, "--background", 8000, "--background-files", 40)
        name = "800 signal in one file, 8,000 background in 40"
    folder = os.path.join(options.work, "many-quick" if options.quick else "many")
    cases = [
        ("the nine files", datasets_of(flat_files(options, peers)), {}),
        (name, datasets_of(make_flat(peers, folder, *many)), {}),
    ]
    if options.higgs:
        file, trees = os.path.abspath(options.higgs[0]), options.higgs[1].split(",")
        if not os.path.exists(file):
            return cases, f"{options.higgs[0]} (no such file)"
        if len(trees) == 2:
            datasets = [
                {"name": tree, "label": label, "tree": tree, "files": [file]} for label, tree in zip((1, 0), trees)
            ]
            cases.append((f"{os.path.basename(file)}, {trees[0]} and {trees[1]}", datasets, {}))
        else:
            datasets = [{"name": "all", "tree": trees[0], "files": [file]}]
            extra = {"label_branch": options.label_branch}
            cases.append((f"{os.path.basename(file)}, labels in {options.label_branch}", datasets, extra))
    return cases, None


def binned_mean(status):
    """The mean score of the training part by the report's 100 bins, as if all of a bin were at its middle."""
    counts = status["evaluation"]["train"]["histograms"][0]
    both = [own + others for own, others in zip(counts["own"], counts["others"])]
    return sum(count * (index + 0.5) / len(both) for index, count in enumerate(both)) / sum(both)


def shares(options, peers, out):
    cases, skipped = share_cases(options, peers)
    lines = []
    out(f"\nmean score of the trained model on its training samples, beside the share of signal; batch {BATCH}")
    out(f"  {'data':54} {'share':>8} {'Beamline':>9} {'PyTorch':>9}")
    for index, (name, datasets, extra) in enumerate(cases):
        folder = os.path.join(options.work, f"samples-share{index}")
        with Cluster(options, 1, 2) as cluster:
            description = job(datasets, HIDDEN, BATCH, options.epochs, lanes=options.lanes, **extra)
            done = cluster.train(description)
            cluster.samples(folder, ["train", "validation", "test"])
            ours = {"meanScore": binned_mean(done.status), "isBinned": True}
            if peers.has("onnxruntime"):
                raw = os.path.join(cluster.folder, "raw")
                cluster.samples(raw, ["train"], raw=True)
                ours = peers.run("onnxruntime", "score_onnx.py", cluster.model(), raw)
        theirs = None
        if peers.has("torch"):
            theirs = peers.train(
                "torch", folder, HIDDEN, BATCH, options.epochs, 42, options.peer_threads, extra=["--report"]
            )
        share = theirs["share"] if theirs else ours.get("share") or share_of(done.status)
        other = f"{theirs['meanScore']:9.4f}" if theirs else "   absent"
        remark = " (from 100 bins: onnxruntime is absent)" if "isBinned" in ours else ""
        out(f"  {name:54} {share:8.4f} {ours['meanScore']:9.4f} {other}{remark}")
        lines.append({"data": name, "share": share, "beamline": ours["meanScore"],
                      "pytorch": theirs and theirs["meanScore"]})  # fmt: skip
        shutil.rmtree(folder)
    if skipped:
        out(f"  skipped: {skipped}")
    return lines


def share_of(status):
    """The share of class 1 in the training part, by the report's histograms."""
    counts = status["evaluation"]["train"]["histograms"][0]
    own, others = sum(counts["own"]), sum(counts["others"])
    return own / (own + others)


def run(options, peers, out):
    return {"losses": losses(options, peers, out), "shares": shares(options, peers, out)}
