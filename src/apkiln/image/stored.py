"""Stored images found in a place: OCI layouts and archives, docker archives; documents checked against their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Configuration, Descriptor, Platform
from apkiln.formats.oci.layout import blob_path
from apkiln.formats.oci.parsing import (
    DockerRow,
    check_content,
    parse_configuration,
    parse_docker_manifest,
    parse_index,
    parse_manifest,
)
from apkiln.image.place import Place

_DEPTH = 4
"""Indexes inside indexes."""


class StoredLayer(NamedTuple):
    """One layer as the documents announce it."""

    name: str
    """File in the place."""
    digest: Digest | None
    """Of the stored bytes; None where the format announces none (docker archives)."""
    size: int | None
    media_type: str
    diff_id: Digest | None
    """Of the uncompressed tar; None when the configuration lists fewer layers than the manifest."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image for one platform.  Its layers are not read yet."""

    name: str
    """Digest of the manifest; for a docker archive its tag or the name of its configuration."""
    configuration: Configuration
    """Verified against its descriptor."""
    layers: tuple[StoredLayer, ...]
    """Lowest first."""
    announced: Platform | None = None
    """What the index says of the platform."""

    @property
    def arch(self) -> Arch:
        return self.configuration.platform.arch


def stored_images(place: Place, limits: Limits) -> tuple[StoredImage, ...]:
    """All images of a place, in the order of its index; documents are verified, layers are not read.

    Raises UnavailableError (`no-image`, `missing-blob`), FormatError (`bad-document`, `bad-digest`, `index-too-deep`),
    VerificationError (`digest-mismatch`, `size-mismatch`).
    """
    if place.size("index.json") is not None and place.size("oci-layout") is not None:
        return tuple(_of_index(place, place.read("index.json", limits.document), limits, _DEPTH))
    if place.size("manifest.json") is not None:
        origin = Origin(place.name, member="manifest.json")
        rows = parse_docker_manifest(place.read("manifest.json", limits.document), origin, limits)
        return tuple(_of_docker_row(place, row, limits) for row in rows)
    message = "this is neither an OCI layout nor an image archive"
    raise UnavailableError(message, reason="no-image", origin=Origin(place.name))


def choose_image(images: tuple[StoredImage, ...], arch: Arch | None, place: str) -> StoredImage:
    """The image for `arch`, or the only one.  Raises UsageError (`several-images`, `no-such-architecture`)."""
    found = tuple(image for image in images if arch is None or image.arch == arch)
    if len(found) == 1:
        return found[0]
    names = ", ".join(image.arch.apk for image in images)
    if not found:
        message = f"there is no image for `{arch}`; there are: {names or 'none'}"
        raise UsageError(message, reason="no-such-architecture", origin=Origin(place))
    message = f"there are {len(found)} images: {names}"
    raise UsageError(message, reason="several-images", origin=Origin(place), hint="choose one with `--arch`")


def _of_index(place: Place, content: bytes, limits: Limits, depth: int) -> Iterator[StoredImage]:
    if depth == 0:
        raise FormatError(f"indexes are nested deeper than {_DEPTH}", reason="index-too-deep", origin=Origin(place.name))
    for row in parse_index(content, Origin(place.name, member="index"), limits).manifests:
        if row.media_type in media_types.INDEXES:
            yield from _of_index(place, _blob(place, row, limits), limits, depth - 1)
        elif row.media_type in media_types.MANIFESTS:
            yield from _of_manifest(place, row, limits)


def _of_manifest(place: Place, row: Descriptor, limits: Limits) -> Iterator[StoredImage]:
    """The image; nothing for signatures, SBOMs and other artefacts that lie beside images."""
    manifest = parse_manifest(_blob(place, row, limits), Origin(place.name, digest=str(row.digest)), limits)
    if manifest.config.media_type not in media_types.CONFIGURATIONS:
        return
    origin = Origin(place.name, digest=str(manifest.config.digest))
    configuration = parse_configuration(_blob(place, manifest.config, limits), origin, limits)
    layers = tuple(
        StoredLayer(blob_path(layer.digest), layer.digest, layer.size, layer.media_type, _diff_id(configuration, position))
        for position, layer in enumerate(manifest.layers)
    )
    yield StoredImage(str(row.digest), configuration, layers, row.platform)


def _of_docker_row(place: Place, row: DockerRow, limits: Limits) -> StoredImage:
    content = place.read(row.configuration, limits.document)
    _check_config_name(place.name, row.configuration, content)
    configuration = parse_configuration(content, Origin(place.name, member=row.configuration), limits)
    layers = tuple(
        StoredLayer(name, None, None, "", _diff_id(configuration, position)) for position, name in enumerate(row.layers)
    )
    return StoredImage(row.tags[0] if row.tags else row.configuration, configuration, layers)


def _diff_id(configuration: Configuration, position: int) -> Digest | None:
    return configuration.diff_ids[position] if position < len(configuration.diff_ids) else None


def _check_config_name(place: str, name: str, content: bytes) -> None:
    """Docker names the configuration by its own digest; where the name is one, it must be the right one."""
    stem = name.rpartition("/")[2].removesuffix(".json").removeprefix("sha256:")
    found = hashlib.sha256(content).hexdigest()
    if len(stem) == 64 and stem != found:
        message = f"`{name}` has another digest than its name says"
        raise VerificationError(message, reason="digest-mismatch", origin=Origin(place, digest=f"sha256:{found}"))


def _blob(place: Place, descriptor: Descriptor, limits: Limits) -> bytes:
    content = place.read(blob_path(descriptor.digest), limits.document)
    check_content(descriptor, content, Origin(place.name))
    return content
