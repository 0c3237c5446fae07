"""Where a built image goes: a directory, an archive, or a plain root file system, each published whole or not at all
(spec image.md §14)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, UsageError
from apkiln.core.origin import Origin
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.oci.layout import File, docker_files, oci_files
from apkiln.formats.oci.reference import Reference
from apkiln.image.assembling import StoredLayer, find_damage, tar_chunks, write_layer
from apkiln.system.files import FileReader, Files, OutputTree, exists_already
from apkiln.system.store import Store

if TYPE_CHECKING:
    from apkiln.image.building import BuiltImage


class OutputKind(Enum):
    """The value is the word of `--output type=`."""

    OCI_DIRECTORY = "oci-dir"
    OCI_ARCHIVE = "oci-archive"
    DOCKER = "docker"
    ROOT_FILE_SYSTEM = "rootfs"


class OutputTarget(NamedTuple):
    """A form and a place."""

    kind: OutputKind
    path: str
    """As the user wrote it."""


def parse_output(text: str) -> OutputTarget:
    """`type=KIND,dest=PATH`.  Raises UsageError (`bad-output`)."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    known = {kind.value: kind for kind in OutputKind}
    kind = known.get(fields.get("type", ""))
    if kind is None or not fields.get("dest") or fields.keys() - {"type", "dest"}:
        hint = "write `type=KIND,dest=PATH` with one of " + ", ".join(f"`{name}`" for name in known)
        raise UsageError(f"`{text}` is no output", reason="bad-output", hint=hint)
    return OutputTarget(kind, fields["dest"])


def default_output(path: str) -> OutputTarget:
    """What a plain path means: `*.tar` is a docker archive, everything else a directory in OCI layout."""
    return OutputTarget(OutputKind.DOCKER if path.endswith(".tar") else OutputKind.OCI_DIRECTORY, path)


def check_target(files: FileReader, target: OutputTarget, place: PurePath) -> None:
    """Refuse early what publishing would refuse at the end.

    Raises ConflictError (`output-exists`) and UnavailableError (`missing-directory`).
    """
    status = files.status(place)
    empty = target.kind is OutputKind.OCI_DIRECTORY and status is not None and status.is_directory and not files.list(place)
    if status is not None and not empty:
        raise exists_already(place)
    parent = files.status(place.parent)
    if parent is None or not parent.is_directory:
        message = f"there is no directory `{place.parent}`"
        raise UnavailableError(message, reason="missing-directory", origin=Origin(source=str(place)))


class Publication(NamedTuple):
    """How a built image is published."""

    target: OutputTarget
    place: PurePath
    """The target's path, absolute."""
    reference: Reference
    bills: PurePath | None = None
    """Directory for bills of materials; None = in the image's directory, or beside the archive."""
    suffix: bool = True
    """Docker archives of several architectures: tags end in the architecture."""


def write_image(files: Files, store: Store, built: BuiltImage, publication: Publication) -> None:
    """Publish a built image in the form that was asked for; its name appears last, after its bills of materials.

    Raises ConflictError (`output-exists`), UsageError (`one-architecture`: a root file system is of one), VerificationError
    (`cache-entry-damaged`); in each case no image is there.
    """
    target, place, reference = publication.target, publication.place, publication.reference
    inside = target.kind is OutputKind.OCI_DIRECTORY and publication.bills is None
    if not inside and built.bills:
        write_files(files, publication.bills or place.parent, dict(built.bills))
    blobs = Blobs(store, built.layers())
    if target.kind is OutputKind.OCI_DIRECTORY:
        documents = [File(name, len(content), content) for name, content in built.bills] if inside else []
        write_directory(files, place, [*oci_files(built.images, built.index, reference), *documents], blobs)
    elif target.kind is OutputKind.OCI_ARCHIVE:
        nested = len(built.images) > 1
        write_archive(files, place, oci_files(built.images, built.index, reference, nested=nested), blobs)
    elif target.kind is OutputKind.DOCKER:
        write_archive(files, place, docker_files(built.images, reference, suffix=publication.suffix), blobs)
    else:
        write_root_file_system(files, place, store, single_layer(built))


def single_layer(built: BuiltImage) -> StoredLayer:
    """The one layer of an image of one architecture.  Raises UsageError (`one-architecture`)."""
    layers = tuple(built.layers())
    if len(layers) != 1:
        hint = "choose one with `--arch`"
        raise UsageError("a root file system is of one architecture", reason="one-architecture", hint=hint)
    return layers[0]


class Blobs:
    """The layers of an image by digest, written verified."""

    def __init__(self, store: Store, layers: Iterable[StoredLayer]) -> None:
        self._store = store
        self._layers: Mapping[Digest, StoredLayer] = {layer.digests.digest: layer for layer in layers}

    def write(self, digest: Digest, write: Callable[[bytes], object]) -> None:
        """Stream one layer.  Raises VerificationError (`cache-entry-damaged`): what was written must then be dropped."""
        write_layer(self._store, self._layers[digest], write)


def write_directory(files: Files, path: PurePath, listed: Iterable[File], blobs: Blobs) -> None:
    """The files of a layout as a directory, which must not exist or be empty (ConflictError `output-exists`)."""
    with files.tree(path, replace_empty=True) as tree:
        for file in listed:
            _write_into(tree, file, blobs)


def write_archive(files: Files, path: PurePath, listed: Iterable[File], blobs: Blobs) -> None:
    """The files of a layout as an uncompressed tar archive.  Raises ConflictError (`output-exists`)."""
    with files.create(path) as stream:
        for file in listed:
            entry = Entry(file.path, EntryType.FILE, 0o644, size=file.size)
            stream.write(tar_writer.header(entry, tar_writer.LAYER))
            _write_content(stream, file, blobs)
            stream.write(tar_writer.padding(file.size))
        stream.write(tar_writer.END_OF_ARCHIVE)


def write_root_file_system(files: Files, path: PurePath, store: Store, layer: StoredLayer) -> None:
    """The tree of a single-layer image as a tar archive: plain, or gzip when the name ends in `.gz` or `.tgz`."""
    compressed = path.name.endswith((".gz", ".tgz"))
    with files.create(path) as stream:
        if compressed:
            write_layer(store, layer, stream.write)
            return
        state = hashlib.sha256()
        for chunk in tar_chunks(store, layer.recipe):
            state.update(chunk)
            stream.write(chunk)
        if Digest.sha256(state.digest()) != layer.digests.diff_id:
            raise find_damage(store, layer.recipe)


def write_files(files: Files, directory: PurePath, contents: Mapping[str, bytes]) -> None:
    """Documents that stand beside an image, by name; each replaces an older one of its name."""
    files.make_directory(directory)
    for name, content in sorted(contents.items()):
        with files.create(directory / name, replace=True) as stream:
            stream.write(content)


def _write_into(tree: OutputTree, file: File, blobs: Blobs) -> None:
    created: AbstractContextManager[BinaryIO] = tree.create(file.path)
    with created as stream:
        _write_content(stream, file, blobs)


def _write_content(stream: BinaryIO, file: File, blobs: Blobs) -> None:
    if file.content is not None:
        stream.write(file.content)
    else:
        assert file.blob is not None, f"{file.path} has neither content nor blob"
        blobs.write(file.blob, stream.write)
