"""What fetching sources needs, in one value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Protocol

from apkiln.core.digest import Digest
from apkiln.core.limits import GIB
from apkiln.core.progress import Reporter, Silent
from apkiln.core.value import value
from apkiln.package.sources.source_map import NO_MAP, SourceMap
from apkiln.system.files import Files
from apkiln.system.git import GitRepositories
from apkiln.system.transfer import Transfer

MAXIMUM_FILE = GIB


class FileFinder(Protocol):
    """Another place that knows files by digest, such as an archive of source packages."""

    def find(self, digests: tuple[Digest, ...], write: Callable[[bytes], object]) -> str:
        """Deliver the content to `write` and say where it is from; empty, and nothing written, when it is not known."""


@value
class SourceAccess:
    """What fetching needs."""

    cache: PurePath
    """Absolute; made when absent."""
    files: Files
    transfer: Transfer
    git: GitRepositories
    places: SourceMap = NO_MAP
    finders: tuple[FileFinder, ...] = ()
    """Asked by digest after the places, before the original host."""
    reporter: Reporter = Silent()
    jobs: int = 4
    maximum_file: int = MAXIMUM_FILE
    """Bytes of one file."""
    allow_unpinned: bool = False
    """Sources without digest or commit may be fetched."""
