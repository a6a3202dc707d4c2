"""A running `hairpin run` in a folder of its own, watched from outside as systemd and an operator would."""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HAIRPIN = ROOT / "target/release/hairpin"
BUNDLE = Path(os.environ.get("HAIRPIN_BENCH_BUNDLE", ROOT / "models/densenet121-synth-0.1.0")).resolve()
LIBRARY = Path(os.environ.get("HAIRPIN_ORT", ROOT / "lib/libonnxruntime.so.1.32.0")).resolve()
MOST_START_S = 60
UNAVAILABLE = 69
MOST_ASKED = 5
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

CONFIG = """
{source}
[model]
bundle = "{bundle}"
[runtime]
library = "{library}"
threads = {threads}
[record]
folder = "exams"
[emit]
stream = {{ path = "stream.sock" }}
control = {{ path = "control.sock" }}
http = "127.0.0.1:{port}"
{page}
[log]
level = "warn"
"""

SIMULATED = '[source]\nkind = "simulated"'


class Service:
    """Started and ready; ended when the `with` block is left."""

    def __init__(self, source=SIMULATED, threads=1, page=False):
        self.folder = tempfile.TemporaryDirectory(prefix="hairpin-bench-")
        self.path = Path(self.folder.name)
        self.port = free_port()
        config = self.path / "hairpin.toml"
        config.write_text(
            CONFIG.format(
                source=source, bundle=BUNDLE, library=LIBRARY, threads=threads, port=self.port,
                page="[emit.page]" if page else "",
            )
        )
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(self.path / "notify.sock"))
        self.told.settimeout(1)
        env = dict(os.environ, NOTIFY_SOCKET=str(self.path / "notify.sock"))
        start = time.perf_counter()
        self.child = subprocess.Popen([HAIRPIN, "run", "--config", config], cwd=self.path, env=env)
        self.wait_ready(start + MOST_START_S)
        self.ready_s = time.perf_counter() - start

    def wait_ready(self, deadline):
        while True:
            try:
                if b"READY=1" in self.told.recv(4096):
                    return
            except TimeoutError:
                if self.child.poll() is not None:
                    raise SystemExit(f"hairpin run ended with status {self.child.returncode}") from None
                if time.perf_counter() > deadline:
                    self.child.kill()
                    raise SystemExit(f"hairpin run was not ready within {MOST_START_S} s") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.told.close()
        self.folder.cleanup()

    def end(self):
        """Asks for the end and returns the exit status."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def proc(self, name):
        return Path(f"/proc/{self.child.pid}/{name}").read_text()

    def memory_mb(self, field="VmRSS"):
        """In millions of bytes, of the field of /proc/PID/status."""
        return int(re.search(rf"^{field}:\s+(\d+) kB", self.proc("status"), re.M).group(1)) * 1024 / 1e6

    def threads(self):
        return int(re.search(r"^Threads:\s+(\d+)", self.proc("status"), re.M).group(1))

    def files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def cpu_s(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def cpu_share(self, seconds):
        """Share of one core over so many seconds."""
        before, start = self.cpu_s(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_s() - before) / (time.monotonic() - start)

    def exam(self, *words):
        """`hairpin exam ...`; a refusal ends the measurement. On a machine that is too busy the service may not get to it
        in time and says so (69); then it is asked again."""
        command = [HAIRPIN, "exam", "--socket", self.path / "control.sock", *words]
        for _ in range(MOST_ASKED):
            done = subprocess.run(command, stdout=subprocess.DEVNULL)
            if done.returncode != UNAVAILABLE:
                break
        done.check_returncode()

    def metrics(self):
        """Every sample of /metrics, by name with its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def slope(points):
    """By how much y rises for each step of x: the median over all pairs of points (Theil and Sen), since the simulated
    microscope takes some megabytes for the seconds in which it draws a field."""
    pairs = ((b, a) for i, b in enumerate(points) for a in points[:i])
    rises = [(b[1] - a[1]) / (b[0] - a[0]) for b, a in pairs]
    return statistics.median(rises) if rises else float("nan")


class Table:
    """Figures as they are had, printed with their verdict."""

    def __init__(self):
        self.rows = []

    def add(self, what, figure, unit, limit=None):
        met = None if limit is None else figure <= limit
        self.rows.append({"what": what, "figure": figure, "unit": unit, "target": limit and f"<= {limit}", "met": met})
        verdict = {None: "", True: "met", False: "MISSED"}[met]
        print(f"{what:<62} {figure:9.3f} {unit:<9} {f'<= {limit}' if limit else '':<9} {verdict}", flush=True)


def keep(name, rows):
    """Writes the rows beside those of the other benches."""
    folder = ROOT / "target/bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n")
