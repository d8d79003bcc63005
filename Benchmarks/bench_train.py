#!/usr/bin/env python3
"""Training beside JAX and PyTorch on the same samples: speed, quality, and how a step's work divides.

Called by `scripts/bench train`. Beamline's side is the real processes on loopback; the peers get the samples that
`beamline samples` writes, so that all see the same normalised values, labels and split. Prints a table, and writes it
and the same as JSON into the work directory.
"""

import argparse
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "training"))

import pairs
import profile_step
import quality
import speed
from peers import Peers


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beamline", required=True, help="the program")
    parser.add_argument("--work", required=True, help="where data and results are kept")
    parser.add_argument("--python", default="", help="interpreters for the peers, separated by colons")
    parser.add_argument("--port", type=int, default=24500, help="the first of four loopback ports")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--only", choices=list(speed.CASES), help="one case instead of all")
    parser.add_argument("--quick", action="store_true", help="few events, one round, two epochs: shows that all works")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quality", action="store_true", help="losses over seeds, and scores beside the class share")
    mode.add_argument("--pairs", metavar="DIR", help="test AUC on the pairs of real files in this directory")
    mode.add_argument("--instructions", action="store_true", help="the shares of one step's work, by perf")
    parser.add_argument("--workers", type=int, default=1, help="of --instructions: one is watched")
    parser.add_argument("--seeds", type=int, default=5, help="of --quality and --pairs")
    parser.add_argument("--peer-threads", type=int, default=1, help="PyTorch's threads in --quality and --pairs")
    parser.add_argument(
        "--higgs",
        nargs=2,
        metavar=("FILE", "TREE"),
        help="for --quality: a file with a label branch; or two trees, signal first, separated by a comma",
    )
    parser.add_argument("--label-branch", default="label", help="the branch of --higgs with the class, 0 or 1")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.epochs, options.seeds = 1, 2, min(options.seeds, 2)
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    return options


def main():
    options = arguments()
    # A signal ends this program as an error does, so that it stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    os.makedirs(options.work, exist_ok=True)
    # What the workers may read.
    given = [options.pairs] if options.pairs else [os.path.dirname(options.higgs[0])] if options.higgs else []
    options.readable = [os.path.abspath(folder) for folder in [options.work, *given]]
    peers = Peers([name for name in options.python.split(":") if name], options.port + 2)
    text = []

    def out(line):
        text.append(line)
        print(line, flush=True)

    if options.quality:
        name, result = "quality", quality.run(options, peers, out)
    elif options.pairs:
        name, result = "pairs", pairs.run(options, peers, out)
    elif options.instructions:
        name, result = "instructions", profile_step.run(options, peers, out)
    else:
        name, result = "speed", speed.run(options, peers, out)
    path = os.path.join(options.work, name)
    with open(f"{path}.txt", "w") as file:
        file.write("\n".join(text) + "\n")
    with open(f"{path}.json", "w") as file:
        json.dump({"options": vars(options), "result": result}, file, indent=1)
    print(f"\nwritten to {path}.txt and {path}.json")


main()
