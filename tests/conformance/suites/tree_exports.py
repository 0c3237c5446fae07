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

from tests.conformance.scoring import Difference
from tests.conformance.suites.commands import run_judged
from tests.conformance.suites.peer_ways import Recording

from apkiln.formats.archive.cpio import CpioReader
from apkiln.formats.archive.entry import EntryType

_OURS = ("etc/apkiln", "var/lib", "var/lib/db", "var/lib/db/sbom")
_OTHER_TEXT = ("etc/apko.json", "etc/apk/world", "etc/ld.so.cache", "usr/lib/apk/db/")
_LETTERS = {"-": EntryType.FILE, "d": EntryType.DIRECTORY, "l": EntryType.SYMLINK, "c": EntryType.CHARACTER}


class Row(NamedTuple):
    """A path of a listing."""

    type: EntryType
    mode: int
    size: int
    device: tuple[int, int]
    target: str


def compare_exports(recording: Recording, temporary: Path) -> Iterator[tuple[str, list[Difference]]]:
    """(name, differences) of each recorded export of a case."""
    for name, compare in (("minirootfs", _minirootfs), ("cpio", _cpio)):
        path = recording.expect / f"{name}.json"
        if path.exists():
            yield name, [*compare(recording, temporary, json.loads(path.read_text()))]


def _minirootfs(recording: Recording, temporary: Path, recorded: dict[str, Any]) -> Iterator[Difference]:
    content = yield from _exported(recording, temporary, "build-minirootfs", "tar.gz", recorded["rc"])
    if content is None:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            names = archive.getnames()
    except (OSError, tarfile.TarError) as fault:
        yield Difference(f"not a tar.gz: {fault}")
        return
    yield from _paths(recording, set(names), set(recorded["paths"]))


def _cpio(recording: Recording, temporary: Path, recorded: dict[str, Any]) -> Iterator[Difference]:
    content = yield from _exported(recording, temporary, "build-cpio", "cpio", recorded["rc"])
    if content is None:
        return
    found = {
        member.entry.path: Row(member.entry.type, member.entry.mode, member.entry.size, member.entry.device, member.entry.target)
        for member in CpioReader(io.BytesIO(content).read)
    }
    theirs = dict(_listed(recorded["listing"]))
    theirs.pop(".", None)
    yield from _paths(recording, set(found), set(theirs))
    linked = _hard_links(recording)
    for path, row in theirs.items():
        if path not in found or _equal(path, found[path], row):
            continue
        if path in linked and not found[path].size and _equal(path, found[path]._replace(size=row.size), row):
            continue  # the content stands with the last of the names; the peer writes copies
        cause = recording.of_entry(path, _entry(found[path]), _entry(row), "")
        yield Difference(f"{path} is {found[path]}, not {row}", cause)


def _entry(row: Row) -> dict[str, Any]:
    """The row as a listing of a layer has it."""
    return {"type": row.type.name.lower(), "mode": f"{row.mode:04o}", "linkname": row.target}


def _hard_links(recording: Recording) -> set[str]:
    """Paths with a further name, by packages or by the definition."""
    found: set[str] = set()
    for entries in recording.packages.values():
        found |= {path for entry in entries if entry["type"] == "hardlink" for path in (entry["path"], entry["linkname"])}
    for entry in recording.definition.get("paths") or ():
        if entry.get("type") == "hardlink":
            found |= {str(entry.get(key, "")).strip("/") for key in ("path", "source")}
    return found


def _equal(path: str, ours: Row, theirs: Row) -> bool:
    special = 0o7000 if ours.type is EntryType.DIRECTORY else 0
    if path.startswith(_OTHER_TEXT) or ours.type is not EntryType.FILE:
        ours, theirs = ours._replace(size=0), theirs._replace(size=0)
    return ours._replace(mode=ours.mode & ~special) == theirs._replace(mode=theirs.mode & ~special)


def _exported(
    recording: Recording, temporary: Path, verb: str, suffix: str, code: int
) -> Generator[Difference, None, bytes | None]:
    """The bytes of an export; a difference is told when the command ends otherwise than recorded."""
    case = recording.case
    place = temporary / f"{case['name']}.{suffix}"
    words = ["apko", verb, case["config"], str(place), "--build-arch", "x86_64", "--cache-dir", str(temporary / "cache")]
    answer = run_judged(words, recording.folder, case["env"])
    if answer.code != code:
        yield Difference(f"exit code {answer.code}, not {code}: {answer.first_error}", recording.of_refusal(answer))
    return place.read_bytes() if place.exists() else None


def _paths(recording: Recording, ours: set[str], theirs: set[str]) -> Iterator[Difference]:
    for path in sorted(theirs - ours):
        yield Difference(f"missing: {path}")
    own = tuple(f"{name}/" for name in _OURS)
    for path in sorted(ours - theirs):
        if path not in _OURS and not path.startswith(own):
            yield Difference(f"too much: {path}", recording.of_entry(path, {"type": ""}, None, ""))


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
