"""Sizes of Debian images beside those of others: what mmdebstrap makes, what Distroless lists, and what syft finds in each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from apkiln.core.digest import Digest
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.debian.converting import ImportAccess
from apkiln.debian.importing import download
from apkiln.debian.snapshot import Snapshot
from apkiln.debian.suites import ORIGINS, select_sources
from apkiln.debian.verified_lists import verified_lists
from apkiln.formats.deb.package import DebReader
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.apt import AptArchive
from apkiln.system.apt_sources import machine_sources
from apkiln.system.clock import SystemClock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.files import DiskFiles
from apkiln.system.process import SystemRunner


def layers_of(layout: Path) -> list[Path]:
    """The layers of a one-architecture image, lowest first."""
    blobs = layout / "blobs" / "sha256"
    document = json.loads((layout / "index.json").read_text())
    while "manifests" in document:
        document = json.loads((blobs / document["manifests"][0]["digest"].partition(":")[2]).read_text())
    return [blobs / layer["digest"].partition(":")[2] for layer in document["layers"]]


def unpacked_size(layout: Path) -> int:
    """Bytes of regular files in all layers."""
    return sum(tar_size(layer) for layer in layers_of(layout))


def tar_size(path: Path) -> int:
    with tarfile.open(path, "r|*") as archive:
        return sum(member.size for member in archive if member.isreg())


def mmdebstrap_root(directory: Path, suite: str, packages: list[str]) -> Path | None:
    """The smallest Debian with the packages, as a tar; None without mmdebstrap.  Kept between runs."""
    if not shutil.which("mmdebstrap"):
        return None
    output = directory / "mmdebstrap" / f"{suite}+{'+'.join(packages)}.tar"
    if not output.exists():
        output.parent.mkdir(exist_ok=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", suite, f"{output}.part.tar"]
        sources = Path("/etc/apt/sources.list.d/debian.sources")
        subprocess.run([*command, *([str(sources)] if sources.exists() else [])], stderr=subprocess.DEVNULL, check=True)
        Path(f"{output}.part.tar").rename(output)
    return output


class SuiteFiles:
    """Debian packages of the suite of this machine, as they are, through the cache of the imports."""

    def __init__(self, cache: Path) -> None:
        sources = select_sources(machine_sources(DiskFiles(), Path("/etc/apt")).sources, "")
        self._store = DirectoryStore(cache)
        archive = AptArchive(
            SystemRunner(), DiskFiles(durable=False), self._store, cache / "apt", sources, "amd64", dict(os.environ)
        )
        now = int(SystemClock().now())
        self._access = ImportAccess(archive, self._store, Silent(), canonical_codec(), DEFAULT_LIMITS, 2, now)
        self._snapshot = Snapshot(verified_lists(archive, "amd64", ORIGINS, now, Silent()), "amd64")

    def unpacked_size(self, names: list[str], below: str = "") -> int:
        """Bytes of regular files of the packages below a directory, without their dependencies."""
        packages = [self._snapshot.candidate(name) for name in names]
        known = [package for package in packages if package is not None]
        assert len(known) == len(names), [name for name, package in zip(names, packages, strict=True) if package is None]
        download(known, self._access)
        return sum(self._size(package.sha256, below) for package in known)

    def _size(self, sha256: str, below: str) -> int:
        stream = self._store.open(Digest.sha256(bytes.fromhex(sha256)))
        assert stream is not None
        with stream:
            reader = DebReader(stream, DEFAULT_LIMITS).data()
            total = 0
            for entry in reader:
                total += entry.size if entry.path.startswith(below) else 0
                for _ in reader.content():
                    pass
            return total


def syft_packages(source: str) -> dict[str, str]:
    """Name → version of the Debian packages that syft finds in one of its sources, such as `oci-dir:PATH`."""
    command = ["syft", "scan", source, "-q", "-o", "syft-json"]
    report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {item["name"]: item["version"] for item in report["artifacts"] if item["type"] == "deb"}


def syft_difference(layout: Path, other: Path, scratch: Path) -> tuple[int, list[str]]:
    """How many packages of our image syft finds in the other root as well, in the same version, and a line for each other."""
    _extract(other, scratch)
    found, there = syft_packages(f"oci-dir:{layout}"), syft_packages(f"dir:{scratch}")
    differing = [
        f"{name} {version}, there {there.get(name, 'none')}"
        for name, version in sorted(found.items())
        if there.get(name) != version
    ]
    return len(found) - len(differing), differing


def _extract(path: Path, target: Path) -> None:
    """What scanners read to know packages of a distribution: its name and dpkg's databases."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isreg() and (name.startswith("var/lib/dpkg/") or name in ("usr/lib/os-release", "etc/debian_version")):
                content = archive.extractfile(member)
                assert content is not None
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.read())
    if (target / "usr/lib/os-release").exists():
        (target / "etc").mkdir(exist_ok=True)
        (target / "etc/os-release").write_bytes((target / "usr/lib/os-release").read_bytes())
