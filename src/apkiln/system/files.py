"""Files of the user and outputs of the product: read with a limit, published whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePath, PurePosixPath

from apkiln.core.errors import ConflictError, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.system.faults import fault_of, faults_named
from apkiln.system.lock import claim, file_lock, remove_if_abandoned
from apkiln.system.reading import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_MARK = ".apkiln-unfinished"
_LINKS_NOT_SUPPORTED_IS_FINE = (PermissionError, NotImplementedError)


class FileStatus(NamedTuple):
    """What a path is; symbolic links are followed."""

    is_file: bool
    is_directory: bool
    size: int
    mode: int
    """Low 12 bits."""


class FileReader(Protocol):
    """Looking at files.  Methods raise UnavailableError (`missing-file`, `is-directory`), EnvironmentFault (`no-permission`)."""

    def read(self, path: PurePath, limit: int) -> bytes:
        """The whole content; FormatError `file-too-large` beyond `limit` bytes."""

    def open(self, path: PurePath) -> BinaryIO:
        """A reader at offset 0."""

    def status(self, path: PurePath) -> FileStatus | None:
        """None when nothing is there."""

    def list(self, path: PurePath) -> tuple[str, ...]:
        """Names in a directory, sorted by code point; unfinished outputs are left out."""


class OutputTree(Protocol):
    """A directory that is being filled; nobody sees it under its name before all of it is there.  Paths are relative, no `..`."""

    def create(self, path: str, mode: int = 0o644) -> AbstractContextManager[BinaryIO]:
        """A new file, its parent directories made as needed."""

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A new file with this content."""

    def directory(self, path: str) -> None:
        """A directory with its parents; no error when it exists."""


class FileWriter(Protocol):
    """Changing files.  Modes are what is asked for minus the process's umask."""

    def create(self, path: PurePath, mode: int = 0o644, *, replace: bool = False) -> AbstractContextManager[BinaryIO]:
        """A file that appears under its name, complete, when the context is left without an error, and otherwise never.

        ConflictError `output-exists` when the name is taken (at the beginning or by then), unless `replace`.
        """

    def produced(self, path: PurePath, *, replace: bool = False) -> AbstractContextManager[PurePath]:
        """A free name where a program may write a file; what is there when the context is left without an error appears under
        `path`, otherwise nothing does.  ConflictError `output-exists` when the name is taken, unless `replace`."""

    def tree(self, path: PurePath, *, replace_empty: bool = False, replace: bool = False) -> AbstractContextManager[OutputTree]:
        """A directory that appears complete, or never; ConflictError `output-exists` when the name is taken.

        `replace_empty`: an empty directory counts as free.  `replace`: so does any; what was there goes when the new one is
        complete, and for one moment there is neither.
        """

    def make_directory(self, path: PurePath, mode: int = 0o755) -> None:
        """A directory with its parents; no error when it exists."""

    def remove(self, path: PurePath) -> None:
        """Remove a file; no error when it is gone."""

    def lock(self, path: PurePath) -> AbstractContextManager[None]:
        """Hold the lock file `path` (made when absent) against all threads and processes, waiting for the holder."""


class Files(FileReader, FileWriter, Protocol):
    """Both."""


class DiskFiles:
    """See `Files`.  `durable`: contents and names are forced to the disk before a call returns."""

    def __init__(self, *, durable: bool = True) -> None:
        self._durable = durable
        self._swept: set[Path] = set()

    def read(self, path: PurePath, limit: int) -> bytes:
        with self.open(path) as stream, faults_named(path, "read"):
            data = stream.read(limit + 1)
            while len(data) <= limit and (more := stream.read(limit + 1 - len(data))):
                data += more
        if len(data) > limit:
            raise too_large(path, limit)
        return data

    def open(self, path: PurePath) -> BinaryIO:
        return open_file(path)

    def status(self, path: PurePath) -> FileStatus | None:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise fault_of(error, path, "look at") from error
        mode = found.st_mode
        return FileStatus(stat.S_ISREG(mode), stat.S_ISDIR(mode), found.st_size, stat.S_IMODE(mode))

    def list(self, path: PurePath) -> tuple[str, ...]:
        with faults_named(path, "list"):
            return tuple(sorted(name for name in os.listdir(path) if not name.endswith(_MARK)))

    @contextmanager
    def create(self, path: PurePath, mode: int = 0o644, *, replace: bool = False) -> Iterator[BinaryIO]:
        target = Path(path)
        _refuse_existing(target, replace)
        self._sweep(target.parent)
        with faults_named(target, "write"):
            descriptor, temporary = _new_file(target, mode)
        try:
            # Outermost: on a full disk closing fails once more, with the same words.
            with faults_named(target, "write"), os.fdopen(descriptor, "w+b") as stream:
                yield stream
                stream.flush()
                if self._durable:
                    os.fsync(descriptor)
                _publish_file(temporary, target, replace)
                self._sync_directory(target.parent)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def produced(self, path: PurePath, *, replace: bool = False) -> Iterator[PurePath]:
        target = Path(path)
        _refuse_existing(target, replace)
        self._sweep(target.parent)
        with faults_named(target, "create"):
            descriptor, directory = _new_directory(target)
        try:
            content = directory / "content"
            yield content
            with faults_named(target, "write"):
                if self._durable:
                    _sync_file(content)
                _publish_file(content, target, replace)
                self._sync_directory(target.parent)
        finally:
            os.close(descriptor)
            _remove_tree(directory)

    @contextmanager
    def tree(self, path: PurePath, *, replace_empty: bool = False, replace: bool = False) -> Iterator[DiskTree]:
        target = Path(path)
        if not replace:
            _refuse_taken(target, replace_empty)
        self._sweep(target.parent)
        with faults_named(target, "create"):
            descriptor, temporary = _new_directory(target)
        tree = DiskTree(temporary, target, self._durable)
        try:
            with faults_named(target, "write"):
                yield tree
                tree.sync()
                if replace:
                    _make_way(target)
                else:
                    _refuse_taken(target, replace_empty)
                os.rename(temporary, target)
                self._sync_directory(target.parent)
        finally:
            os.close(descriptor)
            _remove_tree(temporary)

    def make_directory(self, path: PurePath, mode: int = 0o755) -> None:
        with faults_named(path, "create"):
            Path(path).mkdir(mode=mode, parents=True, exist_ok=True)

    def remove(self, path: PurePath) -> None:
        with faults_named(path, "remove"):
            Path(path).unlink(missing_ok=True)
            self._sync_directory(Path(path).parent)

    @contextmanager
    def lock(self, path: PurePath) -> Iterator[None]:
        with file_lock(Path(path)):
            yield

    def _sync_directory(self, directory: Path) -> None:
        if self._durable:
            _sync_directory(directory)

    def _sweep(self, directory: Path) -> None:
        """Once for each directory: remove what writers left there that are dead."""
        if directory in self._swept:
            return
        self._swept.add(directory)
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(_MARK):
                    remove_if_abandoned(Path(entry.path), _remove)


