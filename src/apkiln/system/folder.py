"""One directory of small files, read by relative names that cannot leave it, not even through links."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Protocol

from apkiln.system.faults import faults_named
from apkiln.system.files import too_large

MAXIMUM_NAMES = 100_000
"""Files that `names` lists at most."""


class Folder(Protocol):
    """Reading below one directory."""

    def read(self, name: str, limit: int) -> bytes | None:
        """The content of the file `name`, relative with `/`; None when there is none, or when the name or a link leads
        outside.  FormatError `file-too-large`, EnvironmentFault `no-permission`.
        """

    def names(self) -> tuple[str, ...]:
        """Relative names of the regular files in the directory and below, sorted; empty when there is no directory."""


class DirectoryFolder:
    """A directory on disk.  `depth`: `names` lists paths of at most so many components; 0 = all."""

    def __init__(self, root: PurePath, depth: int = 0) -> None:
        self._root = Path(root)
        self._depth = depth

    def read(self, name: str, limit: int) -> bytes | None:
        if not _is_inside(name):
            return None
        path = self._root / name
        with faults_named(path, "read"):
            try:
                root = Path(os.path.realpath(self._root, strict=True))
                found = Path(os.path.realpath(path, strict=True))
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno == errno.ELOOP:
                    return None
                raise
            if not found.is_relative_to(root) or not found.is_file():
                return None
            with found.open("rb") as stream:
                data = stream.read(limit + 1)
        if len(data) > limit:
            raise too_large(path, limit)
        return data

    def names(self) -> tuple[str, ...]:
        found: list[str] = []
        for directory, below, files in os.walk(self._root):
            relative = PurePosixPath(directory).relative_to(self._root)
            found += [(relative / name).as_posix() for name in files]
            if len(relative.parts) + 1 == self._depth:
                below.clear()
            if len(found) > MAXIMUM_NAMES:
                break
        return tuple(sorted(found[:MAXIMUM_NAMES]))


class MemoryFolder:
    """A directory that exists in memory only: names to contents."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)

    def read(self, name: str, limit: int) -> bytes | None:
        data = self._files.get(name) if _is_inside(name) else None
        if data is not None and len(data) > limit:
            raise too_large(PurePosixPath(name), limit)
        return data

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._files))


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and "\0" not in name and ".." not in name.split("/")
