"""Events a second of training, side by side on the same samples."""

import os
import statistics
import sys

from cluster import Cluster, datasets_of, job
from peers import make_flat

# Hidden layers and batch.
CASES = {
    "small100": ((128, 64), 100),
    "small1024": ((128, 64), 1024),
    "large1024": ((1024, 1024), 1024),
}
ALONE, THREADED, PAIR = "Beamline", "Beamline, 1 worker", "Beamline, 2 workers"


def named(case):
    hidden, batch = CASES[case]
    return f"27-{'-'.join(map(str, hidden))}-1, batch {batch}"


def flat_files(options, peers):
    """The nine files; with --quick a ninth of their events."""
    if options.quick:
        return make_flat(peers, os.path.join(options.work, "quick"), "--signal", 3900, "--background", 36_100)
    return make_flat(peers, os.path.join(options.work, "flat"))


def rate(samples, ends):
    """Events a second from the end of the first epoch to that of the last. The first is left out: in it Beamline reads
    the files and JAX compiles."""
    return samples * (len(ends) - 1) / (ends[-1] - ends[0])


def contenders(options, peers, case, datasets, samples):
    """(name, threads) and what runs it once: a function that gives (events/s, validation losses)."""
    hidden, batch = CASES[case]

    def beamline(workers, threads):
        def run():
            with Cluster(options, workers, threads) as cluster:
                done = cluster.train(job(datasets, hidden, batch, options.epochs, lanes=options.lanes))
            return rate(done.samples, done.ends), done.validation

        return run

    def peer(framework, threads, variant):
        def run():
            name = variant() if callable(variant) else variant
            line = peers.train(framework, samples, hidden, batch, options.epochs, 42, threads, name)
            return rate(line["samples"], line["ends"]), line["validation"]

        return run

    chosen = {}

    def fastest(threads):
        if threads not in chosen:
            line = peers.train("jax", samples, hidden, batch, 1, 42, threads, extra=["--choose"])
            chosen[threads] = line["fastest"]
            print(f"  JAX on {threads} thread{'s'[:threads > 1]}: {line['fastest']}", flush=True)
        return chosen[threads]

    found = {
        (ALONE, 1): beamline(1, 1),
        (THREADED, 2): beamline(1, 2),
        (PAIR, 2): beamline(2, 1),
    }
    for threads in (1, 2):
        found["JAX", threads] = (
            peer("jax", threads, lambda threads=threads: fastest(threads)) if peers.has("jax") else None
        )
    for name, variant in (("PyTorch", "plain"), ("PyTorch by hand", "hand")):
        for threads in (1, 2):
            found[name, threads] = peer("torch", threads, variant) if peers.has("torch") else None
    found["PyTorch DDP, 2 processes", 2] = peer("torch", 1, "ddp") if peers.has("torch") else None
    return found, chosen


def export(options, datasets):
    """The samples that all contenders train on, written by Beamline; the directory."""
    folder = os.path.join(options.work, "samples-quick" if options.quick else "samples")
    with Cluster(options, 1, 2) as cluster:
        cluster.train(job(datasets, (8,), 1024, 1))
        cluster.samples(folder, ["train", "validation"])
    return folder


def row(cells, widths):
    return "  " + " ".join(f"{cell:<{w}}" if w > 20 else f"{cell:>{w}}" for cell, w in zip(cells, widths))


def measure(options, peers, case, datasets, samples, out):
    """Runs one case; contenders take turns, so that a disturbance of the machine meets all of them."""
    found, chosen = contenders(options, peers, case, datasets, samples)
    rates, losses = {}, {}
    for _ in range(options.rounds):
        for key, run in found.items():
            if run:
                speed, losses[key] = run()
                print(f"  {case}: {key[0]}, {key[1]}: {speed:,.0f} events/s", file=sys.stderr, flush=True)
                rates.setdefault(key, []).append(speed)
    medians = {key: statistics.median(values) for key, values in rates.items()}
    out(f"\n{named(case)}")
    widths = [25, 7, 10, 7] + [7] * options.epochs
    head = ["contender", "threads", "events/s", "to JAX", "loss 1"] + [str(e) for e in range(2, options.epochs + 1)]
    out(row(head, widths))
    for name, threads in found:
        if (name, threads) not in medians:
            out(row([name, threads, "absent"], widths))
            continue
        median, jax = medians[name, threads], medians.get(("JAX", threads))
        ratio = f"{median / jax:.2f}" if jax else "-"
        curve = [f"{loss:.4f}" for loss in losses[name, threads]]
        out(row([name, threads, f"{median:,.0f}", ratio, *curve], widths))
    goals(case, medians, out)
    same = len({tuple(losses[key]) for key in losses if key[0].startswith("Beamline")}) == 1
    out(f"  Beamline's losses are {'the same' if same else 'DIFFERENT'} for all workers and threads")
    return {
        "case": case,
        "variants": {str(threads): variant for threads, variant in chosen.items()},
        "contenders": [
            {"name": name, "threads": threads, "eventsPerSecond": medians[name, threads],
             "rounds": rates[name, threads], "validation": losses[name, threads]}
            for name, threads in medians
        ],
    }  # fmt: skip


def goals(case, medians, out):
    ours = max(medians[key] for key in medians if key[0].startswith("Beamline"))
    jax = [medians[key] for key in medians if key[0] == "JAX"]
    if jax:
        out(f"  Beamline's best over JAX's best: {ours / max(jax):.2f}")
    out(f"  two workers of one thread over one: {medians[PAIR, 2] / medians[ALONE, 1]:.2f}")
    ddp = medians.get(("PyTorch DDP, 2 processes", 2))
    if ddp and CASES[case][1] == 100:
        out(f"  two workers over DistributedDataParallel: {medians[PAIR, 2] / ddp:.2f}")


def run(options, peers, out):
    datasets = datasets_of(flat_files(options, peers))
    samples = export(options, datasets)
    out(
        f"{os.cpu_count()} cores, 27 flat branches in nine files, {options.epochs} epochs each with a validation pass,"
        f" dropout 0.5, Adam 0.001, {options.lanes} lanes; the first epoch is not timed; median of {options.rounds}"
    )
    cases = [options.only] if options.only else list(CASES)
    return [measure(options, peers, case, datasets, samples, out) for case in cases]
