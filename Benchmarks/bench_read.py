#!/usr/bin/env python3
"""Times reading side by side: Beamline, uproot and ROOT on the same files, and inflating alone as the limit.

Called by `scripts/bench read`.  Contenders take turns, round after round, so that a disturbance of the machine meets
all of them; the median of the rounds counts.  All must find the same minima, maxima and multiplicities.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def lines(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def same(a, b):
    names = set(a) & set(b)
    return len(names) == len(a) == len(b) and all(
        math.isclose(x, y, rel_tol=1e-12) for name in names for x, y in zip(a[name], b[name])
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the read-benchmark program")
    parser.add_argument("--root", help="the compiled read_root program")
    parser.add_argument("--data", required=True, help="where the data sets are made and kept")
    parser.add_argument("--events", type=int, default=450_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codecs", default="zlib,zstd,lz4")
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    levels = {"zlib": "zlib:1", "zstd": "zstd:5", "lz4": "lz4:4", "lzma": "lzma:1"}
    threads = [int(n) for n in options.threads.split(",")]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {options.events} events, 74 branches (22 flat, 52 jagged), warm"
        f" page cache, median of {options.rounds}"
    )
    for codec in options.codecs.split(","):
        folder = f"{options.data}/{codec}-{options.events}"
        if not os.path.exists(f"{folder}/files.json"):
            subprocess.run(
                [
                    sys.executable,
                    f"{HERE}/peers/make_data.py",
                    folder,
                    "--events",
                    str(options.events),
                    "--compression",
                    levels[codec],
                ],
                check=True,
            )
        with open(f"{folder}/files.json") as file:
            files = [one["path"] for one in json.load(file)["files"]]
        compare(options, codec, files, threads)


def compare(options, codec, files, threads):
    contenders = {}
    for n in threads:
        contenders[f"inflating alone, {n}"] = [options.ours, "inflate", str(n), "1", *files]
        contenders[f"Beamline, {n}"] = [options.ours, "specs", str(n), "1", *files]
        contenders[f"Beamline's specs stage, {n}"] = [options.ours, "stage", str(n), "1", *files]
        contenders[f"uproot by baskets, {n}"] = [
            sys.executable,
            f"{HERE}/peers/read_uproot.py",
            "baskets",
            str(n),
            "1",
            *files,
        ]
        if options.root:
            contenders[f"ROOT loops, {n}"] = [options.root, "loop", str(n), "1", *files]
            contenders[f"ROOT RDataFrame, {n}"] = [options.root, "frame", str(n), "1", *files]
    contenders[f"uproot iterate, {threads[-1]}"] = [
        sys.executable,
        f"{HERE}/peers/read_uproot.py",
        "iterate",
        str(threads[-1]),
        "1",
        *files,
    ]
    seconds = {name: [] for name in contenders}
    results = {}
    for _ in range(options.rounds):
        for name, command in contenders.items():
            for line in lines(command):
                if "seconds" in line:
                    seconds[name].append(line["seconds"])
                if "results" in line:
                    results[name] = line["results"]
    ours = results[f"Beamline, {threads[0]}"]
    different = [name for name, found in results.items() if not same(ours, found)]
    print(f"\n{codec}: {sum(os.path.getsize(f) for f in files) / options.events:.0f} bytes an event")
    print(f"  {'contender, threads':32} {'s':>8} {'k events/s':>11} {'of the limit':>13}")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        limit = medians[f"inflating alone, {name.rsplit(' ', 1)[1]}"]
        print(f"  {name:32} {median:8.3f} {options.events / median / 1e3:11.0f} {limit / median:12.0%}")
    last = threads[-1]
    best = {
        peer: min(m for name, m in medians.items() if name.startswith(peer))
        for peer in ("uproot", "ROOT")
        if any(n.startswith(peer) for n in medians)
    }
    for peer, median in best.items():
        print(f"  Beamline on {last} threads is {median / medians[f'Beamline, {last}']:.1f} times {peer}'s best")
    if len(threads) > 1:
        print(
            f"  {last} threads are {medians[f'Beamline, {threads[0]}'] / medians[f'Beamline, {last}']:.2f} times"
            f" {threads[0]}"
        )
    print(
        "  all found the same minima, maxima and multiplicities"
        if not different
        else f"  DIFFERENT RESULTS: {', '.join(different)}"
    )
    if different:
        sys.exit(1)


main()
