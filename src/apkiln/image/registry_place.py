"""An image in a registry, seen as a place in OCI layout (`image.place.Place`): so it can be audited, run, copied, built upon.

A tag is looked up once, when the place is made; from then on only digests count, so a tag that moves changes nothing.  What a
digest names is kept in the store, documents too: an image that was read whole by its digest needs no registry any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UnavailableError
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, encode_index
from apkiln.formats.oci.layout import LAYOUT_VERSION, blob_path
from apkiln.formats.oci.parsing import parse_index, parse_manifest
from apkiln.formats.oci.reference import Reference, parse_reference
from apkiln.system.registry import MANIFEST_LIMIT, Document, RegistryReader
from apkiln.system.registry_names import repository_of
from apkiln.system.store import Store, open_verified, put_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

PREFIX = "registry:"
_DOCUMENTS = "registry-documents"
"""Hex SHA-256 of a manifest or index → its media type."""


def registry_reference(place: str) -> Reference | None:
    """The reference of `registry:host/name@digest`; None when the place is something else.  Raises UsageError `bad-reference`."""
    return parse_reference(place.removeprefix(PREFIX)) if place.startswith(PREFIX) else None


class RegistryPlace:
    """See `Place`.  Blobs are fetched when they are opened, verified, and kept in the store."""

    def __init__(self, reader: RegistryReader | None, store: Store, reference: Reference) -> None:
        """Asks for the manifest; raises what `RegistryReader` raises, `not-found` among it.

        Without a reader only the store is asked: UnavailableError `offline` for what it does not have.
        """
        self.name = str(reference)
        self._reader = reader
        self._store = store
        self._repository = repository_of(reference)
        wanted = str(reference.digest) if reference.digest is not None else reference.tag or "latest"
        document = self._document(wanted)
        top = Descriptor(document.media_type, document.digest, len(document.content))
        self._known: dict[str, Descriptor] = {}
        self._documents = {"oci-layout": LAYOUT_VERSION, "index.json": encode_index(Index((top,)))}
        self._keep(top, document.content)

    def size(self, name: str) -> int | None:
        """Of documents and of blobs that a document read so far refers to."""
        if name in self._documents:
            return len(self._documents[name])
        return self._known[name].size if name in self._known else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        if name in self._documents or self._is_document(name):
            from io import BytesIO

            yield BytesIO(self.read(name, MANIFEST_LIMIT))
            return
        descriptor = self._descriptor(name)
        stream = open_verified(self._store, descriptor.digest) or self._fetch(descriptor)
        with stream:
            yield stream

    def read(self, name: str, limit: int) -> bytes:
        size = self.size(name)
        if size is None:
            raise self._missing(name)
        if size > limit:
            message = f"`{name}` is larger than {limit} bytes"
            raise FormatError(message, reason="file-too-large", origin=Origin(self.name, member=name))
        if name in self._documents:
            return self._documents[name]
        if self._is_document(name):
            descriptor = self._descriptor(name)
            document = self._document(str(descriptor.digest))
            self._keep(descriptor, document.content)
            return document.content
        with self.open(name) as stream:
            return stream.read()

    def names(self, directory: str) -> tuple[str, ...]:
        known = {*self._documents, *self._known}
        return tuple(sorted(name.rpartition("/")[2] for name in known if name.rpartition("/")[0] == directory))

    def _keep(self, descriptor: Descriptor, content: bytes) -> None:
        """A document and what it refers to."""
        self._documents[blob_path(descriptor.digest)] = content
        origin = Origin(self.name, digest=str(descriptor.digest))
        rows: tuple[Descriptor, ...]
        if descriptor.media_type in media_types.INDEXES:
            rows = parse_index(content, origin).manifests
        elif descriptor.media_type in media_types.MANIFESTS:
            manifest = parse_manifest(content, origin)
            rows = (manifest.config, *manifest.layers)
        else:
            message = f"`{descriptor.media_type}` is neither a manifest nor an index"
            raise FormatError(message, reason="bad-document", origin=origin)
        self._known |= {blob_path(row.digest): row for row in rows}

    def _is_document(self, name: str) -> bool:
        return name in self._known and self._known[name].media_type in media_types.INDEXES | media_types.MANIFESTS

    def _descriptor(self, name: str) -> Descriptor:
        if name not in self._known:
            raise self._missing(name)
        return self._known[name]

    def _document(self, reference: str) -> Document:
        """A manifest or index, by digest from the store where it is there."""
        digest = Digest.parse(reference) if reference.startswith("sha256:") else None
        media_type = self._store.get(_DOCUMENTS, digest.hex) if digest else None
        stream = open_verified(self._store, digest) if digest and media_type else None
        if digest and media_type and stream is not None:
            with stream:
                return Document(stream.read(), media_type.decode(), digest)
        found = self._online().read_manifest(self._repository, reference)
        if found.digest.algorithm == "sha256":
            put_bytes(self._store, found.content)
            self._store.put(_DOCUMENTS, found.digest.hex, found.media_type.encode())
        return found

    def _online(self) -> RegistryReader:
        if self._reader is None:
            message = f"`{self.name}` is in a registry and the network is off"
            raise UnavailableError(
                message, reason="offline", origin=Origin(self.name), hint="run once without `--offline`, with the image's digest"
            )
        return self._reader

    def _fetch(self, descriptor: Descriptor) -> BinaryIO:
        reader = self._online()
        with self._store.writer() as writer:
            reader.read_blob(self._repository, descriptor, writer.write)
            stored = writer.commit()
        stream = self._store.open(stored)
        if stream is None or (descriptor.digest.algorithm == "sha256" and stored != descriptor.digest):
            raise self._missing(str(descriptor.digest))
        return stream

    def _missing(self, name: str) -> UnavailableError:
        return UnavailableError(f"`{name}` is missing", reason="missing-blob", origin=Origin(self.name))
