"""Images as lists of files: OCI layout or archive, and Docker archive; writing is the caller's (spec image.md §14).

A list is a directory, or, member by member in its order, a tar archive.  Indexes come first so that a stream can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, Manifest, Pairs, Platform, describe, encode_index, encode_manifest
from apkiln.formats.oci.reference import Reference

REFERENCE_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


class File(NamedTuple):
    """One file: its bytes, or the digest of the blob whose bytes it has."""

    path: str
    size: int
    content: bytes | None = None
    blob: Digest | None = None


class Image(NamedTuple):
    """An image with its documents as bytes and its layers by reference."""

    configuration: bytes
    manifest: bytes
    layers: tuple[Descriptor, ...]
    descriptor: Descriptor
    """Of the manifest, with the platform."""


def assemble(
    configuration: bytes, layers: Sequence[Descriptor], platform: Platform, annotations: Pairs = (), *, artifact_type: str = ""
) -> Image:
    """The image of a configuration document and its layers.  `artifact_type` goes into the descriptor: apko writes one there."""
    config = describe(media_types.CONFIGURATION, configuration)
    manifest = encode_manifest(Manifest(config, tuple(layers), annotations))
    descriptor = describe(media_types.MANIFEST, manifest, platform)._replace(artifact_type=artifact_type)
    return Image(configuration, manifest, tuple(layers), descriptor)


def index_of(images: Iterable[Image], annotations: Pairs = ()) -> Index:
    """The index over images, sorted by OCI architecture name as apko sorts it."""
    rows = sorted((image.descriptor for image in images), key=lambda row: row.platform.arch.oci if row.platform else "")
    return Index(tuple(rows), annotations)


def oci_files(images: Sequence[Image], index: Index, reference: Reference | None = None, *, nested: bool = False) -> list[File]:
    """The files of an OCI layout or archive; each blob once.

    Plain: `index.json` is the index itself, as apko writes it; a single image carries the tag.  `nested`: `index.json` has one
    row, for the index, which carries the tag: the form in which clients find a tagged image of several architectures.
    """
    names = _names(reference)
    content = encode_index(index)
    top = index
    if nested:
        top = Index((describe(media_types.INDEX, content, annotations=names),))
    elif len(index.manifests) == 1:
        top = index._replace(manifests=(index.manifests[0]._replace(annotations=names),))
    files = [_file("oci-layout", LAYOUT_VERSION), _file("index.json", encode_index(top))]
    documents = ([content] if nested else []) + [part for image in images for part in (image.manifest, image.configuration)]
    files += [_document(document) for document in documents]
    files += [File(blob_path(layer.digest), layer.size, blob=layer.digest) for image in images for layer in image.layers]
    return list({file.path: file for file in files}.values())


def docker_files(images: Sequence[Image], reference: Reference, *, suffix: bool = True) -> list[File]:
    """The files of a Docker archive: one row of `manifest.json` for each image.

    With several images each tag ends in `-` and the architecture (`-armv6` and `-armv7` differ), unless `suffix` is False,
    when only the last image keeps the tag, as any reader would have it.
    """
    rows, tops = [], {}
    for number, image in enumerate(images):
        tagged = _docker_tag(image, reference, len(images) > 1 and suffix)
        kept = suffix or number == len(images) - 1
        config = _hex(image.configuration) + ".json"
        rows.append({"Config": config, "RepoTags": [str(tagged)] if kept else [], "Layers": [*map(_layer_name, image.layers)]})
        if kept and image.layers:
            tops[tagged.tag] = image.layers[-1].digest.hex
    files = [
        _file("manifest.json", canonical_json.encode(rows)),
        _file("repositories", canonical_json.encode({reference.name: tops})),
    ]
    files += [_file(_hex(image.configuration) + ".json", image.configuration) for image in images]
    files += [File(_layer_name(layer), layer.size, blob=layer.digest) for image in images for layer in image.layers]
    return list({file.path: file for file in files}.values())


def blob_path(digest: Digest) -> str:
    """Where a layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def blobs(files: Iterable[File]) -> Iterator[Digest]:
    """The blobs that a list of files needs, in order."""
    return (file.blob for file in files if file.blob is not None)


def _names(reference: Reference | None) -> Pairs:
    if reference is None or not reference.tag:
        return ()
    return ((CONTAINERD_NAME, str(reference)), (REFERENCE_NAME, reference.tag))


def _docker_tag(image: Image, reference: Reference, suffix: bool) -> Reference:
    platform = image.descriptor.platform
    assert platform is not None, "every image has a platform"
    tag = reference.tag or "latest"
    return reference._replace(tag=f"{tag}-{platform.architecture}{platform.variant}" if suffix else tag, digest=None)


def _layer_name(layer: Descriptor) -> str:
    ending = {media_types.LAYER: ".tar", media_types.LAYER_ZSTD: ".tar.zst"}.get(layer.media_type, ".tar.gz")
    return layer.digest.hex + ending


def _file(path: str, content: bytes) -> File:
    return File(path, len(content), content)


def _document(content: bytes) -> File:
    return _file(blob_path(describe("", content).digest), content)


def _hex(content: bytes) -> str:
    return describe("", content).digest.hex
