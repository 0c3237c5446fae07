"""Publishing beside aptly, where it is installed: `python -m benchmarks.repository_aptly [PACKAGES]`.

Both have so many small packages: aptly a local repository of Debian packages, published unsigned; ours is signed, verified,
judged and read back.  Then builds of five packages are published, one by the one, one by the other.
"""

from __future__ import annotations

import io
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.repository_service import POLICY, fill
from tests.sample_packages import sample_package
from tests.service_workshop import Places, publish, started

from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.clock import SystemClock
from apkiln.system.database import open_ledgers
from apkiln.system.files import DiskFiles

BUILDS = 20


def deb(name: str, version: str) -> bytes:
    """A package of one small file."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: M <m@example.com>\nDescription: {name}\n"
    members = [("debian-binary", b"2.0\n"), ("control.tar", _tar("./control", control.encode()))]
    members.append(("data.tar", _tar(f"./usr/share/{name}", name.encode())))
    written = b"!<arch>\n"
    for member, data in members:
        written += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return written


def _tar(path: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


class Aptly:
    """A state of its own."""

    def __init__(self, home: Path) -> None:
        self._configuration = home / "aptly.conf"
        self._configuration.write_text(json.dumps({"rootDir": str(home / "aptly"), "architectures": ["amd64"]}))

    def run(self, *arguments: str) -> None:
        command = ["aptly", f"-config={self._configuration}", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def ours(home: Path, count: int) -> RepositoryService:
    """A repository service on SQLite and a directory that forces what it writes to the disk, with as many packages."""

    def places(durable: bool) -> Places:
        blobs = DirectoryBlobs(home / "blobs", DiskFiles(durable=durable))
        return Places(open_ledgers(f"sqlite:///{home}/ledger.db"), blobs, SystemClock())  # type: ignore[arg-type]

    fill(places(durable=False), count)
    service = started(places(durable=True), POLICY)
    service.warm()
    return service


def main(count: int) -> int:
    """One line for each figure; the two take turns, so that a change of the machine's load meets both."""
    if shutil.which("aptly") is None:
        sys.stdout.write("aptly is not installed\n")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        aptly = Aptly(home)
        (home / "in").mkdir()
        for number in range(count):
            (home / "in" / f"package-{number:06d}_1.0_amd64.deb").write_bytes(deb(f"package-{number:06d}", "1.0"))
        begin = time.perf_counter()
        aptly.run("repo", "create", "-distribution=stable", "-component=main", "os")
        aptly.run("repo", "add", "os", str(home / "in"))
        sys.stdout.write(f"aptly adds {count} packages at once    {time.perf_counter() - begin:8.3f} s\n")
        aptly.run("publish", "repo", "-skip-signing", "-skip-contents", "os")
        service = ours(home, count)
        theirs, own = list[Taken](), list[Taken]()
        for build in range(BUILDS):
            theirs.append(_by_aptly(aptly, home / f"build-{build}", build))
            own.append(_by_us(service, build))
    for name, taken in (("aptly", theirs), ("apkiln", own)):
        walls, used = sorted(item.wall for item in taken), statistics.median(item.cpu for item in taken)
        p50, p95 = statistics.median(walls), walls[int(len(walls) * 0.95)]
        sys.stdout.write(f"{name:8} publishes 5 packages: p50 {p50:7.3f} s, p95 {p95:7.3f} s, processor {used:7.3f} s\n")
    ratio = statistics.median(them.wall / us.wall for them, us in zip(theirs, own, strict=True))
    sys.stdout.write(f"aptly takes {ratio:.1f} times as long (median of {BUILDS} pairs, {count} packages)\n")
    return 0


class Taken(NamedTuple):
    """Seconds of one publication."""

    wall: float
    cpu: float


def _by_aptly(aptly: Aptly, new: Path, build: int) -> Taken:
    new.mkdir()
    for part in range(5):
        (new / f"new-{part}_1.{build}_amd64.deb").write_bytes(deb(f"new-{part}", f"1.{build}"))
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    aptly.run("repo", "add", "os", str(new))
    aptly.run("publish", "update", "-skip-signing", "-skip-contents", "stable")
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _by_us(service: RepositoryService, build: int) -> Taken:
    packages = [sample_package(f"new-{part}", f"{build + 1}-r0", origin="new") for part in range(5)]
    used, begin = time.process_time(), time.perf_counter()
    done = publish(service, *packages)
    taken = Taken(time.perf_counter() - begin, time.process_time() - used)
    assert done.step.value == "live", done.findings
    return taken


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
