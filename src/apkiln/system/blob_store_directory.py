"""Blobs in a directory: `sha256/<2 hex>/<62 hex>`, complete and on the disk before they have their name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError
from apkiln.system.blob_store import CHUNK, BlobEntry, checked
from apkiln.system.files import Files


class DirectoryBlobs:
    """See `BlobStore`.  With durable files a `put` returns after content and name are forced to the disk."""

    def __init__(self, root: PurePath, files: Files) -> None:
        self._root = root / "sha256"
        self._files = files
        self._made: set[PurePath] = set()

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> int:
        path = self._path(digest)
        if path.parent not in self._made:
            self._files.make_directory(path.parent)
            self._made.add(path.parent)
        status = self._files.status(path)
        if status is not None:
            return status.size
        size = 0
        try:
            with self._files.create(path) as stream:
                for chunk in checked(digest, chunks):
                    stream.write(chunk)
                    size += len(chunk)
        except ConflictError:  # somebody else was quicker, with the same bytes
            status = self._files.status(path)
            if status is None:
                raise
            return status.size
        return size

    def read(self, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes] | None:
        path = self._path(digest)
        if self._files.status(path) is None:
            return None
        return self._chunks(path, offset, length)

    def _chunks(self, path: PurePath, offset: int, length: int | None) -> Iterator[bytes]:
        with self._files.open(path) as stream:
            stream.seek(offset)
            left = length
            while left is None or left > 0:
                data = stream.read(CHUNK if left is None else min(CHUNK, left))
                if not data:
                    return
                left = None if left is None else left - len(data)
                yield data

    def size(self, digest: Digest) -> int | None:
        status = self._files.status(self._path(digest))
        return None if status is None else status.size

    def list(self) -> Iterator[BlobEntry]:
        if self._files.status(self._root) is None:
            return
        for fan in self._files.list(self._root):
            for name in self._files.list(self._root / fan):
                status = self._files.status(self._root / fan / name)
                if status is not None and len(fan + name) == 64:
                    yield BlobEntry(Digest.sha256(bytes.fromhex(fan + name)), status.size)

    def remove(self, digest: Digest) -> None:
        self._files.remove(self._path(digest))

    def _path(self, digest: Digest) -> PurePath:
        return self._root / digest.hex[:2] / digest.hex[2:]
