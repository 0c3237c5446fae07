"""Where a built image goes: a directory, an archive, or its tree as one file, each published whole or not at all
(spec image.md §13, §14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, UnavailableError, UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.oci.layout import File, docker_files, oci_files
from apkiln.formats.oci.reference import Reference
from apkiln.image.finished import FinishedImage
from apkiln.image.layer_recipe import StoredLayer
from apkiln.image.layer_writing import write_layer
from apkiln.system.files import FileReader, Files, OutputTree, exists_already
from apkiln.system.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from apkiln.image.building import BuiltImage
    from apkiln.image.exports.file_systems import FileSystem, Toolbox


class OutputKind(Enum):
    """The value is the word of `--output type=`."""

    OCI_DIRECTORY = "oci-dir"
    OCI_ARCHIVE = "oci-archive"
    DOCKER = "docker"
    ROOT_FILE_SYSTEM = "rootfs"
    CPIO = "cpio"
    EROFS = "erofs"
    SQUASHFS = "squashfs"


class OutputTarget(NamedTuple):
    """A form and a place."""

    kind: OutputKind
    path: str
    """As the user wrote it."""
    compression: str = ""
    """Of a file system; empty = the usual one of its kind."""


FILE_SYSTEMS = frozenset({OutputKind.EROFS, OutputKind.SQUASHFS})
"""Made by programs of others."""
BLOB_KINDS = frozenset({OutputKind.OCI_DIRECTORY, OutputKind.OCI_ARCHIVE, OutputKind.DOCKER})
"""Documents and layers as they are; the others are made from the tree."""


def parse_output(text: str) -> OutputTarget:
    """`type=KIND,dest=PATH`, for file systems also `compression=NAME`.  Raises UsageError (`bad-output`)."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    known = {kind.value: kind for kind in OutputKind}
    kind = known.get(fields.get("type", ""))
    allowed = {"type", "dest", "compression"} if kind in FILE_SYSTEMS else {"type", "dest"}
    if kind is None or not fields.get("dest") or fields.keys() - allowed:
        hint = "write `type=KIND,dest=PATH` with one of " + ", ".join(f"`{name}`" for name in known)
        raise UsageError(f"`{text}` is no output", reason="bad-output", hint=hint)
    return OutputTarget(kind, fields["dest"], fields.get("compression", ""))


def default_output(path: str) -> OutputTarget:
    """What a plain path means: `*.tar` is a docker archive, everything else a directory in OCI layout."""
    return OutputTarget(OutputKind.DOCKER if path.endswith(".tar") else OutputKind.OCI_DIRECTORY, path)


_LAYOUT = frozenset({"blobs", "index.json", "oci-layout"})


def check_target(
    files: FileReader, target: OutputTarget, place: PurePath, tools: Toolbox | None = None, *, replace: bool = False
) -> None:
    """Refuse early what publishing would refuse at the end.  `tools`: how the programs of file systems are run.

    `replace`: a file, or a directory that holds an OCI layout, its bills of materials and nothing else, counts as free.
    Raises ConflictError (`output-exists`, `output-holds-other-files`), UnavailableError (`missing-directory`), and for file
    systems UsageError (`bad-output`) and EnvironmentFault (`missing-program`, `program-too-old`,
    `compression-missing`).
    """
    if target.kind in FILE_SYSTEMS:
        from apkiln.image.exports.file_systems import check_program, choose_compression

        system = _file_system(target.kind)
        check_program(system, _required(tools), choose_compression(system, target.compression))
    status = files.status(place)
    empty = target.kind is OutputKind.OCI_DIRECTORY and status is not None and status.is_directory and not files.list(place)
    if status is not None and not empty:
        if not replace or status.is_directory != (target.kind is OutputKind.OCI_DIRECTORY):
            raise exists_already(place)
        _refuse_other_files(files, place, status.is_directory)
    parent = files.status(place.parent)
    if parent is None or not parent.is_directory:
        message = f"there is no directory `{place.parent}`"
        raise UnavailableError(message, reason="missing-directory", origin=Origin(source=str(place)))


def _refuse_other_files(files: FileReader, place: PurePath, is_directory: bool) -> None:
    names = files.list(place) if is_directory else ()
    others = [name for name in names if name not in _LAYOUT and not name.startswith("sbom-")]
    if others or (is_directory and "oci-layout" not in names):
        message = f"`{place}` holds more than an image: {', '.join(others[:5]) or 'no `oci-layout`'}"
        hint = "name a directory of its own for the image"
        raise ConflictError(message, reason="output-holds-other-files", origin=Origin(source=str(place)), hint=hint)


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
    replace: bool = False
    """What `check_target` took for free is replaced."""


