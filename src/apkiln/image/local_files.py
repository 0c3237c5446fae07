"""Local files and directories that `paths` copies into an image, read with limits (spec image.md §2.3 `from`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector
from apkiln.core.limits import Limits
from apkiln.formats.archive import path as archive_paths
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import PathMutation
from apkiln.image.generated.paths import LocalTree
from apkiln.system.files import FileReader

_DEPTH = 64
"""Directories below each other; a loop of links on the disk is longer."""


def read_local_files(files: FileReader, directory: PurePath, mutations: Iterable[PathMutation], limits: Limits) -> LocalTree:
    """Everything that a `from` names, relative to the definition's directory; links on the disk are followed.

    Raises UnavailableError (`missing-file`), ConfigurationError (`not-a-file`, `not-a-directory`, `tree-too-deep`) and
    FormatError (`file-too-large`, beyond `limits.document` for one file) with the place in the definition, all at once.
    """
    faults = FaultCollector.empty()
    found: dict[str, tuple[tuple[Entry, bytes], ...]] = {}
    for mutation in mutations:
        if mutation.from_path and mutation.from_path not in found:
            try:
                found[mutation.from_path] = _read(files, directory / mutation.from_path, mutation, limits)
            except ApkilnError as fault:
                faults.add(fault.located(mutation.origin))
    faults.raise_if_any()
    return found


def _read(files: FileReader, place: PurePath, mutation: PathMutation, limits: Limits) -> tuple[tuple[Entry, bytes], ...]:
    status = files.status(place)
    if mutation.type == "tree":
        if status is not None and not status.is_directory:
            raise ConfigurationError(f"`{mutation.from_path}` is not a directory", reason="not-a-directory")
        return tuple(_walk(files, place, "", limits, _DEPTH))
    if status is not None and not status.is_file:
        raise ConfigurationError(f"`{mutation.from_path}` is not a file", reason="not-a-file")
    content = files.read(place, limits.document)
    return ((Entry("", EntryType.FILE, status.mode if status else 0o644, size=len(content)), content),)


def _walk(files: FileReader, place: PurePath, prefix: str, limits: Limits, depth: int) -> Iterator[tuple[Entry, bytes]]:
    if not depth:
        raise ConfigurationError(f"`{prefix}` lies too deep", reason="tree-too-deep")
    for name in files.list(place):
        path = archive_paths.join(prefix, name)
        status = files.status(place / name)
        if status is None:
            continue  # a dangling link on the disk
        if status.is_directory:
            yield Entry(path, EntryType.DIRECTORY, status.mode & 0o777), b""
            yield from _walk(files, place / name, path, limits, depth - 1)
        elif status.is_file:
            content = files.read(place / name, limits.document)
            yield Entry(path, EntryType.FILE, 0o755 if status.mode & 0o111 else 0o644, size=len(content)), content
