"""The store in a directory: `blobs/ab/<rest of hex>-<size>`, `tables/<table>/<key>`, `locks/`, `temporary/`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.system.clock import Clock, SystemClock
from apkiln.system.faults import fault_of, faults_named
from apkiln.system.lock import file_lock, hold, is_locked
from apkiln.system.store import Usage, check_key, seal_row, unseal_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_TOUCH_AFTER = 3600
"""Seconds: a blob's time of last use is not rewritten more often than that."""

_SETTLED_AFTER = 60
"""Seconds after which a temporary file certainly carries its writer's lock."""


class DirectoryStore:
    """See `Store`.  The directory is made on first write, private to its user (0700).

    `durable` adds fsync to every publication; without it a crash of the machine (not of the process) may cut or lose
    recent entries: a cut blob is recognised by the size in its name and counts as absent, a cut row by its checksum.
    """

    def __init__(self, root: os.PathLike[str] | str, *, durable: bool = False, clock: Clock | None = None) -> None:
        root = os.fspath(root)
        self._root = root
        self._blobs, self._tables = f"{root}/blobs", f"{root}/tables"
        self._durable = durable
        self._clock = clock or SystemClock()

    @property
    def root(self) -> Path:
        from pathlib import Path  # reading needs no more than texts

        return Path(self._root)

    @contextmanager
    def writer(self) -> Iterator[DirectoryBlobWriter]:
        with _temporary_file(self.root) as (descriptor, temporary):
            yield DirectoryBlobWriter(self.root, descriptor, temporary, self._durable)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO | None:
        found = self._find(digest) if size is None else (self._blob(digest, size), size)
        if found is None:
            return None
        path, size = found
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise fault_of(error, path, "read") from error
        status = os.fstat(descriptor)
        if status.st_size != size:
            os.close(descriptor)
            return None
        self._touch(path, status.st_mtime)
        return os.fdopen(descriptor, "rb", buffering=0)

    def size(self, digest: Digest) -> int | None:
        found = self._find(digest)
        if found is None:
            return None
        path, size = found
        try:
            return size if os.stat(path).st_size == size else None
        except FileNotFoundError:
            return None

    def holds(self, digest: Digest, size: int) -> bool:
        path = self._blob(digest, size)
        try:
            return os.stat(path).st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise fault_of(error, path, "read") from error

    def discard(self, digest: Digest) -> None:
        found = self._find(digest)
        if found is not None:
            with faults_named(found[0], "remove"), suppress(FileNotFoundError):
                os.unlink(found[0])

    def get(self, table: str, key: str) -> bytes | None:
        path = self._row(table, key)
        try:
            with open(path, "rb", buffering=0) as stream:
                stored = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise fault_of(error, path, "read") from error
        return unseal_row(table, key, stored)

    def put(self, table: str, key: str, value: bytes) -> None:
        path = self._row(table, key)
        with _temporary_file(self.root) as (descriptor, temporary), faults_named(path, "write"):
            _write_all(descriptor, seal_row(table, key, value))
            _publish(descriptor, temporary, self.root / "tables" / table / key, self._durable)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        directory = self.root / "locks"
        _make_directory(directory)
        with file_lock(directory / check_key(key), remove=True):
            yield

    def usage(self) -> Usage:
        """Count everything; one directory walk."""
        sizes = [size for _, size, _ in self.blobs()]
        tables = tuple((table.name, *_count(table)) for table in sorted(_directories(self.root / "tables")))
        return Usage(len(sizes), sum(sizes), tables, len(_entries(self.root / "temporary")))

    def blobs(self) -> Iterator[tuple[Digest, int, float]]:
        """(digest, size, time of last use in Unix seconds, accurate to an hour) of every blob, in digest order."""
        for fan in sorted(_directories(self.root / "blobs")):
            for entry in sorted(_entries(fan), key=lambda entry: entry.name):
                parsed = _blob_name(fan.name, entry.name)
                if parsed is not None:
                    with suppress(FileNotFoundError):
                        yield (*parsed, entry.stat().st_mtime)

    def evict(self, digests: Iterable[Digest]) -> int:
        """Remove blobs; the bytes freed.  Safe beside readers (they keep what they opened) and writers."""
        freed = 0
        for digest in digests:
            freed += self.size(digest) or 0
            self.discard(digest)
        return freed

    def drop_table(self, table: str) -> None:
        """Remove every row of a table."""
        for entry in _entries(self.root / "tables" / check_key(table)):
            with faults_named(entry.path, "remove"), suppress(FileNotFoundError):
                os.unlink(entry.path)

    def damaged_rows(self) -> Iterator[tuple[str, str]]:
        """(table, key) of every row whose checksum does not hold."""
        for table in sorted(_directories(self.root / "tables")):
            for entry in sorted(_entries(table), key=lambda entry: entry.name):
                with suppress(FileNotFoundError):
                    if unseal_row(table.name, entry.name, (table / entry.name).read_bytes()) is None:
                        yield table.name, entry.name

    def remove_row(self, table: str, key: str) -> None:
        """Remove one row; no error when it is gone."""
        path = self._row(table, key)
        with faults_named(path, "remove"), suppress(FileNotFoundError):
            os.unlink(path)

    def remove_abandoned(self) -> int:
        """Remove temporary files whose writer is dead; their number.  Files of the last minute are left alone."""
        newest = self._clock.now() - _SETTLED_AFTER
        old = [
            self.root / "temporary" / entry.name for entry in _entries(self.root / "temporary") if entry.stat().st_mtime < newest
        ]
        abandoned = [path for path in old if not is_locked(path)]
        for path in abandoned:
            path.unlink(missing_ok=True)
        return len(abandoned)

    def _blob(self, digest: Digest, size: int) -> str:
        """The file of a blob."""
        assert digest.algorithm == "sha256"
        name = digest.hex
        return f"{self._blobs}/{name[:2]}/{name[2:]}-{size}"

    def _find(self, digest: Digest) -> tuple[str, int] | None:
        """The file of a blob by its name's beginning; a fan-out directory holds 1/256 of all blobs."""
        assert digest.algorithm == "sha256"
        fan, rest = digest.hex[:2], digest.hex[2:]
        directory = f"{self._blobs}/{fan}"
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise fault_of(error, directory, "read") from error
        for name in names:
            if name.startswith(rest):
                parsed = _blob_name(fan, name)
                if parsed is not None:
                    return f"{directory}/{name}", parsed[1]
        return None

    def _row(self, table: str, key: str) -> str:
        return f"{self._tables}/{check_key(table)}/{check_key(key)}"

    def _touch(self, path: str, modified: float) -> None:
        now = self._clock.now()
        if now - modified > _TOUCH_AFTER:
            with suppress(OSError):  # a read-only cache is still a cache
                os.utime(path, (now, now))


