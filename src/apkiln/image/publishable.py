"""Images that can be published: one just built, or one that lies in an OCI layout or archive.  Nothing is read before it is sent,
except for documents, which are verified."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, Pairs, describe, encode_index
from apkiln.formats.oci.layout import CONTAINERD_NAME, REFERENCE_NAME, blob_path
from apkiln.formats.oci.parsing import check_content, parse_index, parse_manifest
from apkiln.image.layer_recipe import StoredLayer
from apkiln.image.layer_writing import find_damage, member_chunks
from apkiln.image.place import Place
from apkiln.image.publishing_plan import Attachment, BytesSource, Publishable, PublishedBlob
from apkiln.system.registry import Document
from apkiln.system.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.image.finished import FinishedImage

_DEPTH = 4
_CHUNK = 1 << 20
_BILL_TYPES = {".spdx.json": "application/spdx+json", ".cdx.json": "application/vnd.cyclonedx+json"}
CREATED = "org.opencontainers.image.created"


class LayerSource(NamedTuple):
    """A layer in the store."""

    store: Store
    layer: StoredLayer

    def chunks(self) -> Iterator[bytes]:
        return member_chunks(self.store, self.layer)

    def damage(self) -> VerificationError:
        """Why the bytes are not those of the digest: the part of the cache that is damaged."""
        return find_damage(self.store, self.layer.recipe)


class PlaceSource(NamedTuple):
    """A blob of a layout or archive."""

    place: Place
    name: str

    def chunks(self) -> Iterator[bytes]:
        with self.place.open(self.name) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk


def publishable_build(built: FinishedImage, store: Store, *, attach_bills: bool = False) -> Publishable:
    """A built image, its index on top; with `attach_bills` each bill of materials is attached to what it describes."""
    blobs = [PublishedBlob(item, source) for item, source in _built_blobs(built, store)]
    documents = [Document(image.manifest, image.descriptor.media_type, image.descriptor.digest) for image in built.images]
    top = _document(encode_index(built.index), media_types.INDEX)
    image = Publishable(_distinct(blobs), (*_distinct_documents(documents), top))
    if not attach_bills:
        return image
    subjects = {item.arch.apk: document for item, document in zip(built.architectures, documents, strict=True)}
    return _with_bills(image, dict(built.bills), subjects | {"index": top}, built.index.annotations)


def publishable_place(place: Place, limits: Limits, *, attach_bills: bool = False) -> Publishable:
    """The image of an OCI layout or archive, its bytes unchanged.

    The top: the index itself where `index.json` is one (it has annotations of its own, or several rows without names: so
    image builders write it); otherwise the one row of `index.json`, which then is a table of contents.  `attach_bills`: the files
    `sbom-…` beside `index.json`, where they describe it.

    Raises UnavailableError (`no-image`, `missing-blob`), UsageError (`several-images`, `not-an-oci-image`), FormatError
    (`bad-document`, `index-too-deep`), VerificationError (`digest-mismatch`, `size-mismatch`, `sbom-of-another-image`).
    """
    if place.size("index.json") is None or place.size("oci-layout") is None:
        raise _no_image(place)
    walk = _Walk(place, limits)
    content = place.read("index.json", limits.document)
    listed = parse_index(content, Origin(place.name, member="index.json"), limits)
    top = _own_index(content, listed) if _is_own_index(listed) else None
    if top is None:
        walk.row(_only_row(listed, place), _DEPTH)
    else:
        walk.children(listed, _DEPTH)
        walk.documents.append(top)
    image = Publishable(_distinct(walk.blobs), _distinct_documents(walk.documents))
    if not attach_bills:
        return image
    subjects = {walk.archs[document.digest]: document for document in image.documents if document.digest in walk.archs}
    return _with_bills(image, _bills(place, limits), subjects | {"index": image.top}, listed.annotations)


class _Walk:
    """Everything below an index, children before parents."""

    def __init__(self, place: Place, limits: Limits) -> None:
        self.place = place
        self.limits = limits
        self.blobs: list[PublishedBlob] = []
        self.documents: list[Document] = []
        self.archs: dict[Digest, str] = {}

    def children(self, index: Index, depth: int) -> None:
        for row in index.manifests:
            self.row(row, depth)

    def row(self, row: Descriptor, depth: int) -> None:
        """One manifest or index with all that it needs."""
        origin = Origin(self.place.name, digest=str(row.digest))
        if depth == 0:
            raise FormatError(f"indexes are nested deeper than {_DEPTH}", reason="index-too-deep", origin=origin)
        content = self.place.read(blob_path(row.digest), self.limits.document)
        check_content(row, content, origin)
        if row.media_type in media_types.INDEXES:
            self.children(parse_index(content, origin, self.limits), depth - 1)
        else:
            manifest = parse_manifest(content, origin, self.limits)
            self.blobs += [self._blob(blob) for blob in (manifest.config, *manifest.layers)]
            if row.platform is not None:
                self.archs[row.digest] = row.platform.arch.apk
        self.documents.append(Document(content, row.media_type, row.digest))

    def _blob(self, blob: Descriptor) -> PublishedBlob:
        """Here it is only looked at; its digest is compared as it is sent."""
        name = blob_path(blob.digest)
        size = self.place.size(name)
        origin = Origin(self.place.name, digest=str(blob.digest))
        if size is None and not blob.urls:
            raise UnavailableError(f"`{name}` is missing", reason="missing-blob", origin=origin)
        if size is not None and size != blob.size:
            message = f"{size} bytes where the descriptor says {blob.size}"
            raise VerificationError(message, reason="size-mismatch", origin=origin)
        return PublishedBlob(blob, PlaceSource(self.place, name))


def _built_blobs(built: FinishedImage, store: Store) -> Iterator[tuple[Descriptor, BytesSource | LayerSource]]:
    for item in built.architectures:
        config = item.image.configuration
        yield describe(media_types.CONFIGURATION, config), BytesSource(config)
        for descriptor, layer in zip(item.image.layers, item.layers, strict=True):
            yield descriptor, LayerSource(store, layer)


def _is_own_index(listed: Index) -> bool:
    if listed.annotations:
        return True
    named = any(dict(row.annotations).keys() & {REFERENCE_NAME, CONTAINERD_NAME} for row in listed.manifests)
    return len(listed.manifests) > 1 and not named


def _own_index(content: bytes, listed: Index) -> Document:
    """The index as it was before a layout's writer put the tag into its row."""
    rows = tuple(row._replace(annotations=_without_names(row.annotations)) for row in listed.manifests)
    if rows != listed.manifests:
        content = encode_index(listed._replace(manifests=rows))
    return _document(content, listed.media_type)


