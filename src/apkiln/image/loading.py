"""Images for container engines of this machine: a docker archive is streamed into the engine's own `load` (spec image.md §14).

Blobs of OCI images are compared with their digests as they stream; on a mismatch the engine gets no whole archive, and is
stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor
from apkiln.formats.oci.layout import CONTAINERD_NAME, REFERENCE_NAME
from apkiln.formats.oci.parsing import parse_configuration, parse_docker_manifest, parse_index, parse_manifest
from apkiln.formats.oci.reference import Reference, parse_reference
from apkiln.image.publishable import PlaceSource, publishable_place
from apkiln.image.publishing_plan import Publishable
from apkiln.system.process import Command, Runner

if TYPE_CHECKING:
    from apkiln.image.place import Place
    from apkiln.system.registry import BlobSource

ENGINES = ("podman", "docker")
_SECONDS = 3600.0
_SHOWN = 2000


class ArchiveFile(NamedTuple):
    """One file of the archive."""

    path: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


class LoadPlan(NamedTuple):
    """What the engine gets."""

    names: tuple[str, ...]
    """References that the image gets there."""
    arch: Arch
    files: tuple[ArchiveFile, ...]


def plan_load(image: Publishable, arch: Arch, references: Sequence[Reference]) -> LoadPlan:
    """The image for `arch`, or the only one, under its names.

    Raises UsageError `no-such-architecture`, FormatError `bad-document`.  Only documents are read.
    """
    blobs = {blob.descriptor.digest: blob.source for blob in image.blobs}
    found = {}
    for document in image.documents:
        if document.media_type in media_types.MANIFESTS:
            manifest = parse_manifest(document.content)
            if manifest.config.media_type in media_types.CONFIGURATIONS:
                content = b"".join(_verified(blobs[manifest.config.digest], manifest.config))
                found[parse_configuration(content).platform.arch] = (manifest, content)
    chosen = _choose(tuple(found), arch)
    manifest, content = found[chosen]
    config = f"{manifest.config.digest.hex}.json"
    layers = [_layer_file(layer, blobs[layer.digest]) for layer in manifest.layers]
    names = tuple(dict.fromkeys(map(_tag, references)))
    row = {"Config": config, "RepoTags": list(names), "Layers": [file.path for file in layers]}
    files = (_bytes_file("manifest.json", canonical_json.encode([row])), _bytes_file(config, content), *layers)
    return LoadPlan(names, chosen, tuple({file.path: file for file in files}.values()))


def plan_load_place(place: Place, limits: Limits, arch: Arch, reference: Reference | None) -> LoadPlan:
    """The same for a stored image.  Without `reference` the image keeps the name that it has there.

    Raises what `publishable_place` raises, UsageError `no-name`.
    """
    if place.size("oci-layout") is None and place.size("manifest.json") is not None:
        return _plan_docker_archive(place, limits, arch, reference)
    image = publishable_place(place, limits)
    return plan_load(image, arch, (reference or _stored_name(place, limits),))


def load_image(plan: LoadPlan, runner: Runner, environment: Mapping[str, str], engine: str = "") -> str:
    """Load into `engine`, or into the first of `ENGINES` that is there; the engine's name.

    Raises EnvironmentFault `missing-program`, UnavailableError `engine-failed`, VerificationError `digest-mismatch`.
    """
    for name in (engine,) if engine else ENGINES:
        command = Command(
            (name, "load"),
            environment=tuple(sorted(environment.items())),
            timeout=_SECONDS,
            feed=lambda: archive_chunks(plan.files),
        )
        try:
            result = runner.run(command)
        except EnvironmentFault as fault:
            if fault.reason == "missing-program" and not engine:
                continue
            raise
        if result.exit_code:
            words = result.stderr.decode(errors="replace").strip()[-_SHOWN:].splitlines()
            message = f"`{name} load` ended with exit code {result.exit_code}"
            raise UnavailableError(message, reason="engine-failed", origin=Origin(source=name), details=words)
        return name
    message = "no container engine is there to load into"
    raise EnvironmentFault(message, reason="missing-program", hint=f"install one of {', '.join(ENGINES)}")


def archive_chunks(files: Iterable[ArchiveFile]) -> Iterator[bytes]:
    """The archive, member by member."""
    for file in files:
        yield tar_writer.header(Entry(file.path, EntryType.FILE, 0o644, size=file.size), tar_writer.LAYER)
        yield from file.chunks()
        yield tar_writer.padding(file.size)
    yield tar_writer.END_OF_ARCHIVE


def _plan_docker_archive(place: Place, limits: Limits, arch: Arch, reference: Reference | None) -> LoadPlan:
    """One image of a docker archive: its files as they are; the engine compares layers with the configuration."""
    origin = Origin(place.name, member="manifest.json")
    found = {}
    for row in parse_docker_manifest(place.read("manifest.json", limits.document), origin, limits):
        platform = parse_configuration(place.read(row.configuration, limits.document), origin, limits).platform
        found[platform.arch] = row
    chosen = _choose(tuple(found), arch)
    row = found[chosen]
    names = (_tag(reference),) if reference else row.tags
    if not names:
        raise _no_name(place)
    document = {"Config": row.configuration, "RepoTags": list(names), "Layers": list(row.layers)}
    members = [_place_file(place, name) for name in dict.fromkeys((row.configuration, *row.layers))]
    return LoadPlan(names, chosen, (_bytes_file("manifest.json", canonical_json.encode([document])), *members))


def _choose(there: tuple[Arch, ...], wanted: Arch) -> Arch:
    if wanted in there or len(there) == 1:
        return wanted if wanted in there else there[0]
    names = ", ".join(arch.apk for arch in there)
    message = f"there is no image for `{wanted}`; there are: {names or 'none'}"
    raise UsageError(message, reason="no-such-architecture", hint="choose one with `--arch`" if there else "")


def _stored_name(place: Place, limits: Limits) -> Reference:
    origin = Origin(place.name, member="index.json")
    rows = parse_index(place.read("index.json", limits.document), origin, limits).manifests
    for row in rows:
        names = dict(row.annotations)
        text = names.get(CONTAINERD_NAME) or names.get(REFERENCE_NAME, "")
        if "/" in text or ":" in text:  # a bare tag names no image
            return parse_reference(text)
    raise _no_name(place)


def _no_name(place: Place) -> UsageError:
    return UsageError("the image has no name here", reason="no-name", origin=Origin(place.name), hint="give one with `--tag`")


def _tag(reference: Reference) -> str:
    return str(reference._replace(tag=reference.tag or "latest", digest=None))


def _layer_file(layer: Descriptor, source: BlobSource) -> ArchiveFile:
    ending = {media_types.LAYER: ".tar", media_types.LAYER_ZSTD: ".tar.zst"}.get(layer.media_type, ".tar.gz")
    return ArchiveFile(layer.digest.hex + ending, layer.size, lambda: _verified(source, layer))


def _bytes_file(path: str, content: bytes) -> ArchiveFile:
    return ArchiveFile(path, len(content), lambda: iter((content,)))


def _place_file(place: Place, name: str) -> ArchiveFile:
    size = place.size(name)
    if size is None:
        raise UnavailableError(f"`{name}` is missing", reason="missing-blob", origin=Origin(place.name))
    return ArchiveFile(name, size, PlaceSource(place, name).chunks)


def _verified(source: BlobSource, blob: Descriptor) -> Iterator[bytes]:
    """The blob; VerificationError `digest-mismatch` in place of its end when it is not what its descriptor says."""
    state, size = hashlib.new(blob.digest.algorithm), 0
    held = b""
    for chunk in source.chunks():
        yield held
        held = chunk
        state.update(chunk)
        size += len(chunk)
        if size > blob.size:
            break
    if size != blob.size or Digest(blob.digest.algorithm, state.digest()) != blob.digest:
        message = "other bytes than the descriptor says"
        raise VerificationError(message, reason="digest-mismatch", origin=Origin(digest=str(blob.digest)))
    yield held
