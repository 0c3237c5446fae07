"""The store of several machines in a bucket: blobs as of `ObjectBlobs`, rows below `tables/`.

There are no locks: two machines that do the same work at once both publish it, and what they publish is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.system.blob_store import CHUNK
from apkiln.system.blob_store_object import Bucket, ObjectBlobs, object_store, place_of, store_fault
from apkiln.system.spool import IN_MEMORY, DiskSpools
from apkiln.system.store import check_key, seal_row, unseal_row

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_LARGEST_ROW = 64 * MIB


class BucketStore:
    """See `SharedStore`.  UnavailableError `store-unavailable` when the bucket cannot be reached or refuses."""

    def __init__(self, objects: ObjectStore, place: str) -> None:
        self._objects = objects
        self._place = place
        self._blobs = ObjectBlobs(objects, place)

    @contextmanager
    def writer(self) -> Iterator[BucketBlobWriter]:
        """The content is gathered here, because a bucket wants its digest first."""
        with DiskSpools().spool() as spool:
            yield BucketBlobWriter(self._blobs, spool)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO | None:
        """A copy on this machine, fetched whole."""
        import tempfile

        chunks = self._blobs.read(digest)
        if chunks is None or (size is not None and not self.holds(digest, size)):
            return None
        spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - handed out open
        try:
            for chunk in chunks:
                spool.write(chunk)
            spool.seek(0)
        except BaseException:
            spool.close()
            raise
        return cast("BinaryIO", spool)

    def holds(self, digest: Digest, size: int) -> bool:
        return self._blobs.size(digest) == size

    def get(self, table: str, key: str) -> bytes | None:
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = obstore.get(self._objects, _row(table, key))
            if found.meta["size"] > _LARGEST_ROW:
                return None
            return unseal_row(table, key, bytes(found.bytes()))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise store_fault(error, "read", self._place) from error

    def put(self, table: str, key: str, value: bytes) -> None:
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.put(self._objects, _row(table, key), seal_row(table, key, value), use_multipart=False)
        except (BaseError, FileNotFoundError) as error:
            raise store_fault(error, "write", self._place) from error

    def discard(self, digest: Digest) -> None:
        self._blobs.remove(digest)


class BucketBlobWriter:
    """See `BlobWriter`."""

    def __init__(self, blobs: ObjectBlobs, spool: BinaryIO) -> None:
        self._blobs = blobs
        self._spool = spool
        self._state = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._state.update(data)
        self._spool.write(data)

    def commit(self, expected: Digest | None = None) -> Digest:
        digest = Digest.sha256(self._state.digest())
        if expected is not None and expected != digest:
            message = f"expected {expected}, the content is {digest}"
            raise VerificationError(message, reason="digest-mismatch", origin=Origin(digest=str(expected)))
        self._spool.seek(0)
        self._blobs.put(digest, iter(lambda: self._spool.read(CHUNK), b""))
        return digest


def open_bucket_store(bucket: Bucket) -> BucketStore:
    """Nothing is sent yet."""
    return BucketStore(object_store(bucket), place_of(bucket))


def _row(table: str, key: str) -> str:
    return f"tables/{check_key(table)}/{check_key(key)}"
