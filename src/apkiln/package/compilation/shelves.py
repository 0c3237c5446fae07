"""Directories of named pipelines as shelves of a library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from apkiln.core.limits import MIB
from apkiln.package.compilation.library import PipelineLibrary, Shelf
from apkiln.system.folder import DirectoryFolder, Folder

BUILT_IN = PurePath(__file__).parents[1] / "pipelines"
"""The pipelines that come with the product."""
_SUFFIX = ".yaml"


def shelf(name: str, folder: Folder) -> Shelf:
    """A folder whose files `NAME.yaml` are pipelines."""

    def names() -> tuple[str, ...]:
        return tuple(file.removesuffix(_SUFFIX) for file in folder.names() if file.endswith(_SUFFIX))

    return Shelf(name, lambda file: folder.read(file, MIB), names)


def library_of(directories: Sequence[tuple[str, PurePath]], *, strict: bool = False) -> PipelineLibrary:
    """The directories (name for messages, place) in order of preference, then what comes with the product."""
    shelves = [shelf(name, DirectoryFolder(place)) for name, place in directories]
    return PipelineLibrary((*shelves, shelf("built-in", DirectoryFolder(BUILT_IN))), strict=strict)
