"""Blobs in an object store that speaks S3, through obstore, with conditional creation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.secret import Secret
from apkiln.core.value import value
from apkiln.system.blob_store import CHUNK, BlobEntry, checked

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@value
class Bucket:
    """Where, and who we are there."""

    name: str
    prefix: str = ""
    endpoint: str = ""
    """Empty = the provider's own."""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: Secret = Secret("")
    session_token: Secret = Secret("")
    """Of temporary keys."""
    timeout: int = 60
    """Seconds that one request may take; a failed one is repeated with growing pauses for up to three minutes."""


class ObjectBlobs:
    """See `BlobStore`.  A blob is written with "create only"; that it exists already counts as written, so a lost
    acknowledgement is harmless.  Content passes through memory."""

    def __init__(self, store: ObjectStore, place: str) -> None:
        self._store = store
        self._place = place

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> int:
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        known = self.size(digest)
        if known is not None:
            return known
        data = b"".join(checked(digest, chunks))
        try:
            obstore.put(self._store, _path(digest), data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return len(data)
        except (BaseError, FileNotFoundError) as error:  # the latter: there is no such bucket
            raise self._fault(error, "write") from error
        return len(data)

    def read(self, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes] | None:
        size = self.size(digest)
        if size is None:
            return None
        return self._ranges(digest, offset, size if length is None else min(size, offset + length))

    def _ranges(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError

        for begin in range(start, end, CHUNK):
            try:
                yield bytes(obstore.get_range(self._store, _path(digest), start=begin, end=min(end, begin + CHUNK)))
            except (BaseError, FileNotFoundError) as error:
                raise self._fault(error, "read") from error

    def size(self, digest: Digest) -> int | None:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.head(self._store, _path(digest))["size"]
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._fault(error, "look at") from error

    def list(self) -> Iterator[BlobEntry]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = [item for batch in obstore.list(self._store, prefix="sha256") for item in batch]
        except BaseError as error:
            raise self._fault(error, "list") from error
        for item in sorted(found, key=lambda item: item["path"]):
            name = item["path"].removeprefix("sha256/").replace("/", "")
            if len(name) == 64:
                yield BlobEntry(Digest.sha256(bytes.fromhex(name)), item["size"])

    def remove(self, digest: Digest) -> None:
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.delete(self._store, _path(digest))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise self._fault(error, "remove from") from error

    def _fault(self, error: Exception, doing: str) -> ApkilnError:
        return store_fault(error, doing, self._place)


def open_bucket(bucket: Bucket) -> ObjectBlobs:
    """The blobs of a bucket.  Plain http is used where the endpoint says so.  Nothing is sent yet."""
    return ObjectBlobs(object_store(bucket), place_of(bucket))


def place_of(bucket: Bucket) -> str:
    """How people call it."""
    return f"s3://{bucket.name}/{bucket.prefix}"


def object_store(bucket: Bucket) -> ObjectStore:
    """The bucket, below its prefix."""
    from obstore.store import S3Store

    options: dict[str, str] = {"region": bucket.region}
    if bucket.endpoint:
        options["endpoint"] = bucket.endpoint
    if bucket.access_key:
        options |= {"access_key_id": bucket.access_key, "secret_access_key": bucket.secret_key.reveal()}
    if bucket.session_token.reveal():
        options["session_token"] = bucket.session_token.reveal()
    plain = bucket.endpoint.startswith("http://")
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        client_options={"allow_http": plain, "timeout": f"{bucket.timeout}s", "connect_timeout": f"{min(bucket.timeout, 10)}s"},
        virtual_hosted_style_request=False,
        **options,  # type: ignore[arg-type]
    )


def store_fault(error: Exception, doing: str, place: str) -> ApkilnError:
    """What the library says, as one of our errors (`store-unavailable`)."""
    text = str(error)
    said = text.partition("<Message>")[2].partition("</Message>")[0]
    first = (said or text.splitlines()[0])[:200]
    origin = Origin(source=place)
    return UnavailableError(f"cannot {doing} `{place}`: {first}", reason="store-unavailable", origin=origin, retriable=True)


def _path(digest: Digest) -> str:
    return f"sha256/{digest.hex[:2]}/{digest.hex[2:]}"
