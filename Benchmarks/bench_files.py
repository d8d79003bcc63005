#!/usr/bin/env python3
"""Many small files from one site through one worker: files a second, and how the worker's resident memory grows.

    bench_files.py --beamline PROGRAM [--files 20000]

The files are copies of one real tree, each with a UUID of its own. Everything is on loopback and is stopped and removed
at the end.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time

import numpy as np
import uproot

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def make(folder, count):
    """One file by uproot; the others differ in the UUID of their header."""
    first = os.path.join(folder, "f0.root")
    random = np.random.default_rng(1)
    with uproot.recreate(first) as file:
        file["events"] = {f"x{index}": random.normal(0, 1, 500).astype(np.float32) for index in range(20)}
    data = bytearray(open(first, "rb").read())
    with uproot.open(first) as file:
        uuid = file.file.uuid.bytes
    offset = data.index(uuid)
    for number in range(count):
        data[offset : offset + 16] = np.random.default_rng(number).bytes(16)
        with open(os.path.join(folder, f"f{number}.root"), "wb") as file:
            file.write(data)


def memory(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--beamline", required=True)
    parser.add_argument("--files", type=int, default=20_000)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="beamline-files-")
    os.chmod(folder, 0o755)
    store = os.path.join(folder, "site1", "store")
    os.makedirs(store)
    make(store, options.files)
    processes = []
    subprocess.run([os.path.join(HERE, "scripts/test-sites"), "start", folder, "24000"], check=True)
    try:
        logs = open(os.path.join(folder, "log"), "w")
        client = ["--coordinator", "http://localhost:24200"]
        processes.append(
            subprocess.Popen(
                [
                    options.beamline,
                    "coordinator",
                    "--state",
                    f"{folder}/state",
                    "--port",
                    "24200",
                    "--workers-port",
                    "24201",
                ],
                stdout=logs,
                stderr=logs,
            )
        )
        while subprocess.run([options.beamline, "jobs", *client], capture_output=True).returncode != 0:
            time.sleep(0.05)
        worker = subprocess.Popen(
            [options.beamline, "worker", "--coordinator", "localhost:24201", "--name", "w", "--threads", "2"],
            stdout=logs,
            stderr=logs,
        )
        processes.append(worker)
        job = os.path.join(folder, "job.yaml")
        with open(job, "w") as file:
            json.dump(
                {
                    "name": "files",
                    "tree": "events",
                    "datasets": [{"name": "all", "files": "root://localhost:24000//store/"}],
                },
                file,
            )
        started = time.time()
        number = subprocess.run(
            [options.beamline, "submit", job, *client], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        early, most = None, 0
        while True:
            status = json.loads(
                subprocess.run(
                    [options.beamline, "status", number, "--json", *client], capture_output=True, text=True, check=True
                ).stdout
            )
            resident = memory(worker)
            most = max(most, resident)
            if early is None and (
                status["stage"] == "survey"
                and status["tasksDone"] >= 100
                or status["stage"] not in ("queued", "list", "survey")
            ):
                early = resident
                print(f"after {status['tasksDone']} files: {early:.1f} MB", flush=True)
            if status["stage"] in ("done", "failed", "cancelled"):
                break
            time.sleep(0.5)
        seconds = time.time() - started
        stages = {stage["stage"]: round(stage["seconds"], 1) for stage in status["stages"]}
        print(
            f"{status['stage']}: {options.files} files in {seconds:.1f} s; stages {stages}; worker's memory at most"
            f" {most:.1f} MB, {most - early:+.1f} MB since the first hundred",
            status.get("error") or "",
        )
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
        subprocess.run([os.path.join(HERE, "scripts/test-sites"), "stop", folder])
        shutil.rmtree(folder)


main()
