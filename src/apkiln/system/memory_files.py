"""Files in memory, and a wrapper that makes any files fail at a chosen step."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath, PurePosixPath
from typing import BinaryIO

from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.system.files import Files, FileStatus, OutputTree, exists_already, too_large, tree_path


class MemoryFiles:
    """See `Files`.  Paths are compared as text after normalisation of `.` and `//`; there are no links."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self._files: dict[PurePosixPath, tuple[bytes, int]] = {}
        self._directories = {PurePosixPath("/"), PurePosixPath(".")}
        self._locks: dict[PurePosixPath, threading.Lock] = {}
        self._guard = threading.Lock()
        for path, data in (contents or {}).items():
            self.put(path, data)

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Place a file and its directories, replacing what is there."""
        self.make_directory(PurePosixPath(path).parent)
        self._files[PurePosixPath(path)] = (data, mode)

    def snapshot(self) -> dict[str, bytes]:
        """Every file by path, sorted."""
        return {str(path): data for path, (data, _) in sorted(self._files.items())}

    def read(self, path: PurePath, limit: int) -> bytes:
        data = self._content(path)
        if len(data) > limit:
            raise too_large(path, limit)
        return data

    def open(self, path: PurePath) -> BinaryIO:
        return io.BytesIO(self._content(path))

    def status(self, path: PurePath) -> FileStatus | None:
        key = PurePosixPath(path)
        if key in self._files:
            data, mode = self._files[key]
            return FileStatus(True, False, len(data), mode)
        return FileStatus(False, True, 0, 0o755) if key in self._directories else None

    def list(self, path: PurePath) -> tuple[str, ...]:
        key = PurePosixPath(path)
        if key not in self._directories:
            raise _missing(path)
        return tuple(sorted(entry.name for entry in (*self._files, *self._directories) if entry.parent == key and entry != key))

    @contextmanager
    def create(self, path: PurePath, mode: int = 0o644, *, replace: bool = False) -> Iterator[BinaryIO]:
        key = PurePosixPath(path)
        self._check_free(key, replace)
        if key.parent not in self._directories:
            raise _missing(key.parent)
        stream = io.BytesIO()
        yield stream
        self._check_free(key, replace)
        self._files[key] = (stream.getvalue(), mode)

    @contextmanager
    def produced(self, path: PurePath, *, replace: bool = False) -> Iterator[PurePath]:
        key = PurePosixPath(path)
        self._check_free(key, replace)
        name = key.with_name(f".{key.name}.produced")
        try:
            yield name
            self._check_free(key, replace)
            self._files[key] = (self._content(name), 0o644)
        finally:
            self._files.pop(name, None)

    @contextmanager
    def tree(self, path: PurePath, *, replace_empty: bool = False, replace: bool = False) -> Iterator[MemoryTree]:
        key = PurePosixPath(path)
        if not replace:
            self._check_tree_free(key, replace_empty)
        tree = MemoryTree()
        yield tree
        if replace:
            self._remove_below(key)
        self._check_tree_free(key, replace_empty)
        self.make_directory(key)
        for directory in tree.directories:
            self.make_directory(key / directory)
        for name, (data, mode) in tree.files.items():
            self.put(str(key / name), data, mode)

    def _remove_below(self, key: PurePosixPath) -> None:
        for path in [path for path in self._files if path.is_relative_to(key)]:
            del self._files[path]
        self._directories.difference_update([path for path in self._directories if path.is_relative_to(key)])

    def make_directory(self, path: PurePath, mode: int = 0o755) -> None:
        key = PurePosixPath(path)
        self._directories.update((key, *key.parents))

    def remove(self, path: PurePath) -> None:
        self._files.pop(PurePosixPath(path), None)

    @contextmanager
    def lock(self, path: PurePath) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(PurePosixPath(path), threading.Lock())
        with lock:
            yield

    def _content(self, path: PurePath) -> bytes:
        key = PurePosixPath(path)
        if key in self._directories:
            raise UnavailableError(f"`{path}` is a directory", reason="is-directory", origin=Origin(source=str(path)))
        if key not in self._files:
            raise _missing(path)
        return self._files[key][0]

    def _check_free(self, key: PurePosixPath, replace: bool) -> None:
        if key in self._directories or (key in self._files and not replace):
            raise exists_already(key)

    def _check_tree_free(self, key: PurePosixPath, replace_empty: bool) -> None:
        if not (replace_empty and key in self._directories and not self.list(key)):
            self._check_free(key, replace=False)


class MemoryTree:
    """See `OutputTree`."""

    def __init__(self) -> None:
        self.files: dict[PurePosixPath, tuple[bytes, int]] = {}
        self.directories: set[PurePosixPath] = set()

    @contextmanager
    def create(self, path: str, mode: int = 0o644) -> Iterator[BinaryIO]:
        key = tree_path(path)
        if key in self.files:
            raise exists_already(key)
        stream = io.BytesIO()
        yield stream
        self.files[key] = (stream.getvalue(), mode)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        with self.create(path, mode) as stream:
            stream.write(data)

    def directory(self, path: str) -> None:
        self.directories.add(tree_path(path))


class Crash(BaseException):
    """The process is dead: nothing that comes later, not even cleaning up, has an effect."""


class InterruptedFiles:
    """Any `Files`, with an error before step `step` (from 0) and before every later one.

    A step is one thing that changes the disk: a write to a stream, a publication, a removal, a new directory.  `steps`
    counts those that happened.  The default error is `Crash`; another one (no space, say) is what `error` makes.
    """

    def __init__(self, inner: Files, step: int, error: Callable[[], BaseException] = Crash) -> None:
        self._inner = inner
        self._last = step
        self._error = error
        self.steps = 0

    def advance(self) -> None:
        """Count a step, or fail."""
        if self.steps >= self._last:
            raise self._error()
        self.steps += 1

    def read(self, path: PurePath, limit: int) -> bytes:
        return self._inner.read(path, limit)

    def open(self, path: PurePath) -> BinaryIO:
        return self._inner.open(path)

    def status(self, path: PurePath) -> FileStatus | None:
        return self._inner.status(path)

    def list(self, path: PurePath) -> tuple[str, ...]:
        return self._inner.list(path)

    @contextmanager
    def create(self, path: PurePath, mode: int = 0o644, *, replace: bool = False) -> Iterator[BinaryIO]:
        with self._inner.create(path, mode, replace=replace) as stream:
            yield _CountedStream(stream, self.advance)
            self.advance()

    @contextmanager
    def produced(self, path: PurePath, *, replace: bool = False) -> Iterator[PurePath]:
        with self._inner.produced(path, replace=replace) as name:
            yield name
            self.advance()

    @contextmanager
    def tree(self, path: PurePath, *, replace_empty: bool = False, replace: bool = False) -> Iterator[OutputTree]:
        with self._inner.tree(path, replace_empty=replace_empty, replace=replace) as tree:
            yield tree
            self.advance()

    def make_directory(self, path: PurePath, mode: int = 0o755) -> None:
        self.advance()
        self._inner.make_directory(path, mode)

    def remove(self, path: PurePath) -> None:
        self.advance()
        self._inner.remove(path)

    @contextmanager
    def lock(self, path: PurePath) -> Iterator[None]:
        with self._inner.lock(path):
            yield


class _CountedStream(io.BytesIO):
    def __init__(self, stream: BinaryIO, advance: Callable[[], None]) -> None:
        super().__init__()
        self._stream = stream
        self._advance = advance

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._advance()
        return self._stream.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        return self._stream.read(-1 if size is None else size)

    def tell(self) -> int:
        return self._stream.tell()


def _missing(path: PurePath) -> UnavailableError:
    return UnavailableError(f"`{path}` does not exist", reason="missing-file", origin=Origin(source=str(path)))
