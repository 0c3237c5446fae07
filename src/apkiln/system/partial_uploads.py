"""Uploads that come in several parts, kept until they are whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath

from apkiln.core.errors import ConflictError
from apkiln.core.origin import Origin
from apkiln.system.blob_store import CHUNK
from apkiln.system.files import Files


class PartialUploads:
    """Parts by the hex digest of the whole, in a directory of their own; nothing in them is verified yet."""

    def __init__(self, root: PurePath, files: Files) -> None:
        self._root = root
        self._files = files

    def received(self, digest: str) -> int:
        """Bytes that are there, from the beginning without a gap."""
        return sum(size for _, size in self._parts(digest))

    def add(self, digest: str, offset: int, chunks: Iterable[bytes]) -> int:
        """Keep a part; bytes received then.  ConflictError `upload-offset` (its hint is the right offset) unless it begins
        where the last one ended; a part that breaks off is not kept."""
        expected = self.received(digest)
        if offset != expected:
            raise ConflictError(
                f"the part begins at {offset}, {expected} bytes were received",
                reason="upload-offset",
                origin=Origin(digest=f"sha256:{digest}"),
                hint=str(expected),
            )
        directory = self._root / digest
        self._files.make_directory(directory)
        with self._files.create(directory / f"{offset:020d}") as stream:
            for chunk in chunks:
                stream.write(chunk)
        return self.received(digest)

    def content(self, digest: str) -> Iterator[bytes]:
        """Everything received, in order."""
        for path, _ in self._parts(digest):
            with self._files.open(path) as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk

    def drop(self, digest: str) -> None:
        """Forget all parts."""
        for path, _ in self._parts(digest):
            self._files.remove(path)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Forget the parts of everything else."""
        if self._files.status(self._root) is None:
            return
        for digest in self._files.list(self._root):
            if digest not in wanted:
                for name in self._files.list(self._root / digest):
                    self._files.remove(self._root / digest / name)

    def _parts(self, digest: str) -> list[tuple[PurePath, int]]:
        directory = self._root / digest
        if self._files.status(directory) is None:
            return []
        found: list[tuple[PurePath, int]] = []
        position = 0
        for name in self._files.list(directory):
            status = self._files.status(directory / name)
            if status is not None and int(name) == position:
                found.append((directory / name, status.size))
                position += status.size
        return found
