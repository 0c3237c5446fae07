"""What one serving process answers (at least 5,000 requests a second; 99 % within 50 ms while builds are published).

    python -m benchmarks.repository_serving [PACKAGES [REQUESTS [DIRECTORY]]]

A repository of so many packages and a small one, in a process of `apkiln repo serve`, alone and behind nginx with the site of
`examples/service`, where nginx is installed.  Requests are bounded in number and time and stay on loopback.  The column that a
busy machine does not spoil is the processor time of one answer: 200 µs of it are 5,000 answers a second of one core.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.http_load import Ask, Load, Result, in_process
from benchmarks.repository_service import POLICY, fill
from tests.sample_packages import SamplePackage, sample_package
from tests.service_workshop import ALICE, Places, declared, hex_of, key_change, started

from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.clock import SystemClock
from apkiln.system.database import open_ledgers
from apkiln.system.files import DiskFiles
from apkiln.system.signer import generate_key_pair, write_key_pair

SITE = Path(__file__).resolve().parent.parent / "examples/service/nginx.conf"
SECRET = "secret"
KEY = "os.rsa"
TICKS = os.sysconf("SC_CLK_TCK")
BUILD = 5
"""Packages of one publication."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(home: Path, port: int) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    text = f'listen = "127.0.0.1:{port}"\ndatabase = "sqlite:///ledger.db"\nreconcile_seconds = 3600\n'
    for name in ("os", "small"):
        text += f'[[repository]]\nname = "{name}"\narches = ["x86_64"]\nkeys = ["{KEY}"]\n'
    text += f'[[token]]\nname = "ci"\nsha256 = "{digest}"\nverbs = ["publish"]\n'
    (home / "service.toml").write_text(text)


