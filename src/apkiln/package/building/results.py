"""Packages that were built before from equal inputs, kept by the key of their plan (table `build-results` of a store)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.package.analysis.conclusion import Analysis
from apkiln.package.emission.request import EmittedPackage
from apkiln.system.files import Files
from apkiln.system.store import SharedStore, damaged, open_verified

_TABLE = "build-results"
_CHUNK = 1 << 20


def keep_result(key: str, packages: Sequence[EmittedPackage], store: SharedStore, files: Files) -> None:
    """Remember the files of a build.  The row comes last, so what can be found is complete."""
    rows = []
    for package in packages:
        named = [[path.name, *_kept(path, store, files)] for path in (package.path, *package.beside)]
        rows.append([named, list(package.notes), list(package.analysis.vendored)])
    store.put(_TABLE, key, canonical_json.encode(rows))


def take_result(
    key: str, directory: PurePath, store: SharedStore, files: Files, limits: Limits, *, overwrite: bool
) -> tuple[EmittedPackage, ...] | None:
    """Write the files of a kept build into `directory`; None when there is none.

    Contents are compared with their digests on the way.  ConflictError `output-exists` when a file of the same name with other
    bytes is there.  VerificationError `cache-entry-damaged`.
    """
    stored = store.get(_TABLE, key)
    if stored is None:
        return None
    rows = json.loads(stored)
    if not all(store.holds(Digest.parse(digest), size) for named, _, _ in rows for _, digest, size in named):
        return None
    files.make_directory(directory)
    packages = []
    for named, notes, vendored in rows:
        places = [_placed(directory / name, Digest.parse(digest), store, files, overwrite) for name, digest, _ in named]
        packages.append(_read(places[0], tuple(places[1:]), tuple(notes), tuple(vendored), files, limits))
    return tuple(packages)


def _kept(path: PurePath, store: SharedStore, files: Files) -> tuple[str, int]:
    size = 0
    with files.open(path) as stream, store.writer() as writer:
        while chunk := stream.read(_CHUNK):
            writer.write(chunk)
            size += len(chunk)
        return str(writer.commit()), size


def _placed(path: PurePath, digest: Digest, store: SharedStore, files: Files, overwrite: bool) -> PurePath:
    import hashlib

    if files.status(path) is not None and not overwrite:
        found = hashlib.sha256()
        with files.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                found.update(chunk)
        if found.digest() == digest.value:
            return path
        message = f"`{path}` exists already with other content"
        hint = "raise the epoch, or replace it with `--overwrite`"
        raise ConflictError(message, reason="output-exists", origin=Origin(str(path)), hint=hint)
    source = open_verified(store, digest, Origin(str(path)))
    if source is None:
        raise damaged(store, digest, Origin(str(path)))
    with source, files.create(path, replace=True) as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
    return path


def _read(
    path: PurePath,
    beside: tuple[PurePath, ...],
    notes: tuple[str, ...],
    vendored: tuple[str, ...],
    files: Files,
    limits: Limits,
) -> EmittedPackage:
    from apkiln.formats.apk.package import read_package

    with files.open(path) as stream:
        found = read_package(stream, limits)
    analysis = Analysis(vendored=vendored)
    return EmittedPackage(path, found.info, found.identity, found.sha256, found.size, analysis, notes, beside)
