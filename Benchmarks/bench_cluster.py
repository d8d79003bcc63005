"""How much one coordinator does: durable receipts a second through its real ledger and gRPC, the time until a grant,
and its machines alone.

The workers are `cluster-benchmark`'s, which compute nothing; coordinator, ledger and network are the real ones, all on
this machine.
"""

import argparse
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time


class Coordinator:
    def __init__(self, beamline, folder):
        self.beamline, self.folder = beamline, folder
        self.client = ["--coordinator", "http://localhost:24300"]
        self.log = open(os.path.join(folder, "log"), "w")
        self.process = subprocess.Popen(
            [beamline, "coordinator", "--state", f"{folder}/state", "--port", "24300", "--workers-port", "24301"],
            stdout=self.log,
            stderr=self.log,
        )
        while subprocess.run([beamline, "jobs", *self.client], capture_output=True).returncode != 0:
            if self.process.poll() is not None:
                raise SystemExit(f"the coordinator ended: {open(self.log.name).read()[-2000:]}")
            time.sleep(0.05)

    def submit(self, **extra):
        path = os.path.join(self.folder, "job.yaml")
        with open(path, "w") as file:
            json.dump(
                {
                    "name": "bench",
                    "tree": "t",
                    "datasets": [{"name": "all", "files": "root://bench//"}],
                    "chunk": {"events": 1000},
                    **extra,
                },
                file,
            )
        return subprocess.run(
            [self.beamline, "submit", path, *self.client], capture_output=True, text=True, check=True
        ).stdout.split()[1]

    def status(self, job):
        return json.loads(
            subprocess.run(
                [self.beamline, "status", job, "--json", *self.client], capture_output=True, text=True, check=True
            ).stdout
        )

    def wait(self, job):
        while (status := self.status(job))["stage"] not in ("done", "failed", "cancelled"):
            time.sleep(0.2)
        return status

    def resources(self):
        """Seconds of CPU so far, and resident MB."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{self.process.pid}/status") as file:
            resident = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), resident

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def receipts(options, workers, branches, tasks):
    coordinator = Coordinator(options.beamline, tempfile.mkdtemp(prefix="beamline-cluster-"))
    files = max(1, options.receipts // 2000)
    load = subprocess.Popen(
        [options.ours, "work", "24301", str(workers), str(files), "2000", str(branches), str(tasks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if load.stderr.readline() != "joined\n":
            raise SystemExit(load.stderr.read())
        job = coordinator.submit()
        cpu = coordinator.resources()[0]
        line = json.loads(load.communicate()[0])
        status = coordinator.wait(job)
        used, resident = coordinator.resources()
        counted = subprocess.run(
            [options.beamline, "ledger", "check", "--state", f"{coordinator.folder}/state"],
            capture_output=True,
            text=True,
        ).stdout
        whole = "the ledger is whole" in counted and f"{files * 2000 * 1000} entries" in counted
        print(
            f"{workers:5} workers, {branches:3} branches: {line['receiptsPerSecond']:9,.0f} receipts/s"
            f" ({line['receipts']:,} in {line['seconds']:.1f} s; coordinator {used - cpu:.1f} s of CPU, {resident:.0f}"
            f" MB); {status['stage']}, ledger {'whole' if whole else 'NOT WHOLE: ' + counted}",
            flush=True,
        )
    finally:
        load.kill()
        coordinator.stop()


def grants(options, idle, number):
    coordinator = Coordinator(options.beamline, tempfile.mkdtemp(prefix="beamline-cluster-"))
    load = subprocess.Popen(
        [options.ours, "grants", "24301", str(idle), str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if load.stderr.readline() != "joined\n":
            raise SystemExit(load.stderr.read())
        coordinator.submit(workers={"most": 1})
        line = json.loads(load.communicate()[0])
        print(
            f"{idle:5} idle workers: a grant takes {1000 * line['median']:.2f} ms (median), {1000 * line['p99']:.2f} ms"
            f" (p99), {1000 * line['most']:.2f} ms (most of {line['grants']}); coordinator"
            f" {coordinator.resources()[1]:.0f} MB",
            flush=True,
        )
    finally:
        load.kill()
        coordinator.stop()


class Pollers:
    """Clients that ask for jobs, a job's status and its specs in turn, each every 0.3 s as `status --watch` does."""

    def __init__(self, number, job):
        self.paths = {"jobs": "/api/v1/jobs", "status": f"/api/v1/jobs/{job}", "specs": f"/api/v1/jobs/{job}/specs"}
        self.seconds = {name: [] for name in self.paths}
        self.failures = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.poll, args=(index,)) for index in range(number)]
        for thread in self.threads:
            thread.start()

    def poll(self, index):
        names = list(self.paths)
        connection = http.client.HTTPConnection("localhost", 24300, timeout=300)
        turn = index
        while not self.stopping.wait(0.3):
            name = names[turn % 3]
            turn += 1
            start = time.monotonic()
            try:
                connection.request("GET", self.paths[name])
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.seconds[name].append(time.monotonic() - start)
                else:
                    self.failures += 1
            except OSError:
                self.failures += 1
                connection.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return ", ".join(
            f"{name} {len(times)} answers, {1000 * sorted(times)[len(times) // 2]:.0f} ms (median)"
            if times
            else f"{name} no answer"
            for name, times in self.seconds.items()
        ) + f"; {self.failures} others"