@contextmanager
def running(command: Sequence[object], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended by its number."""
    process = subprocess.Popen([str(word) for word in command], cwd=home)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def nginx(home: Path, behind: int, port: int) -> Iterator[list[int]]:
    """The shipped site with one worker, and the number of that."""
    (home / "nginx").mkdir()
    site = SITE.read_text().replace("listen 80;", f"listen 127.0.0.1:{port};").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    site = site.replace("/var/cache/nginx/apkiln", f"{home}/nginx/cache")
    places = "".join(f"{kind}_temp_path {home}/nginx/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = f"daemon off; pid {home}/nginx/pid; error_log {home}/nginx/error.log; events {{}} user root; worker_processes 1;"
    (home / "nginx.conf").write_text(f"{text} http {{ access_log off; {places} {site} }}")
    with running([shutil.which("nginx"), "-p", home, "-e", home / "nginx/error.log", "-c", home / "nginx.conf"], home) as process:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield [int(child) for child in children if b"worker process" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(url: str) -> None:
    """Until it answers 200, at most two minutes."""
    for _ in range(1200):
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def used(numbers: Sequence[int]) -> float:
    """Processor seconds of processes."""
    fields = [Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split() for number in numbers]
    return sum(int(item[11]) + int(item[12]) for item in fields) / TICKS


def resident(number: int) -> int:
    """Kilobytes of a process."""
    status = Path(f"/proc/{number}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def call(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {SECRET}", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, dict(answer.headers), answer.read()


def publish(port: int, repository: str, packages: Sequence[SamplePackage]) -> None:
    """Over the interface, as a builder does."""
    api = f"http://127.0.0.1:{port}/{repository}/api/v1"
    kind = {"Content-Type": "application/json"}
    files = [{name: getattr(declared(item), name) for name in declared(item).__struct_fields__} for item in packages]
    opened = json.loads(
        call(f"{api}/tx", "POST", json.dumps({"manifest": {"files": files}, "reason": "load"}).encode(), **kind)[2]
    )
    for package in packages:
        call(f"{api}/blobs/{hex_of(package)}", "PUT", package.data)
    done = json.loads(call(f"{api}/tx/{opened['tx']}/commit", "POST", b"")[2])
    assert done["state"] == "live", done


class Publisher(threading.Thread):
    """Builds of five packages, one after another until it is stopped."""

    def __init__(self, port: int, first: int) -> None:
        super().__init__(daemon=True)
        self._port, self._first, self._stop_it = port, first, threading.Event()
        self.taken: list[float] = []

    def run(self) -> None:
        build = self._first
        while not self._stop_it.is_set():
            packages = [sample_package(f"new-{part}", f"{build}-r0", origin="new") for part in range(BUILD)]
            begin = time.perf_counter()
            publish(self._port, "os", packages)
            self.taken.append(time.perf_counter() - begin)
            build += 1

    def stop(self) -> None:
        self._stop_it.set()
        self.join(120)


def kinds(port: int) -> dict[str, tuple[Ask, ...]]:
    """What is measured, by name."""
    big, small, package = "/os/x86_64/APKINDEX.tar.gz", "/small/x86_64/APKINDEX.tar.gz", "/small/x86_64/tool-0-1-r0.apk"
    known = {path: f"If-None-Match: {call(f'http://127.0.0.1:{port}{path}', 'HEAD')[1]['etag']}\r\n" for path in (big, small)}
    return {
        "HEAD of the large index": (Ask("HEAD", big),),
        "GET of the large index, unchanged": (Ask("GET", big, known[big]),),
        "GET of a small index": (Ask("GET", small),),
        "HEAD of a package": (Ask("HEAD", package),),
        "GET of a package": (Ask("GET", package),),
        "GET of the pointer": (Ask("GET", "/os/current"),),
        "generation.json": (Ask("GET", "/os/generation.json"),),
        "all of them in turn": (
            Ask("HEAD", big), Ask("GET", small, known[small]), Ask("GET", small), Ask("HEAD", package), Ask("GET", package),
            Ask("GET", "/os/generation.json"),
        ),
    }  # fmt: skip


class Bench:
    """One service on loopback, perhaps with nginx in front."""

    def __init__(self, service: int, port: int, front: Sequence[int] = ()) -> None:
        self._service, self._port, self._front = service, port, tuple(front)

    def line(self, name: str, asks: tuple[Ask, ...], count: int, seconds: float = 20.0, rate: int = 0) -> Result:
        """Measure and print."""
        before = used([self._service]), used(self._front) if self._front else 0.0
        found = in_process(Load(self._port, asks, count, seconds, rate=rate))
        own = (used([self._service]) - before[0]) / found.answered * 1e6
        front = (used(self._front) - before[1]) / found.answered * 1e6 if self._front else 0.0
        wrong = {status: number for status, number in found.statuses.items() if status not in ("200", "304")}
        print(
            f"{name:36}{found.answered / found.seconds:9.0f}{own:11.0f}{front:9.0f}{found.p50:9.2f}{found.p99:9.2f}"
            f"{found.longest:9.1f}{found.slow:7}{f'  {wrong}' if wrong else ''}"
        )
        return found


HEADER = f"{'':36}{'a second':>9}{'µs service':>11}{'µs nginx':>9}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}{'>50ms':>7}"


def filled(home: Path, count: int) -> None:
    """A ledger, blobs and a key; what is there from an earlier run is taken as it is."""
    if (home / "filled").exists():
        return
    blobs = DirectoryBlobs(home / "blobs", DiskFiles(durable=False))
    where = Places(open_ledgers(f"sqlite:///{home}/ledger.db"), blobs, SystemClock())  # type: ignore[arg-type]
    pair = generate_key_pair(f"{KEY}.pub", 2048)
    write_key_pair(pair, home / KEY, home / f"{KEY}.pub", DiskFiles())
    service = started(where, POLICY, [pair.signer])
    service.create(ALICE, ["x86_64"], [key_change(pair.signer, "active")])
    fill(where, count, service)
    (home / "filled").write_text(f"{count}\n")


def main(count: int, each: int, kept: Path | None) -> None:
    """A line for each figure; `kept`: a directory that is filled once."""
    with tempfile.TemporaryDirectory() as directory:
        home = kept or Path(directory)
        home.mkdir(exist_ok=True)
        filled(home, count)
        port = free_port()
        configuration(home, port)
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", "serve", "--config", home / "service.toml"]
        with running(command, home) as process:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            for part in range(10):
                publish(port, "small", [sample_package(f"tool-{part * 20 + item}", "1-r0") for item in range(20)])
            measure(process.pid, port, Path(directory), count, each)


def measure(service: int, port: int, work: Path, count: int, each: int) -> None:
    """The tables."""
    alone = Bench(service, port)
    mixed = kinds(port)["all of them in turn"]
    print(f"{count} packages; the service alone\n{HEADER}")
    for name, asks in kinds(port).items():
        alone.line(name, asks, each)
    if shutil.which("nginx"):
        site = free_port()
        with nginx(work, port, site) as front:
            print(f"behind nginx\n{HEADER}")
            behind = Bench(service, site, front)
            for name, asks in kinds(port).items():
                behind.line(name, asks, each)
            loaded(behind, port, "behind nginx", mixed)
    loaded(alone, port, "alone", mixed)
    soak(alone, service, mixed, each)


BUILDS = iter(range(int(time.time() * 100), 1 << 50, 1_000_000))


def loaded(bench: Bench, port: int, where: str, asks: tuple[Ask, ...]) -> None:
    """While builds are published all the time."""
    publisher = Publisher(port, next(BUILDS))
    publisher.start()
    print(f"while five packages are published again and again, {where}\n{HEADER}")
    try:
        bench.line("1,000 a second", asks, 20_000, rate=1000)
        bench.line("as many as it answers", asks, 50_000)
    finally:
        publisher.stop()
    taken = sorted(publisher.taken)
    print(f"{len(taken)} publications meanwhile, p50 {statistics.median(taken):.3f} s, longest {taken[-1]:.3f} s")


def soak(bench: Bench, number: int, asks: tuple[Ask, ...], each: int) -> None:
    """Memory of the service over a bounded number of requests."""
    print(f"soak\n{HEADER}")
    seen = []
    for part in range(8):
        bench.line(f"part {part + 1}", asks, each)
        seen.append(resident(number) // 1000)
    print(f"resident after each part, MB: {' '.join(map(str, seen))}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 100_000, int(given[1]) if given[1:] else 20_000, Path(given[2]) if given[2:] else None)