def write_image(files: Files, store: Store, built: BuiltImage, publication: Publication, tools: Toolbox | None = None) -> None:
    """Publish a built image in the form that was asked for; its name appears last, after its bills of materials.

    Raises ConflictError (`output-exists`), UsageError (`one-architecture`: a root file system is of one), VerificationError
    (`cache-entry-damaged`), and what programs of file systems raise; in each case no image is there.
    """
    if publication.target.kind in BLOB_KINDS:
        write_finished(files, store, built.finished(), publication)
        return
    if built.bills:
        write_files(files, publication.bills or publication.place.parent, dict(built.bills))
    _write_tree(files, store, built, publication, tools)


def write_finished(files: Files, store: Store, image: FinishedImage, publication: Publication) -> None:
    """As `write_image`, for the kinds that are made of documents and layers (`BLOB_KINDS`)."""
    target, place, reference = publication.target, publication.place, publication.reference
    inside = target.kind is OutputKind.OCI_DIRECTORY and publication.bills is None
    if not inside and image.bills:
        write_files(files, publication.bills or place.parent, dict(image.bills))
    blobs = Blobs(store, image.layers())
    if target.kind is OutputKind.OCI_DIRECTORY:
        documents = [File(name, len(content), content) for name, content in image.bills] if inside else []
        write_directory(files, place, [*oci_files(image.images, image.index, reference), *documents], blobs, publication.replace)
    elif target.kind is OutputKind.OCI_ARCHIVE:
        nested = len(image.images) > 1
        write_archive(files, place, oci_files(image.images, image.index, reference, nested=nested), blobs, publication.replace)
    else:
        assert target.kind is OutputKind.DOCKER, target.kind
        write_archive(files, place, docker_files(image.images, reference, suffix=publication.suffix), blobs, publication.replace)


def _write_tree(files: Files, store: Store, built: BuiltImage, publication: Publication, tools: Toolbox | None) -> None:
    from apkiln.image.exports import writing

    target, place, replace = publication.target, publication.place, publication.replace
    if target.kind is OutputKind.ROOT_FILE_SYSTEM:
        writing.write_tar(files, place, store, writing.only_architecture(built), replace=replace)
    elif target.kind is OutputKind.CPIO:
        writing.write_cpio(files, place, writing.only_architecture(built), replace=replace)
    else:
        from apkiln.image.exports.file_systems import choose_compression

        system = _file_system(target.kind)
        compression = choose_compression(system, target.compression)
        only = writing.only_architecture(built)
        writing.write_file_system(files, place, only, system, compression, built.epoch, _required(tools), replace=replace)


def _file_system(kind: OutputKind) -> FileSystem:
    from apkiln.image.exports.file_systems import EROFS, SQUASHFS

    return EROFS if kind is OutputKind.EROFS else SQUASHFS


def _required(tools: Toolbox | None) -> Toolbox:
    assert tools is not None, "file systems need programs"
    return tools


class Blobs:
    """The layers of an image by digest, written verified."""

    def __init__(self, store: Store, layers: Iterable[StoredLayer]) -> None:
        self._store = store
        self._layers: Mapping[Digest, StoredLayer] = {layer.digests.digest: layer for layer in layers}

    def write(self, digest: Digest, write: Callable[[bytes | memoryview], object]) -> None:
        """Stream one layer.  Raises VerificationError (`cache-entry-damaged`): what was written must then be dropped."""
        write_layer(self._store, self._layers[digest], write)


def write_directory(files: Files, path: PurePath, listed: Iterable[File], blobs: Blobs, replace: bool = False) -> None:
    """The files of a layout as a directory, which must not exist or be empty (ConflictError `output-exists`) unless
    `replace`."""
    with files.tree(path, replace_empty=True, replace=replace) as tree:
        for file in listed:
            _write_into(tree, file, blobs)


def write_archive(files: Files, path: PurePath, listed: Iterable[File], blobs: Blobs, replace: bool = False) -> None:
    """The files of a layout as an uncompressed tar archive.  Raises ConflictError (`output-exists`) unless `replace`."""
    from apkiln.formats.archive import tar_writer
    from apkiln.formats.archive.entry import Entry, EntryType

    with files.create(path, replace=replace) as stream:
        for file in listed:
            entry = Entry(file.path, EntryType.FILE, 0o644, size=file.size)
            stream.write(tar_writer.header(entry, tar_writer.LAYER))
            _write_content(stream, file, blobs)
            stream.write(tar_writer.padding(file.size))
        stream.write(tar_writer.END_OF_ARCHIVE)


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