def _without_names(annotations: Pairs) -> Pairs:
    return tuple(pair for pair in annotations if pair[0] not in {REFERENCE_NAME, CONTAINERD_NAME})


def _only_row(listed: Index, place: Place) -> Descriptor:
    if len(listed.manifests) == 1:
        return listed.manifests[0]
    if not listed.manifests:
        raise UnavailableError("the layout holds no image", reason="no-image", origin=Origin(place.name))
    names = ", ".join(dict(row.annotations).get(REFERENCE_NAME, str(row.digest)) for row in listed.manifests)
    hint = "copy the one you mean into a layout of its own"
    message = f"the layout holds {len(listed.manifests)} images: {names}"
    raise UsageError(message, reason="several-images", origin=Origin(place.name), hint=hint)


def _no_image(place: Place) -> UnavailableError | UsageError:
    if place.size("manifest.json") is not None:
        message = "a docker archive has no manifest that could be published"
        hint = "build with `--output type=oci-archive,dest=…`, or publish the definition"
        return UsageError(message, reason="not-an-oci-image", origin=Origin(place.name), hint=hint)
    return UnavailableError("this is neither an OCI layout nor an OCI archive", reason="no-image", origin=Origin(place.name))


def _bills(place: Place, limits: Limits) -> dict[str, bytes]:
    names = [name for name in place.names("") if name.startswith("sbom-") and name.endswith(tuple(_BILL_TYPES))]
    return {name: place.read(name, limits.document) for name in names}


def _with_bills(image: Publishable, bills: dict[str, bytes], subjects: dict[str, Document], annotations: Pairs) -> Publishable:
    """Attach `sbom-ARCH.…` to the image of that architecture and `sbom-index.…` to the top.

    A bill must speak of its image: VerificationError `sbom-of-another-image`.
    """
    created = tuple(pair for pair in annotations if pair[0] == CREATED)
    attachments = []
    for name, content in sorted(bills.items()):
        suffix = next(suffix for suffix in _BILL_TYPES if name.endswith(suffix))
        subject = subjects.get(name.removeprefix("sbom-").removesuffix(suffix))
        if subject is None or subject.digest.hex.encode() not in content:
            message = f"`{name}` describes none of the images that are published"
            raise VerificationError(message, reason="sbom-of-another-image", origin=Origin(source=name))
        attachments.append(Attachment(subject, name, _BILL_TYPES[suffix], content, created))
    return Publishable(image.blobs, image.documents, tuple(attachments))


def _document(content: bytes, media_type: str) -> Document:
    return Document(content, media_type, describe(media_type, content).digest)


def _distinct(blobs: list[PublishedBlob]) -> tuple[PublishedBlob, ...]:
    return tuple({blob.descriptor.digest: blob for blob in blobs}.values())


def _distinct_documents(documents: list[Document]) -> tuple[Document, ...]:
    return tuple(dict.fromkeys(documents))
