"""Trees that the peer wrote as minirootfs and cpio, written again: the same paths, types, modes and sizes.

Left out, as in images: what only we write, the size of files whose text differs on purpose, owners and special bits of
directories, which the peer loses.  The peer's minirootfs is an uncompressed tar under any name; ours is what its name says.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.suites.commands import run_command

from apkiln.formats.archive.cpio import CpioReader
from apkiln.formats.archive.entry import EntryType

_OURS = ("etc/apkiln", "var/lib", "var/lib/db", "var/lib/db/sbom")
_OTHER_TEXT = ("etc/apko.json", "etc/apk/world", "usr/lib/apk/db/")
_LETTERS = {"-": EntryType.FILE, "d": EntryType.DIRECTORY, "l": EntryType.SYMLINK, "c": EntryType.CHARACTER}


class Row(NamedTuple):
    """A path of a listing."""

    type: EntryType
    mode: int
    size: int
    device: tuple[int, int]
    target: str


def compare_exports(folder: Path, case: dict[str, Any], temporary: Path) -> Iterator[tuple[str, list[str]]]:
    """(name, faults) of each recorded export of a case."""
    expect = folder / "cases" / case["name"] / "expect"
    if (expect / "minirootfs.json").exists():
        yield "minirootfs", [*_minirootfs(folder, case, temporary, json.loads((expect / "minirootfs.json").read_text()))]
    if (expect / "cpio.json").exists():
        yield "cpio", [*_cpio(folder, case, temporary, json.loads((expect / "cpio.json").read_text()))]


def _minirootfs(folder: Path, case: dict[str, Any], temporary: Path, recorded: dict[str, Any]) -> Iterator[str]:
    content = yield from _exported(folder, case, temporary, "build-minirootfs", "tar.gz", recorded["rc"])
    if content is None:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            names = archive.getnames()
    except (OSError, tarfile.TarError) as fault:
        yield f"not a tar.gz: {fault}"
        return
    yield from _paths(set(names), set(recorded["paths"]))


def _cpio(folder: Path, case: dict[str, Any], temporary: Path, recorded: dict[str, Any]) -> Iterator[str]:
    content = yield from _exported(folder, case, temporary, "build-cpio", "cpio", recorded["rc"])
    if content is None:
        return
    found = {
        member.entry.path: Row(member.entry.type, member.entry.mode, member.entry.size, member.entry.device, member.entry.target)
        for member in CpioReader(io.BytesIO(content).read)
    }
    theirs = dict(_listed(recorded["listing"]))
    theirs.pop(".", None)
    yield from _paths(set(found), set(theirs))
    for path, row in theirs.items():
        if path in found and not _equal(path, found[path], row):
            yield f"{path} is {found[path]}, not {row}"


def _equal(path: str, ours: Row, theirs: Row) -> bool:
    special = 0o7000 if ours.type is EntryType.DIRECTORY else 0
    if path.startswith(_OTHER_TEXT) or ours.type is not EntryType.FILE:
        ours, theirs = ours._replace(size=0), theirs._replace(size=0)
    return ours._replace(mode=ours.mode & ~special) == theirs._replace(mode=theirs.mode & ~special)


def _exported(
    folder: Path, case: dict[str, Any], temporary: Path, verb: str, suffix: str, code: int
) -> Generator[str, None, bytes | None]:
    """The bytes of an export; a fault is yielded when the command ends otherwise than recorded."""
    place = temporary / f"{case['name']}.{suffix}"
    words = ["apko", verb, case["config"], str(place), "--build-arch", "x86_64", "--cache-dir", str(temporary / "cache")]
    answer = run_command(words, folder, case["env"])
    if answer.code != code:
        yield f"exit code {answer.code}, not {code}: {answer.first_error}"
    return place.read_bytes() if place.exists() else None


def _paths(ours: set[str], theirs: set[str]) -> Iterator[str]:
    if theirs - ours:
        yield f"missing: {', '.join(sorted(theirs - ours))}"
    more = {path for path in ours - theirs if path not in _OURS and not path.startswith(tuple(f"{name}/" for name in _OURS))}
    if more:
        yield f"too much: {', '.join(sorted(more))}"


def _listed(lines: list[str]) -> Iterator[tuple[str, Row]]:
    """Rows of `cpio --list --verbose`."""
    for line in filter(None, lines):
        bits, _, _, _, rest = line.split(maxsplit=4)
        device = (0, 0)
        first, _, rest = rest.partition(" ")
        if first.endswith(","):
            second, _, rest = rest.strip().partition(" ")
            device = (int(first[:-1]), int(second))
        path, _, target = rest.split(maxsplit=3)[3].partition(" -> ")
        yield path, Row(_LETTERS[bits[0]], _mode(bits[1:]), 0 if device != (0, 0) else int(first), device, target)


def _mode(text: str) -> int:
    mode = sum(1 << (8 - position) for position, letter in enumerate(text) if letter in "rwxst")
    return mode | sum(bit for letter, bit in zip(text[2::3], (0o4000, 0o2000, 0o1000), strict=True) if letter in "sStT")
