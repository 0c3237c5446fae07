"""Images that apko built, as recorded in the conformance data: layers as listings, read back into entries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.audit.auditing import ReadTree, is_kept
from apkiln.image.audit.layered_tree import LayeredTree

_TYPES = {
    "file": EntryType.FILE,
    "dir": EntryType.DIRECTORY,
    "symlink": EntryType.SYMLINK,
    "hardlink": EntryType.HARDLINK,
    "char": EntryType.CHARACTER,
}


class Recording(NamedTuple):
    """One case with the amd64 image it gave."""

    name: str
    layers: tuple[Path, ...]


def recordings(corpus: Path) -> Iterator[Recording]:
    """The cases of `apko-runs` that gave an image of tar layers, sorted."""
    for case in sorted((corpus / "cases").iterdir()):
        layers = tuple(sorted((case / "expect").glob("layer-amd64-*.json")))
        if layers and all(json.loads(path.read_text())["entries"] for path in layers):
            yield Recording(case.name, layers)


def read_recording(recording: Recording) -> ReadTree:
    """The tree of the image.  The SHA-1 of a file is known where the recording has its text; otherwise it is empty."""
    tree = LayeredTree()
    documents: dict[str, bytes] = {}
    for number, path in enumerate(recording.layers, 1):
        rows = json.loads(path.read_text())["entries"]
        tree.apply([_entry(row) for row in rows], number)
        documents |= {row["path"]: row["text"].encode() for row in rows if "text" in row and is_kept(row["path"])}
    return ReadTree(tree, documents, ())


def _entry(row: dict[str, Any]) -> ContentEntry:
    kind = _TYPES[row["type"]]
    major, _colon, minor = row.get("dev", "0:0").partition(":")
    xattrs = tuple(sorted((name, bytes.fromhex(value)) for name, value in row.get("xattrs_hex", {}).items()))
    entry = Entry(
        row["path"],
        kind,
        int(row["mode"], 8),
        row["uid"],
        row["gid"],
        size=row.get("size", 0) if kind is EntryType.FILE else 0,
        target=row.get("linkname", ""),
        device=(int(major), int(minor)),
        xattrs=xattrs,
    )
    return ContentEntry(entry, _sha1(row), bytes.fromhex(row.get("sha256", "")))


def _sha1(row: dict[str, Any]) -> bytes:
    if row["type"] == "symlink":
        return hashlib.sha1(row["linkname"].encode()).digest()
    return hashlib.sha1(row["text"].encode()).digest() if "text" in row else b""
