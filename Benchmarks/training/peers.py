"""Runs the peers: each in the first of the given interpreters that has its framework."""

import json
import os
import shutil
import subprocess
import sys

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")


class Peers:
    """`interpreters` are paths or names of Python programs; a framework that none of them has is absent."""

    def __init__(self, interpreters, port):
        self.port = port
        found = [shutil.which(name) for name in interpreters]
        self.interpreters = [path for path in dict.fromkeys(found + [sys.executable]) if path]
        self.known = {}

    def interpreter(self, module):
        """The interpreter that can import the module, or None where there is none."""
        if module not in self.known:
            self.known[module] = next(
                (
                    path
                    for path in self.interpreters
                    if subprocess.run([path, "-c", f"import numpy, {module}"], capture_output=True).returncode == 0
                ),
                None,
            )
        return self.known[module]

    def has(self, module):
        return self.interpreter(module) is not None

    def run(self, module, script, *arguments, threads=1):
        """The line of JSON that the script prints."""
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(threads)
        command = [self.interpreter(module), os.path.join(FOLDER, script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=7200)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
        return json.loads(lines[-1])

    def train(self, framework, samples, hidden, batch, epochs, seed, threads=1, variant=None, dropout=0.5, extra=()):
        """One training by `torch` or `jax` on the samples of a directory."""
        arguments = [samples, "--hidden", ",".join(map(str, hidden)), "--batch", batch, "--epochs", epochs]
        arguments += ["--seed", seed, "--threads", threads, "--dropout", dropout, "--port", self.port]
        if variant:
            arguments += ["--variant", variant]
        return self.run(framework, f"train_{framework}.py", *arguments, *extra, threads=threads)


def make_flat(peers, folder, *arguments):
    """The list of files of a flat data set, which is made once."""
    listing = os.path.join(folder, "files.json")
    if not os.path.exists(listing):
        if not peers.has("uproot"):
            raise SystemExit("making the data needs a Python with uproot; name one in BEAMLINE_BENCH_PYTHON")
        script = os.path.join(FOLDER, "make_flat.py")
        subprocess.run([peers.interpreter("uproot"), script, folder, *map(str, arguments)], check=True)
    with open(listing) as file:
        return json.load(file)["files"]
