#!/usr/bin/env python3
"""Reading from sites, side by side: a coordinator with one worker, xrdcp to /dev/null, and uproot with fsspec-xrootd,
over links of one delay and bandwidth each; then three sites against one.

    bench_sites.py --beamline PROGRAM --impair PROGRAM --data FOLDER [--delays 0,20,100] [--rates 129,639,0] [--rounds
    N] [--skip-uproot]

All sites are real xrootd servers on loopback; the links are made by our own proxy. A link that has no rate is as fast
as the machine. Beamline's time is that of the job's specs stage, in which all branches are read, inflated and counted;
the opening of the files comes before it and is shown beside it. The link's limit is its bandwidth, or what xrdcp
reaches where that is more or there is no bandwidth set. Everything is stopped at the end.
"""

import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UPROOT = """
import sys, time, uproot
started = time.time()
for url in sys.argv[1:]:
    with uproot.open(url + ":Events") as tree:
        tree.arrays(library="np")
print(time.time() - started)
"""


class Links:
    """A proxy process with one link for each site."""

    def __init__(self, impair, sites, first, delay, rate):
        self.ports = [first + number for number in range(len(sites))]
        settings = f",delay={delay}" + (f",mbit={rate}" if rate else "")
        arguments = [f"{port}={site}{settings}" for port, site in zip(self.ports, sites)]
        self.process = subprocess.Popen([impair, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def bytes(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return sum(int(count) for count in re.findall(r"bytes (\d+)", self.process.stdout.readline()))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Cluster:
    def __init__(self, beamline, folder, port, threads):
        self.beamline, self.rest = beamline, f"http://localhost:{port}"
        logs = open(os.path.join(folder, f"cluster-{port}.log"), "w")
        state = os.path.join(folder, f"state-{port}")
        self.processes = [
            subprocess.Popen(
                [beamline, "coordinator", "--state", state, "--port", str(port), "--workers-port", str(port + 1)],
                stdout=logs,
                stderr=logs,
            )
        ]
        while subprocess.run([beamline, "jobs", "--coordinator", self.rest], capture_output=True).returncode != 0:
            time.sleep(0.05)
        self.processes.append(
            subprocess.Popen(
                [
                    beamline,
                    "worker",
                    "--coordinator",
                    f"localhost:{port + 1}",
                    "--name",
                    "w",
                    "--threads",
                    str(threads),
                ],
                stdout=logs,
                stderr=logs,
            )
        )
        self.folder = folder

    def run(self, urls):
        job = os.path.join(self.folder, "job.yaml")
        with open(job, "w") as file:
            json.dump(
                {
                    "name": "bench",
                    "tree": "Events",
                    "datasets": [{"name": "all", "files": urls}],
                    "chunk": {"events": 25_000},
                },
                file,
            )
        output = subprocess.run(
            [self.beamline, "submit", job, "--wait", "--coordinator", self.rest], capture_output=True, text=True
        )
        assert output.returncode == 0, output.stdout + output.stderr
        number = output.stdout.split()[1]
        status = json.loads(
            subprocess.run(
                [self.beamline, "status", number, "--json", "--coordinator", self.rest],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        stages = {stage["stage"]: stage["seconds"] for stage in status["stages"]}
        return stages["specs"], stages["list"] + stages["survey"]

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def fresh(beamline, folder, ports, threads, urls):
    """One job on a fresh worker: nothing is known of the files, no connection is open."""
    cluster = Cluster(beamline, folder, ports, threads)
    try:
        return cluster.run(urls)
    finally:
        cluster.stop()
        shutil.rmtree(os.path.join(folder, f"state-{ports}"))


def xrdcp(urls):
    started = time.time()
    for url in urls:
        subprocess.run(["xrdcp", "--silent", "--force", url, "/dev/null"], check=True)
    return time.time() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--beamline", required=True)
    parser.add_argument("--impair", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--delays", default="0,20,100")
    parser.add_argument("--rates", default="129,639,0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-uproot", action="store_true")
    options = parser.parse_args()
    delays = [float(text) for text in options.delays.split(",")]
    rates = [float(text) for text in options.rates.split(",")]

    folder = tempfile.mkdtemp(prefix="beamline-bench-")
    os.chmod(folder, 0o755)
    base = 24000
    sites = [base, base + 1, base + 2]
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(options.data, "*.root")))
    for number in range(1, 4):
        store = os.path.join(folder, f"site{number}", "store")
        os.makedirs(store)
        for name in names:
            shutil.copy(os.path.join(options.data, name), store)
    size = sum(os.path.getsize(os.path.join(options.data, name)) for name in names)
    import uproot

    baskets = sum(
        branch.num_baskets and int(sum(branch.member("fBasketBytes")[: branch.num_baskets]))
        for name in names
        for branch in uproot.open(os.path.join(options.data, name))["Events"].branches
    )
    subprocess.run([os.path.join(HERE, "scripts/test-sites"), "start", folder, *map(str, sites)], check=True)
    try:
        table(options, folder, sites, names, delays, rates, size, baskets)
    finally:
        subprocess.run([os.path.join(HERE, "scripts/test-sites"), "stop", folder])
        shutil.rmtree(folder)


def table(options, folder, sites, names, delays, rates, size, baskets):
    python = sys.executable
    print(
        f"{len(names)} files, {size / 1e6:.1f} MB, baskets of all branches {baskets / 1e6:.1f} MB; medians of"
        f" {options.rounds} rounds; MB/s of baskets"
    )
    print(
        f"{'delay':>6} {'link':>9} {'beamline':>9} {'xrdcp':>8} {'of link':>8} {'uproot':>8} {'times':>6}"
        f" {'opening':>8} {'bytes':>6}"
    )
    for rate in rates:
        for delay in delays:
            ours, copies, peers, openings, reads = [], [], [], [], []
            for _ in range(options.rounds):
                links = Links(options.impair, sites[:1], 24100, delay, rate)
                urls = [f"root://localhost:{links.ports[0]}//store/{name}" for name in names]
                before = links.bytes()
                seconds, opening = fresh(options.beamline, folder, 24200, options.threads, urls)
                reads.append((links.bytes() - before) / baskets)
                ours.append(seconds)
                openings.append(opening)
                copies.append(xrdcp(urls))
                if not options.skip_uproot:
                    peers.append(
                        float(
                            subprocess.run(
                                [python, "-c", UPROOT, *urls], capture_output=True, text=True, check=True
                            ).stdout
                        )
                    )
                links.stop()
            mine, copy = baskets / statistics.median(ours) / 1e6, size / statistics.median(copies) / 1e6
            link = max(copy, rate / 8)
            peer = baskets / statistics.median(peers) / 1e6 if peers else float("nan")
            name = f"{rate:.0f} Mbit/s" if rate else "open"
            print(
                f"{delay:>3.0f} ms {name:>10} {mine:>8.1f} {copy:>8.1f} {mine / link:>8.2f} {peer:>8.1f}"
                f" {mine / peer:>6.1f} {statistics.median(openings):>6.2f} s {statistics.median(reads):>6.3f}",
                flush=True,
            )
    times = []
    for count in (1, 3):
        rounds = []
        for _ in range(options.rounds):
            links = Links(options.impair, sites, 24100, 20, 129)
            urls = [
                f"root://localhost:{links.ports[number % count]}//store/{name}" for number, name in enumerate(names)
            ]
            rounds.append(fresh(options.beamline, folder, 24200, options.threads, urls)[0])
            links.stop()
        times.append(statistics.median(rounds))
    print(f"three sites of 129 Mbit/s and 20 ms each, against one: {times[0] / times[1]:.2f} times")


main()
