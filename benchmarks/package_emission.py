"""Emission of a tree of many files, and the analysis of ELF files: `python -m benchmarks.package_emission [--rounds N]`.

The tree (20,000 files, 190 MB, directories of 50) is cut from programs of this machine; it lies in a directory of the disk.
Beside it runs the same work as the standard library does it: `tarfile` with gzip level 6, digests included.  All variants
are measured in turn in one run, so that the load of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import random
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from benchmarks.measuring import Summary, Variant, function, interleaved

from apkiln.core.arch import Arch
from apkiln.formats.deflate.codec import Codec, canonical_codec, local_codec
from apkiln.formats.elf import read_object
from apkiln.package.emission.emitting import EmissionAccess, emit
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.importing.describing import Description, definition_for
from apkiln.package.output_tree import OutputTree
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.spool import MemorySpools
from apkiln.system.tree_reader import read_entries, read_file

FILES, BYTES, PER_DIRECTORY = 20_000, 190 << 20, 50
PROGRAMS = ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")


def programs(limit: int = 600) -> list[bytes]:
    """ELF files of this machine, in the order of their paths."""
    found: list[bytes] = []
    for directory in map(Path, PROGRAMS):
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if len(found) == limit:
                return found
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 8 << 20:
                content = path.read_bytes()
                found += [content] if content.startswith(b"\x7fELF") else []
    return found


def make_tree(root: Path, material: list[bytes]) -> None:
    """The same tree for the same machine."""
    choice = random.Random(1)
    whole = b"".join(material[:100])
    for number in range(FILES):
        size = int(BYTES / FILES * choice.uniform(0.1, 1.9))
        start = choice.randrange(max(1, len(whole) - size))
        path = root / f"usr/share/demo/d{number // PER_DIRECTORY:04}" / f"file-{number:05}.dat"
        if number % PER_DIRECTORY == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"." + whole[start : start + size])


def emitted(root: Path, codec: Codec) -> None:
    """What `package import` does after reading its arguments, with the package left in memory."""
    request = EmissionRequest(definition_for(Description("demo", "1")), Arch.parse("x86_64"))
    tree = OutputTree("demo", read_entries(root), lambda path: read_file(root, path))
    emit(request, [tree], EmissionAccess(MemoryFiles(), PurePosixPath("/out"), MemorySpools(), codec))


def plain(root: Path) -> None:
    """The same data section by the standard library."""
    output = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=output, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for directory, names, files in os.walk(root):
            names.sort()
            for name in sorted(files):
                path = Path(directory, name)
                content = path.read_bytes()
                member = archive.gettarinfo(path, str(path.relative_to(root)))
                member.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(content).hexdigest()}
                archive.addfile(member, io.BytesIO(content))
    hashlib.sha256(output.getvalue()).hexdigest()


def read_only(root: Path) -> None:
    """The physical floor: every file read and hashed once."""
    for entry in read_entries(root):
        if entry.size:
            digest = hashlib.sha1()
            for chunk in read_file(root, entry.path):
                digest.update(chunk)


def elf_seconds(material: list[bytes], rounds: int) -> float:
    """CPU seconds a file, the best round: the cost of the work itself."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for content in material:
            read_object(content)
        best = min(best, (time.process_time() - begin) / len(material))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    arguments = parser.parse_args()
    material = programs()
    elf_rounds = 3 * arguments.rounds
    each = elf_seconds(material, elf_rounds) * 1e6
    print(f"ELF analysis, {len(material)} files: {each:.1f} µs of CPU a file, best of {elf_rounds}")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "root")
        make_tree(root, material)
        work: dict[str, Callable[[], None]] = {
            "read and hash": lambda: read_only(root),
            "emission, local codec": lambda: emitted(root, local_codec()),
            "emission, canonical codec": lambda: emitted(root, canonical_codec()),
            "tarfile and gzip -6": lambda: plain(root),
        }
        variants = [Variant(name, lambda _, task=task: function(task)) for name, task in work.items()]  # type: ignore[misc]
        figures = interleaved(variants, arguments.rounds)
    _show(figures)


def _show(figures: dict[str, Summary]) -> None:
    slow = figures["tarfile and gzip -6"]
    print(f"{FILES} files, {BYTES >> 20} MiB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for name, figure in figures.items():
        spread = f"{figure.shortest:.2f} to {figure.longest:.2f}"
        ratio = f"{slow.wall / figure.wall:.1f} x by the clock, {slow.cpu / figure.cpu:.1f} x in CPU time"
        print(f"{name:<26} {figure.wall:6.2f} s ({spread}), CPU {figure.cpu:6.2f} s   {ratio}")


if __name__ == "__main__":
    main()
