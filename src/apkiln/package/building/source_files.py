"""The files of the source directory that a workspace gets, and what names their content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from apkiln.core import canonical_json
from apkiln.core.errors import ConfigurationError
from apkiln.core.limits import MIB
from apkiln.formats.archive.entry import EntryType
from apkiln.package.building.ignore_rules import NAME, IgnoreRules
from apkiln.system.files import FileReader
from apkiln.system.tree_reader import read_tree

Excluded = Callable[[str, bool], bool]


def excluded_files(directory: PurePath, apart: Sequence[PurePath], files: FileReader) -> Excluded:
    """Whether a path of the directory stays out: by `.melangeignore`, or because outputs and caches (`apart`) lie there.

    ConfigurationError `output-is-source` when one of these is the directory itself.
    """
    found = files.status(directory / NAME)
    rules = IgnoreRules(files.read(directory / NAME, MIB).decode("utf-8", "replace") if found is not None else "")
    names = {place.relative_to(directory).as_posix() for place in apart if place.is_relative_to(directory)}
    if "." in names:
        message = f"packages would be written into the source directory `{directory}` itself"
        raise ConfigurationError(message, reason="output-is-source", hint="name another `--out-dir`")
    return lambda path, is_directory: path in names or rules.excludes(path, is_directory)


def source_digest(directory: PurePath, excluded: Excluded) -> str:
    """SHA-256 hex of paths, kinds, modes, link texts and contents.  Reads everything."""
    state = hashlib.sha256()
    left_out: list[str] = []
    for entry, content in read_tree(Path(directory)):
        is_directory = entry.type is EntryType.DIRECTORY
        if any(entry.path.startswith(f"{path}/") for path in left_out) or excluded(entry.path, is_directory):
            left_out += [entry.path] if is_directory else []
            continue
        digest = hashlib.sha256()
        for chunk in content:
            digest.update(chunk)
        row = [entry.path, entry.type.value, entry.mode, entry.target, digest.hexdigest()]
        state.update(canonical_json.encode(row) + b"\n")
    return state.hexdigest()
