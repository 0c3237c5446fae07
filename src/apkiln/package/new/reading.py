"""A foreign package in a file, recognised and read into a draft."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.limits import GIB, MIB
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.source_archive import foreign_entries
from apkiln.package.new.alpine import apkbuild_draft
from apkiln.package.new.debian import debian_draft, read_dsc
from apkiln.package.new.draft import Draft, Place
from apkiln.package.new.ecosystems import gem_draft, npm_draft, python_draft
from apkiln.system.files import FileReader

KINDS = ("python", "gem", "npm", "apkbuild", "debian")
MAXIMUM_SMALL = 4 * MIB
MAXIMUM_TOTAL = 256 * MIB
"""Bytes of all small files of an archive that are kept."""
_WANTED = ("PKG-INFO", "pyproject.toml", "package.json")
_CHUNK = MIB


def read_draft(path: Path, uri: str, kind: str, files: FileReader) -> Draft:
    """The draft of the package in `path`.  `uri`: where a build will fetch it; `kind`: one of `KINDS`, or empty to tell by name
    and content.

    Raises FormatError `unknown-package-kind`, `no-metadata`, `bad-version` and those of archives, VerificationError
    `source-digest-mismatch` for files of a `.dsc` that are not what it says.
    """
    chosen = kind or _kind(path)
    if chosen == "apkbuild":
        content = files.read(path, MAXIMUM_SMALL).decode("utf-8", "replace")
        return apkbuild_draft(content, str(path), _beside(path, files))
    if chosen == "debian":
        return _debian(path, uri, files)
    place = Place(uri or _placeholder(path.name), _sha256(path, files), path.name)
    found = small_files(path, files, whole=chosen == "gem")
    if chosen == "gem":
        return _told(gem_draft(place, found), uri)
    if chosen == "npm" or (not kind and "package.json" in found):
        return _told(npm_draft(place, found), uri)
    if chosen == "python" or "PKG-INFO" in found:
        return _told(python_draft(place, found), uri)
    message = f"`{path.name}` is no package of a kind that is known"
    hint = "known: Python source distributions, gems, npm packages, APKBUILD and .dsc files"
    raise FormatError(message, reason="unknown-package-kind", origin=Origin(str(path)), hint=hint)


def _kind(path: Path) -> str:
    if path.name == "APKBUILD":
        return "apkbuild"
    return {".gem": "gem", ".dsc": "debian"}.get(path.suffix, "")


def _placeholder(name: str) -> str:
    return f"https://example.org/{name}"


def _told(draft: Draft, uri: str) -> Draft:
    if uri:
        return draft
    return draft._replace(guesses=("the place of the sources is not known; name it with `--uri`", *draft.guesses))


def _sha256(path: Path, files: FileReader) -> str:
    state = hashlib.sha256()
    with files.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def small_files(path: Path, files: FileReader, *, whole: bool = False) -> dict[str, bytes]:
    """Files of an archive that say what it is, by their name without the first directory; `whole`: all members by their own."""
    found: dict[str, bytes] = {}
    with files.open(path) as stream:
        for name, content in _members(stream, path, files, 0 if whole else 1):
            if whole or name in _WANTED:
                found[name] = content
    return found


def _members(stream: BinaryIO, path: Path, files: FileReader, strip: int) -> list[tuple[str, bytes]]:
    status = files.status(path)
    assert status is not None, "it is open"
    found: list[tuple[str, bytes]] = []
    total = 0
    for entry, content in foreign_entries(stream, status.size, Origin(str(path)), strip_components=strip):
        if entry.type is not EntryType.FILE or entry.size > MAXIMUM_SMALL:
            continue
        total += entry.size
        if total > MAXIMUM_TOTAL:
            break
        found.append((entry.path, b"".join(content)))
    return found


def _beside(path: Path, files: FileReader) -> Mapping[str, bytes]:
    names = [name for name in files.list(path.parent) if name.endswith((".patch", ".diff"))]
    return {name: files.read(path.parent / name, MAXIMUM_SMALL) for name in names[:1000]}


def _debian(path: Path, uri: str, files: FileReader) -> Draft:
    control = read_dsc(files.read(path, MAXIMUM_SMALL), str(path))
    for name, digest in control.files:
        if files.status(path.parent / name) is not None and _sha256(path.parent / name, files) != digest:
            message = f"`{name}` is not the file that `{path.name}` names"
            raise VerificationError(message, reason="source-digest-mismatch", origin=Origin(str(path.parent / name)))
    original = next((row for row in control.files if ".orig.tar." in row[0]), None)
    packaging = next((row for row in control.files if ".debian.tar." in row[0]), None)
    if original is None or packaging is None:
        message = "only packages with an upstream archive and one of Debian's own files are understood"
        raise FormatError(message, reason="unknown-package-kind", origin=Origin(str(path)))
    with files.open(path.parent / packaging[0]) as stream:
        inside = dict(_members(stream, path.parent / packaging[0], files, 1))
    place = Place(uri or _placeholder(original[0]), original[1], original[0])
    return _told(debian_draft(control, place, inside, top_names(path.parent / original[0], files)), uri)


def top_names(path: Path, files: FileReader) -> frozenset[str]:
    """Names at the top of the sources in an archive: below its first directory."""
    status = files.status(path)
    if status is None or status.size > GIB:
        return frozenset()
    with files.open(path) as stream:
        entries = foreign_entries(stream, status.size, Origin(str(path)), strip_components=1)
        return frozenset(entry.path for entry, _ in entries if "/" not in entry.path)
