"""Packages that another program built, as facts in the shape of the recorded corpus (README of melange-runs)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TYPES = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}


def facts_of(output: Path) -> dict[str, Any]:
    """Of everything below an output directory: packages, index, findings."""
    from apkiln.formats.apk.index import read_index

    indexes = sorted(output.glob("*/APKINDEX.tar.gz"))
    return {
        "packages": [_package(path) for path in sorted(output.glob("*/*.apk"))],
        "index": read_index(indexes[0].read_bytes()).text.decode() if indexes else "",
        "lint": {path.name: json.loads(path.read_text()) for path in output.rglob("lint-*.json")},
    }


def _package(path: Path) -> dict[str, Any]:
    control: dict[str, str] = {}
    entries: list[dict[str, Any]] = []
    bills: dict[str, Any] = {}
    for member in _members(path.read_bytes()):
        with tarfile.open(fileobj=io.BytesIO(member + bytes(1024)), errors="surrogateescape") as archive:
            rows = [(row, _content(archive, row)) for row in archive]
        if any(row.name == ".PKGINFO" for row, _ in rows):
            control = {row.name: content.decode("utf-8", "replace") for row, content in rows}
        elif rows and not rows[0][0].name.startswith(".SIGN."):
            entries = [_entry(row, content) for row, content in rows]
            bills = {row.name: json.loads(content) for row, content in rows if row.name.endswith(f"{path.stem}.spdx.json")}
    members = [{"role": "data", "entries": entries}]
    return {
        "file": path.name,
        "pkginfo": control[".PKGINFO"],
        "control_files": _scripts(control),
        "sbom": bills,
        "members": members,
    }


def _scripts(control: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in control.items() if name != ".PKGINFO"}


def _members(data: bytes) -> Iterator[bytes]:
    """The gzip members, unpacked."""
    while data:
        inflater = zlib.decompressobj(31)
        yield inflater.decompress(data) + inflater.flush()
        data = inflater.unused_data


def _content(archive: tarfile.TarFile, row: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(row) if row.isreg() else None
    return b"" if stream is None else stream.read()


def _entry(row: tarfile.TarInfo, content: bytes) -> dict[str, Any]:
    pax = {name: _text(value) for name, value in row.pax_headers.items()}
    found = {"path": row.name, "type": _TYPES.get(row.type, "other"), "mode": f"{row.mode:04o}", "uid": row.uid, "gid": row.gid}
    found |= {"mtime": int(row.mtime), "linkname": row.linkname, "pax": pax}
    return found | ({"sha256": hashlib.sha256(content).hexdigest()} if row.isreg() else {})


def _text(value: str) -> str:
    return value if value.isprintable() else "base64:" + base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
