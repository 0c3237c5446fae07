"""Locks between processes (and threads) by `flock` on a file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apkiln.system.faults import faults_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def file_lock(path: Path, *, remove: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting for as long as another holder has it.

    The kernel drops the lock when its holder dies, so no stale lock can exist.  Not re-entrant: the same thread waits
    for itself.  `remove` unlinks the file on release; a waiter notices that the file it locked is no longer the one of
    that name and begins anew, so the two never both hold it.
    """
    descriptor = _acquire(path)
    try:
        yield
    finally:
        try:
            if remove:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds a lock on `path` now; False when the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Lock an open file or directory of ours until it is closed: the sign that its writer lives (see `is_locked`)."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def claim(descriptor: int, path: Path) -> bool:
    """`hold` something just made at `path`; False when a sweeper was quicker and it is gone (make another one)."""
    hold(descriptor)
    return _same_file(descriptor, path)


def remove_if_abandoned(path: Path, remove: Callable[[Path], None]) -> bool:
    """Remove something that nobody holds, while holding it; True when that was so."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not _try_lock(descriptor):
            return False
        remove(path)
        return True
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquire(path: Path) -> int:
    while True:
        with faults_named(path, "lock"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with faults_named(path, "lock"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _same_file(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
