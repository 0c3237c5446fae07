"""A throw-away copy of a directory tree, where the kernel gives no overlay mount."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apkiln.core.errors import EnvironmentFault
from apkiln.core.origin import Origin


@contextmanager
def private_copy(source: str, target: str, limit: int) -> Iterator[str]:
    """Copy `source` to the new directory `target` and remove it at the end.

    Files, directories and symlinks of one file system; devices, sockets and other mounts are left out.  Modes and times
    are kept, owners are not.  Raises EnvironmentFault: `copy-inside-itself`, `copy-too-large` (more than `limit` bytes,
    0 = none).  Costs the bytes of the tree.
    """
    resolved = Path(source).resolve()
    if Path(target).resolve().is_relative_to(resolved):
        message = "a root directory that holds the temporary directory cannot be copied"
        raise EnvironmentFault(message, reason="copy-inside-itself", origin=Origin(source))
    device = resolved.stat().st_dev
    try:
        _copy_directory(resolved, Path(target), device, _Budget(limit, source))
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=False)


class _Budget:
    """Bytes that may still be copied."""

    def __init__(self, limit: int, source: str) -> None:
        self._limit = limit
        self._spent = 0
        self._source = source

    def spend(self, size: int) -> None:
        self._spent += size
        if self._limit and self._spent > self._limit:
            message = f"the root directory is larger than the {self._limit} bytes allowed for a copy"
            raise EnvironmentFault(message, reason="copy-too-large", origin=Origin(self._source))


def _copy_directory(source: Path, target: Path, device: int, budget: _Budget) -> None:
    target.mkdir(mode=0o700)
    with os.scandir(source) as found:
        for entry in found:
            status = entry.stat(follow_symlinks=False)
            if status.st_dev != device:
                continue
            if stat.S_ISDIR(status.st_mode):
                _copy_directory(Path(entry.path), target / entry.name, device, budget)
            elif stat.S_ISLNK(status.st_mode):
                (target / entry.name).symlink_to(os.readlink(entry.path))
            elif stat.S_ISREG(status.st_mode):
                budget.spend(status.st_size)
                shutil.copy2(entry.path, target / entry.name, follow_symlinks=False)
    shutil.copystat(source, target)
