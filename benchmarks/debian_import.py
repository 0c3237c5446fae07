"""Importing Debian packages: `python -m benchmarks.debian_import [NAME …]` (spec debian.md §12).

Packages a second with every `.deb` at hand and nothing else known, beside one pass of decompressing the same files; then the
whole process for `python3-minimal`: nothing known, and everything known.  The package lists come from the machine's apt sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import resolve_closure
from apkiln.debian.converting import ImportAccess
from apkiln.debian.importing import ImportRequest, download, import_packages
from apkiln.debian.override_file import read_overrides
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

USUAL = ("python3", "nginx", "nodejs")
SMALL = "python3-minimal"
ARCH = Arch.parse("x86_64")
OVERRIDES = Path(__file__).resolve().parent.parent / "src" / "apkiln" / "debian" / "overrides"
APKILN = str(Path(sys.executable).parent / "apkiln")


def access_over(cache: Path, lists: Path) -> ImportAccess:
    sources = select_sources(machine_sources(DiskFiles(), Path("/etc/apt")).sources, "")
    store = DirectoryStore(cache)
    archive = AptArchive(SystemRunner(), DiskFiles(durable=False), store, lists, sources, ARCH.debian, dict(os.environ))
    now = int(SystemClock().now())
    return ImportAccess(archive, store, Silent(), canonical_codec(), DEFAULT_LIMITS, os.cpu_count() or 1, now)


def packages_of(names: tuple[str, ...], access: ImportAccess) -> tuple[BinaryPackage, ...]:
    lists = verified_lists(access.archive, ARCH.debian, ORIGINS, access.now, access.reporter)
    snapshot = Snapshot(lists, ARCH.debian)
    closure = resolve_closure(snapshot, (*names, "base-files"))
    download(closure.packages, access)
    return closure.packages


def only_files(packages: tuple[BinaryPackage, ...], source: ImportAccess, target: ImportAccess) -> None:
    """A store that has the `.deb` files and nothing that was made from them."""
    for package in packages:
        digest = Digest.sha256(bytes.fromhex(package.sha256))
        stream = source.store.open(digest)
        assert stream is not None
        with stream, target.store.writer() as writer:
            shutil.copyfileobj(stream, writer)
            writer.commit(digest)


def decompressed(packages: tuple[BinaryPackage, ...], access: ImportAccess) -> tuple[float, int]:
    """Seconds and bytes of reading every data member once, in one thread."""
    begun, total = time.perf_counter(), 0
    for package in packages:
        stream = access.store.open(Digest.sha256(bytes.fromhex(package.sha256)))
        assert stream is not None
        with stream:
            reader = DebReader(stream, DEFAULT_LIMITS).data()
            for entry in reader:
                total += entry.size
                for _ in reader.content():
                    pass
    return time.perf_counter() - begun, total


def process(place: Path, name: str) -> float:
    """One import by the command, into a repository of its own; seconds."""
    repository = str(place / name)
    common = ["--cache-dir", str(place / "cache"), "-q"]
    if not Path(repository).exists():
        subprocess.run(
            [APKILN, "repo", "init", repository, "--key-name", f"{name}.rsa", *common], check=True, stdout=subprocess.DEVNULL
        )
    key = str(place / "keys" / f"{name}.rsa")
    begun = time.perf_counter()
    command = [APKILN, "deb", "import", SMALL, "--repo", repository, "--key", key, "--prune", "installer", *common]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main(names: tuple[str, ...]) -> int:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        first = access_over(place / "files", place / "lists")
        packages = packages_of(names, first)
        fresh = access_over(place / "fresh", place / "lists")
        only_files(packages, first, fresh)
        limit, size = decompressed(packages, fresh)
        files = [(path.name, path.read_bytes()) for path in sorted(OVERRIDES.glob("*.yaml"))]
        request = ImportRequest(names, ARCH, scripts="report", overrides=read_overrides(files), origins=ORIGINS)
        begun = time.perf_counter()
        result = import_packages(request, (), fresh)
        seconds = time.perf_counter() - begun
        print(f"{len(packages)} packages, {size / 1e6:.0f} MB unpacked, {len(result.converted)} made: {seconds:.2f} s")
        print(
            f"  {len(packages) / seconds:.1f} packages a second, {seconds / limit:.2f} x decompressing them once ({limit:.2f} s)"
        )
        for label, name in (("nothing known", "one"), ("lists and files known, another repository", "two"), ("all known", "two")):
            print(f"{SMALL}, {label}: {process(place, name):.2f} s, whole process")
    return 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or USUAL))