class DirectoryBlobWriter:
    """See `BlobWriter`."""

    def __init__(self, root: Path, descriptor: int, temporary: Path, durable: bool) -> None:
        self._root = root
        self._descriptor = descriptor
        self._temporary = temporary
        self._durable = durable
        self._size = 0
        self._state = hashlib.sha256()

    def write(self, data: bytes) -> None:
        with faults_named(self._root, "write to"):
            _write_all(self._descriptor, data)
        self._state.update(data)
        self._size += len(data)

    def commit(self, expected: Digest | None = None) -> Digest:
        digest = Digest.sha256(self._state.digest())
        if expected is not None and expected != digest:
            raise VerificationError(
                f"expected {expected}, the content is {digest}", reason="digest-mismatch", origin=Origin(digest=str(expected))
            )
        target = self._root / "blobs" / digest.hex[:2] / f"{digest.hex[2:]}-{self._size}"
        with faults_named(target, "write"):
            _publish(self._descriptor, self._temporary, target, self._durable)
        return digest


@contextmanager
def _temporary_file(root: Path) -> Iterator[tuple[int, Path]]:
    """A new locked file in `temporary/`; removed at the end unless it was renamed away."""
    directory = root / "temporary"
    _make_directory(directory)
    path = directory / os.urandom(16).hex()
    with faults_named(path, "write"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        hold(descriptor)
        yield descriptor, path
    finally:
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _publish(descriptor: int, temporary: Path, target: Path, durable: bool) -> None:
    if durable:
        os.fsync(descriptor)
    try:
        os.rename(temporary, target)
    except FileNotFoundError:
        _make_directory(target.parent)
        os.rename(temporary, target)
    if durable:
        _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _make_directory(directory: Path) -> None:
    with faults_named(directory, "create"):
        _make_private(directory)


def _make_private(directory: Path) -> None:
    """Like `mkdir -p`, every new directory 0700."""
    try:
        directory.mkdir(mode=0o700)
    except FileNotFoundError:
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        if not directory.is_dir():
            raise


def _blob_name(fan: str, name: str) -> tuple[Digest, int] | None:
    rest, dash, size = name.partition("-")
    try:
        value = bytes.fromhex(fan + rest)
    except ValueError:
        return None
    return (Digest.sha256(value), int(size)) if dash and len(value) == 32 and size.isascii() and size.isdigit() else None


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _directories(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [directory / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _count(directory: Path) -> tuple[int, int]:
    sizes = [entry.stat().st_size for entry in _entries(directory)]
    return len(sizes), sum(sizes)
