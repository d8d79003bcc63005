"""How the work of a training worker divides over what it does, by the names of the functions that perf saw."""

import collections
import os
import re
import shutil
import signal
import subprocess
import time

from cluster import Cluster, datasets_of, job
from speed import CASES, flat_files

# A function belongs to the first group of which an expression matches its name and library. Swift's names are mangled:
# $s, then the room's name after its length. Kernels are C functions, with the instruction set at the end.
GROUPS = [
    ("matrix products", [r"ck_matrix_product", r"ck_pack"]),
    (
        "other layers",
        [
            r"ck_(\w*relu|dropout|column_sums|elu|selu|gelu|silu|tanh)",
            r"\$s6Models\d+(NativeWorkspace|NativeModel|Dense|Dropout|ReLU|Elementwise|LayerNorm|BatchNorm)",
        ],
    ),
    ("fixed point sums", [r"ck_(add_fixed_point|add_whole|largest_magnitude|widest_step)", r"\$s6Models\d+FixedPoint"]),
    (
        "assembling batches",
        [
            r"ck_normalise",
            r"\$s8Features\d+(BatchAssembler|InputAssembler|EventSamples|EventStoreV|BatchV)",
            r"\$s8Sampling",
            r"\$s7Cluster12SeededRandom",
            r"LaneRunnerC4take",
        ],
    ),
    (
        "update",
        [r"ck_(adam|descen|square_sum)", r"\$s6Models\d+(Adam|SGD|Optimizer|LearningRate|TrainingState)"],
    ),
    ("all-reduce and digests", [r"gloo", r"ck_digest", r"\$s11Collectives"]),
    ("loss and metrics", [r"ck_(logistic|log|exp)(_|\b)", r"\$s6Models\d+(Loss|MetricSums|ScoreBins)"]),
    (
        "reading",
        [
            r"lib(deflate|z|zstd|lz4|lzma|Xrd\w*)\.so",
            r"ck_(extremes|first_moments|second_moment|moments|swap|offsets)",
            r"\$s(10RootFormat|7Columns|5Specs|7Storage|8Pipeline|5Bytes)",
            r"EventStoreBuilder",
        ],
    ),
    ("the training loop", [r"\$s8Training", r"\$s6Member"]),
    ("Swift runtime, memory", [r"libswift", r"swift_", r"malloc", r"mem(cpy|move|set)", r"libc\.so", r"ld-linux"]),
    ("kernel", [r"\[kernel", r"vmlinux"]),
]
REST = "rest"


def group_of(name):
    return next((group for group, patterns in GROUPS if any(re.search(one, name) for one in patterns)), REST)


def has_counters():
    """Whether perf counts instructions here; virtual machines often do not offer the processor's counters."""
    done = subprocess.run(["perf", "stat", "-x", ",", "-e", "instructions:u", "true"], capture_output=True, text=True)
    return done.returncode == 0 and "not " not in done.stderr


def shares(path):
    """What perf recorded, summed by function: (name, library) to instructions or nanoseconds."""
    script = subprocess.run(
        ["perf", "script", "-i", path, "-F", "period,ip,sym,dso"], capture_output=True, text=True, check=True
    )
    sums = collections.Counter()
    for line in script.stdout.splitlines():
        found = re.match(r"\s*(\d+)\s+[0-9a-f]+\s+(.*) \((.*)\)$", line)
        if found:
            sums[found[2].split("+0x")[0], os.path.basename(found[3])] += int(found[1])
    return sums


def readable(names):
    """Swift's names without their mangling, where `swift demangle` is there."""
    if not shutil.which("swift"):
        return names
    done = subprocess.run(
        ["swift", "demangle", "--simplified", "--compact"], input="\n".join(names), capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    return lines if len(lines) == len(names) else names


def record(options, peers):
    """Trains once and watches the first worker with perf: the sums by function, the number of samples trained on by
    all workers, and whether instructions were counted."""
    hidden, batch = CASES[options.only or "small100"]
    datasets = datasets_of(flat_files(options, peers))
    counted = has_counters()
    path = os.path.join(options.work, "perf.data")
    with Cluster(options, options.workers, 1) as cluster:
        event = ["-e", "instructions:u"] if counted else ["-e", "cpu-clock", "-F", "1999"]
        process = str(cluster.workers[0].pid)
        perf = subprocess.Popen(
            ["perf", "record", "-q", *event, "-o", path, "-p", process],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1)
        if perf.poll() is not None:
            raise SystemExit(f"perf record: {perf.stderr.read()}")
        try:
            done = cluster.train(job(datasets, hidden, batch, options.epochs, lanes=options.lanes))
        finally:
            perf.send_signal(signal.SIGINT)
            perf.wait(60)
    return shares(path), done.samples * options.epochs, counted


def run(options, peers, out):
    if not shutil.which("perf"):
        raise SystemExit("--instructions needs perf (Debian's linux-perf)")
    sums, samples, counted = record(options, peers)
    total = sum(sums.values())
    if not total:
        raise SystemExit("perf recorded nothing; is kernel.perf_event_paranoid at most 1?")
    what = "instructions" if counted else "samples of time (this machine has no counters of instructions)"
    who = "one worker of one thread" if options.workers == 1 else f"one of {options.workers} workers of one thread"
    out(f"{who}, {options.only or 'small100'}, {options.epochs} epochs: {what}")
    unit = f"{total / samples:,.0f} instructions" if counted else f"{total / samples / 1000:.2f} us of a core"
    out(f"  {unit} an event, reading and the final report included")
    groups = collections.Counter()
    for (name, library), amount in sums.items():
        groups[group_of(f"{name} {library}")] += amount
    for group, amount in groups.most_common():
        own = collections.Counter(
            {name: n for (name, library), n in sums.items() if group_of(f"{name} {library}") == group}
        ).most_common(3)
        names = readable([name for name, _ in own])
        listed = "; ".join(f"{text[:60]} {n / total:.1%}" for text, (_, n) in zip(names, own))
        out(f"  {group:24} {amount / total:6.1%}   {listed}")
    return {"counted": counted, "perEvent": total / samples, "groups": {g: n / total for g, n in groups.items()}}