def polled(options, pollers):
    coordinator = Coordinator(options.beamline, tempfile.mkdtemp(prefix="beamline-cluster-"))
    blocks = max(1, options.polled_receipts // options.files)
    load = subprocess.Popen(
        [options.ours, "polled", "24301", "10", str(options.files), str(blocks), "8", str(options.polled_tasks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    clients = None
    try:
        if load.stderr.readline() != "joined\n":
            raise SystemExit(load.stderr.read())
        job = coordinator.submit()
        if load.stderr.readline() != "chunks\n":
            raise SystemExit(load.stderr.read())
        clients = Pollers(pollers, job)
        line = json.loads(load.communicate()[0])
        answers = clients.stop()
        status = coordinator.wait(job)
        print(
            f"{pollers:5} pollers: {line['receiptsPerSecond']:9,.0f} receipts/s"
            f" ({line['receipts']:,} in {line['seconds']:.1f} s); a grant takes {1000 * line['median']:.2f} ms"
            f" (median), {1000 * line['p99']:.2f} ms (p99 of {line['grants']}); {status['stage']}",
            flush=True,
        )
        if pollers:
            print(f"      {answers}", flush=True)
        return line
    finally:
        if clients:
            clients.stop()
        load.kill()
        coordinator.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--beamline", required=True)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--receipts", type=int, default=400_000)
    parser.add_argument("--workers", default="1,10,100")
    parser.add_argument("--idle", default="0,1000")
    parser.add_argument("--grants", type=int, default=1000)
    parser.add_argument("--machines", default="100x100000,1000x1000000,1000x10000000,10000x1000000,10000x10000000")
    parser.add_argument("--pollers", default="20", help="clients that ask while receipts flow; empty to leave this out")
    parser.add_argument("--files", type=int, default=20_000, help="files of the job that they ask for")
    parser.add_argument(
        "--polled-tasks", type=int, default=8, help="tasks that each of the ten workers holds while clients ask"
    )
    parser.add_argument("--polled-receipts", type=int, default=400_000)
    options = parser.parse_args()
    numbers = lambda text: [int(word) for word in text.split(",") if word]
    for pollers in numbers(options.pollers):
        print(
            f"durable receipts of a job with {options.files:,} files, without and with clients that poll jobs, status"
            " and specs"
        )
        alone, together = polled(options, 0), polled(options, pollers)
        change = 100 * together["receiptsPerSecond"] / alone["receiptsPerSecond"] - 100
        print(f"      with pollers: {change:+.1f} % receipts/s", flush=True)
    print("durable receipts through gRPC and the ledger")
    for workers in numbers(options.workers):
        receipts(options, workers, 8, 4096 // workers)
    if options.workers:
        receipts(options, numbers(options.workers)[-1], 74, 4096 // numbers(options.workers)[-1])
    print("from a receipt to the next grant, one task after another")
    for idle in numbers(options.idle):
        grants(options, idle, options.grants)
    print("the machines alone")
    for size in options.machines.split(","):
        if size:
            print(
                subprocess.run(
                    [options.ours, "machines", *size.split("x")], capture_output=True, text=True, check=True
                ).stdout.strip(),
                flush=True,
            )


main()
