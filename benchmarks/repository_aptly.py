"""The same in aptly, where it is installed: `python -m benchmarks.repository_aptly [PACKAGES]`.

A local repository of so many small Debian packages, published unsigned; then builds of five packages are added and
published.  Compare with `benchmarks.repository_service` on the same machine.
"""

from __future__ import annotations

import io
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

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


def main(count: int) -> int:
    """One line for each figure."""
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
        sys.stdout.write(f"add {count} packages at once          {time.perf_counter() - begin:8.3f} s\n")
        aptly.run("publish", "repo", "-skip-signing", "-skip-contents", "os")
        taken = []
        for build in range(BUILDS):
            new = home / f"build-{build}"
            new.mkdir()
            for part in range(5):
                (new / f"new-{part}_1.{build}_amd64.deb").write_bytes(deb(f"new-{part}", f"1.{build}"))
            begin = time.perf_counter()
            aptly.run("repo", "add", "os", str(new))
            aptly.run("publish", "update", "-skip-signing", "-skip-contents", "stable")
            taken.append(time.perf_counter() - begin)
        taken.sort()
        sys.stdout.write(f"publish 5 packages, p50               {statistics.median(taken):8.3f} s\n")
        sys.stdout.write(f"publish 5 packages, p95               {taken[int(len(taken) * 0.95)]:8.3f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