class DiskTree:
    """See `OutputTree`."""

    def __init__(self, root: Path, name: Path, durable: bool) -> None:
        self._root = root
        self._name = name
        self._durable = durable
        self._directories = {root}

    @contextmanager
    def create(self, path: str, mode: int = 0o644) -> Iterator[BinaryIO]:
        relative = tree_path(path)
        self.directory(str(relative.parent))
        with faults_named(self._name / relative, "write"):
            descriptor = os.open(self._root / relative, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "w+b") as stream:
                yield stream
                stream.flush()
                if self._durable:
                    os.fsync(descriptor)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        with self.create(path, mode) as stream:
            stream.write(data)

    def directory(self, path: str) -> None:
        place = self._root / tree_path(path)
        if place not in self._directories:
            with faults_named(self._name / path, "create"):
                place.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._directories.update(parent for parent in (place, *place.parents) if parent.is_relative_to(self._root))

    def sync(self) -> None:
        """Force the names of all files to the disk."""
        if self._durable:
            for directory in self._directories:
                _sync_directory(directory)


def tree_path(path: str) -> PurePosixPath:
    """A path inside an output tree; the code that fills one never names a place outside (AssertionError)."""
    relative = PurePosixPath(path)
    assert not relative.is_absolute() and ".." not in relative.parts, f"{path!r} is outside the output"
    return relative


def too_large(path: PurePath, limit: int) -> FormatError:
    """A file that is larger than it may be."""
    return FormatError(f"`{path}` is larger than {limit} bytes", reason="file-too-large", origin=Origin(source=str(path)))


def exists_already(path: PurePath) -> ConflictError:
    """An output whose name is taken."""
    return ConflictError(
        f"`{path}` exists already",
        reason="output-exists",
        origin=Origin(source=str(path)),
        hint="remove it or name another output",
    )


def _refuse_existing(target: Path, replace: bool) -> None:
    if not replace and os.path.lexists(target):
        raise exists_already(target)


def _refuse_taken(target: Path, replace_empty: bool) -> None:
    """For directories: rename itself takes the place of an empty one, and fails on any other."""
    if not (replace_empty and target.is_dir() and not target.is_symlink() and not os.listdir(target)):
        _refuse_existing(target, replace=False)


def _make_way(target: Path) -> None:
    """Remove the directory `target` under another name, so that its own is free at once."""
    if not target.is_dir() or target.is_symlink():
        return
    descriptor, room = _new_directory(target)
    try:
        os.rename(target, room / "old")
    finally:
        os.close(descriptor)
        _remove_tree(room)


def _new_file(target: Path, mode: int) -> tuple[int, Path]:
    """A locked file beside the target."""
    while True:
        temporary = _beside(target)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        if claim(descriptor, temporary):
            return descriptor, temporary
        os.close(descriptor)


def _new_directory(target: Path) -> tuple[int, Path]:
    """A locked directory beside the target."""
    while True:
        temporary = _beside(target)
        temporary.mkdir(mode=0o755)
        with suppress(FileNotFoundError):
            descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if claim(descriptor, temporary):
                return descriptor, temporary
            os.close(descriptor)


def _beside(target: Path) -> Path:
    return target.parent / f".{target.name}.{os.urandom(8).hex()}{_MARK}"


def _remove(abandoned: Path) -> None:
    if abandoned.is_dir() and not abandoned.is_symlink():
        _remove_tree(abandoned)
    else:
        abandoned.unlink(missing_ok=True)


def _remove_tree(directory: Path) -> None:
    """No error when it is gone, as after it was renamed."""
    if os.path.lexists(directory):
        import shutil

        shutil.rmtree(directory, ignore_errors=True)


def _publish_file(temporary: Path, target: Path, replace: bool) -> None:
    """Rename; where the name must be free, by a hard link, which unlike rename fails when it is not."""
    if replace:
        os.rename(temporary, target)
        return
    try:
        os.link(temporary, target)
    except _LINKS_NOT_SUPPORTED_IS_FINE:
        _refuse_existing(target, replace=False)
        os.rename(temporary, target)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
