"""What goes to registries and in which order, as a value (spec image.md §14, row publish).  Pure.

For each repository: blobs, then manifests and indexes children first, then what is attached to them.  Tags are moved last,
after everything is in every repository, so that no tag ever names something incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Manifest, Pairs, describe, encode_manifest
from apkiln.formats.oci.reference import Reference
from apkiln.system.registry import MANIFEST_LIMIT, BlobSource, Document
from apkiln.system.registry_names import RepositoryName, repository_of

EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
DEFAULT_TAG = "latest"


class PublishedBlob(NamedTuple):
    """A blob and where its bytes come from."""

    descriptor: Descriptor
    source: BlobSource


class BytesSource(NamedTuple):
    """A blob that is in memory."""

    content: bytes

    def chunks(self) -> Iterator[bytes]:
        yield self.content


class Attachment(NamedTuple):
    """A document about a manifest, to be found as its referrer."""

    subject: Document
    name: str
    """File name, for people."""
    media_type: str
    content: bytes
    annotations: Pairs = ()


class AttachedArtifact(NamedTuple):
    """An attachment as registries keep it: two blobs and a manifest that names its subject."""

    subject: Document
    name: str
    blobs: tuple[PublishedBlob, ...]
    manifest: Document
    descriptor: Descriptor
    """The row in a list of referrers."""


@value
class Publishable:
    """An image, complete: everything its top document leads to."""

    blobs: tuple[PublishedBlob, ...]
    """Configurations and layers, each once."""
    documents: tuple[Document, ...]
    """Manifests and indexes, children before parents; the last is the top."""
    attachments: tuple[Attachment, ...] = ()

    @property
    def top(self) -> Document:
        return self.documents[-1]


class RepositoryPlan(NamedTuple):
    """What happens in one repository."""

    repository: RepositoryName
    mount_from: str
    """Repository of the same registry that has the blobs by then; empty = none."""
    tags: tuple[str, ...]


@value
class PublishPlan:
    """All that will be done; see `plan_lines`."""

    image: Publishable
    artifacts: tuple[AttachedArtifact, ...]
    repositories: tuple[RepositoryPlan, ...]

    @property
    def digest(self) -> Digest:
        return self.image.top.digest

    def references(self) -> tuple[str, ...]:
        """`repository@digest` of every manifest and index in every repository, the top last."""
        return tuple(f"{item.repository}@{document.digest}" for item in self.repositories for document in self.image.documents)

    def blobs(self) -> tuple[PublishedBlob, ...]:
        """Those of the image and of what is attached, each once."""
        every = (*self.image.blobs, *(blob for artifact in self.artifacts for blob in artifact.blobs))
        return tuple({blob.descriptor.digest: blob for blob in every}.values())


def plan_publication(image: Publishable, references: Sequence[Reference]) -> PublishPlan:
    """The plan for an image and the tags that it gets; a reference without tag means `latest`.

    Raises UsageError (`bad-reference`: a reference with a digest, or none at all), FormatError (`manifest-too-large`,
    `foreign-layer`: a layer whose licence or address keeps it elsewhere).
    """
    tags: dict[RepositoryName, dict[str, None]] = {}
    for reference in references:
        if reference.digest is not None:
            raise UsageError(f"`{reference}` is a digest; images are published under tags", reason="bad-reference")
        tags.setdefault(repository_of(reference), {})[reference.tag or DEFAULT_TAG] = None
    if not tags:
        raise UsageError("no tag is given to publish under", reason="bad-reference")
    _check(image)
    artifacts = tuple(attached(item) for item in image.attachments)
    return PublishPlan(image, artifacts, tuple(_repositories(tags)))


def attached(item: Attachment) -> AttachedArtifact:
    """The artifact of an attachment: an empty configuration, the document as its only layer (OCI image spec 1.1, artifacts)."""
    layer = describe(item.media_type, item.content, annotations=((TITLE, item.name),))
    subject = describe(item.subject.media_type, item.subject.content)
    empty = describe(EMPTY_TYPE, EMPTY)
    content = encode_manifest(Manifest(empty, (layer,), item.annotations, item.media_type, subject))
    row = describe(media_types.MANIFEST, content, annotations=item.annotations)._replace(artifact_type=item.media_type)
    blobs = (PublishedBlob(empty, BytesSource(EMPTY)), PublishedBlob(layer, BytesSource(item.content)))
    return AttachedArtifact(item.subject, item.name, blobs, Document(content, media_types.MANIFEST, row.digest), row)


def plan_lines(plan: PublishPlan) -> tuple[str, ...]:
    """The plan for people, in the order of what happens."""
    lines: list[str] = []
    for item in plan.repositories:
        lines.append(
            f"{item.repository}" + (f" (blobs mounted from {item.mount_from} where possible)" if item.mount_from else "")
        )
        lines += [f"  blob     {blob.descriptor.digest} {blob.descriptor.size} bytes" for blob in plan.blobs()]
        lines += [f"  {_kind(document):8} {document.digest}" for document in plan.image.documents]
        lines += [f"  attach   {item.manifest.digest} {item.name} to {item.subject.digest}" for item in plan.artifacts]
    lines += [f"tag {item.repository}:{tag} -> {plan.digest}" for item in plan.repositories for tag in item.tags]
    return tuple(lines)


def _repositories(tags: dict[RepositoryName, dict[str, None]]) -> Iterable[RepositoryPlan]:
    first: dict[str, str] = {}
    for repository, names in tags.items():
        yield RepositoryPlan(repository, first.get(repository.host, ""), tuple(names))
        first.setdefault(repository.host, repository.path)


def _check(image: Publishable) -> None:
    for document in image.documents:
        if len(document.content) > MANIFEST_LIMIT:
            message = f"a manifest of {len(document.content)} bytes is more than registries take ({MANIFEST_LIMIT})"
            raise FormatError(message, reason="manifest-too-large", origin=Origin(digest=str(document.digest)))
    for blob in image.blobs:
        if (
            blob.descriptor.urls
            or ".nondistributable." in blob.descriptor.media_type
            or ".foreign." in blob.descriptor.media_type
        ):
            message = f"a layer of type `{blob.descriptor.media_type}` may not be published elsewhere"
            raise FormatError(message, reason="foreign-layer", origin=Origin(digest=str(blob.descriptor.digest)))


def _kind(document: Document) -> str:
    return "index" if document.media_type in media_types.INDEXES else "manifest"
