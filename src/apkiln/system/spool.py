"""Seekable working files without a name: in memory while they are small, else on the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import PurePath
from typing import BinaryIO, Protocol, cast

from apkiln.core.limits import MIB

IN_MEMORY = 64 * MIB
"""What one spool holds before it moves to the disk."""


class Spools(Protocol):
    """Makes spools."""

    def spool(self) -> AbstractContextManager[BinaryIO]:
        """An empty file, gone when the context is left."""


class MemorySpools:
    """All in memory."""

    @contextmanager
    def spool(self) -> Iterator[BinaryIO]:
        with BytesIO() as stream:
            yield stream


class DiskSpools:
    """Beyond `IN_MEMORY` bytes in files of `directory` (None: the system's directory for temporary files)."""

    def __init__(self, directory: PurePath | None = None) -> None:
        self._directory = directory

    @contextmanager
    def spool(self) -> Iterator[BinaryIO]:
        with tempfile.SpooledTemporaryFile(
            max_size=IN_MEMORY, dir=None if self._directory is None else str(self._directory)
        ) as stream:
            yield cast("BinaryIO", stream)
