"""A coordinator and workers of one measurement: the real processes, on loopback, in a directory of their own."""

import http.client
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time

FINAL = ("done", "failed", "cancelled")


class Training:
    """What a job's course was: `ends`, when the metrics of each epoch arrived (seconds of one clock); `validation`, the
    losses; `status`, the last that the coordinator gave."""

    def __init__(self, ends, status):
        self.ends, self.status = ends, status
        self.validation = [epoch["validation"]["loss"] for epoch in status["metrics"]]
        self.samples = status["metrics"][0]["train"]["events"]


class Cluster:
    """Use it in a `with` statement: what it started ends there, and its directory is removed."""

    def __init__(self, options, workers=1, threads=1):
        self.beamline, self.port = options.beamline, options.port
        self.number, self.threads = workers, threads
        self.readable = [word for folder in options.readable for word in ("--local-files", folder)]
        self.server = f"http://localhost:{self.port}"
        self.processes = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="beamline-train-")
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.connection = http.client.HTTPConnection("localhost", self.port, timeout=60)
        try:
            self.start("coordinator", "--state", f"{self.folder}/state", "--port", str(self.port),
                       "--workers-port", str(self.port + 1))  # fmt: skip
            self.wait_for(lambda: True, "the coordinator")
            self.workers = [
                self.start("worker", "--workers-address", f"localhost:{self.port + 1}", "--name", f"w{index}",
                           "--threads", str(self.threads), *self.readable)  # fmt: skip
                for index in range(self.number)
            ]
            # A worker that joined later would end the round of the others.
            self.wait_for(lambda: len(self.get("/api/v1/workers")) == self.number, f"{self.number} workers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.connection.close()
        self.log.close()
        shutil.rmtree(self.folder)

    def start(self, *arguments):
        process = subprocess.Popen([self.beamline, *arguments], stdout=self.log, stderr=self.log)
        self.processes.append(process)
        return process

    def fail(self, what):
        with open(self.log.name) as log:
            raise SystemExit(f"{what}\n{log.read()[-3000:]}")

    def get(self, path):
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            self.fail(f"GET {path}: {response.status} {body.decode(errors='replace')[:500]}")
        return json.loads(body)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self.processes):
                break
            try:
                self.get("/api/v1/jobs")
                if condition():
                    return
            except (OSError, http.client.HTTPException):
                self.connection.close()
            time.sleep(0.05)
        self.fail(f"{what} did not start")

    def command(self, *arguments):
        done = subprocess.run(
            [self.beamline, *arguments, "--server", self.server], capture_output=True, text=True, timeout=600
        )
        if done.returncode:
            self.fail(f"beamline {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def train(self, job):
        """Submits a job and follows it to its end."""
        path = os.path.join(self.folder, "job.yaml")
        with open(path, "w") as file:
            json.dump(job, file)
        self.job = self.command("submit", path).split()[1]
        ends = []
        while True:
            status = self.get(f"/api/v1/jobs/{self.job}")
            ends += [time.perf_counter()] * (len(status["metrics"]) - len(ends))
            if status["stage"] in FINAL:
                break
            if any(process.poll() is not None for process in self.processes):
                self.fail("a process ended")
            time.sleep(0.01)
        if status["stage"] != "done":
            self.fail(f"the job {status['stage']}: {status.get('error')}")
        return Training(ends, status)

    def samples(self, folder, parts, raw=False):
        """Writes the last job's samples to the directory."""
        arguments = [word for part in parts for word in ("--part", part)]
        self.command("samples", self.job, *arguments, "--output", folder, "--force", *(["--raw"] if raw else []))

    def model(self):
        """The path of the last job's ONNX model, until the cluster ends."""
        self.command("fetch", self.job, "--directory", self.folder)
        with tarfile.open(os.path.join(self.folder, "bundle.tar")) as bundle:
            member = next(one for one in bundle.getmembers() if os.path.basename(one.name) == "model.onnx")
            path = os.path.join(self.folder, "model.onnx")
            with open(path, "wb") as file:
                file.write(bundle.extractfile(member).read())
        return path


def job(datasets, hidden, batch, epochs, dropout=0.5, lanes=8, seed=42, **extra):
    """A job's description: the network with PyTorch's initial distribution and Adam with PyTorch's settings."""
    layers = []
    for units in hidden:
        layers += [{"dense": {"units": units, "activation": "relu", "initializer": "pytorch"}}, {"dropout": dropout}]
    layers.append({"dense": {"units": 1, "activation": "sigmoid", "initializer": "pytorch"}})
    return {
        "name": "bench",
        "datasets": datasets,
        "features": {"normalise": "standard", "padding": 0},
        "train": {
            "lanes": lanes,
            "batch": batch,
            "epochs": epochs,
            "seed": seed,
            "optimizer": {"adam": {"learning_rate": 0.001, "epsilon": 1e-8}},
            "model": layers,
        },
        **extra,
    }


def datasets_of(files, tree="Events"):
    """The datasets of what make_flat.py listed."""
    return [
        {"name": name, "label": label, "tree": tree, "files": [one["path"] for one in files if one["label"] == label]}
        for name, label in (("signal", 1), ("background", 0))
    ]
