"""The finished tree as one file: tar, cpio or a file system image; published whole or not at all (spec image.md §13)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.core.digest import Digest
from apkiln.core.errors import UsageError
from apkiln.formats.archive.cpio import cpio_stream
from apkiln.image.exports.finished_tree import FinishedTree
from apkiln.image.layer_forms import GZIP
from apkiln.image.layer_recipe import StoredLayer
from apkiln.image.layer_writing import find_damage, tar_chunks, write_layer
from apkiln.system.files import Files
from apkiln.system.store import Store

if TYPE_CHECKING:
    from apkiln.image.building import BuiltArchitecture, BuiltImage
    from apkiln.image.exports.file_systems import FileSystem, Toolbox

_GZIP_SUFFIXES = (".gz", ".tgz", ".cgz")
_ZSTD_SUFFIXES = (".zst", ".tzst")
Write = Callable[[bytes], object]


def only_architecture(built: BuiltImage) -> BuiltArchitecture:
    """Of an image of one architecture.  Raises UsageError (`one-architecture`)."""
    if len(built.architectures) != 1:
        hint = "choose one with `--arch`"
        raise UsageError("a root file system is of one architecture", reason="one-architecture", hint=hint)
    return built.architectures[0]


def write_tar(files: Files, path: PurePath, store: Store, built: BuiltArchitecture, *, replace: bool = False) -> None:
    """A tar archive, compressed as the suffix of `path` says (`.gz`, `.tgz`, `.zst`, `.tzst`).

    The only layer of an image is taken as it is stored.  Raises ConflictError (`output-exists`), VerificationError
    (`cache-entry-damaged`).
    """
    single = built.layers[0].layer if len(built.layers) == 1 else None
    with files.create(path, replace=replace) as stream:
        if single is not None and path.name.endswith(_GZIP_SUFFIXES) and single.recipe.form == GZIP:
            write_layer(store, single, stream.write)
        elif single is not None:
            _compressed(path.name, _verified_tar(store, single), stream.write)
        else:
            _compressed(path.name, FinishedTree(built.tree.draft, built.planned).tar(), stream.write)


def write_cpio(files: Files, path: PurePath, built: BuiltArchitecture, *, replace: bool = False) -> None:
    """A `newc` archive, compressed as the suffix of `path` says.  Raises as `write_tar`, and what `cpio_stream` raises."""
    tree = FinishedTree(built.tree.draft, built.planned)
    with files.create(path, replace=replace) as stream:
        _compressed(path.name, cpio_stream(tree.entries, tree.content), stream.write)


def write_file_system(
    files: Files,
    path: PurePath,
    built: BuiltArchitecture,
    system: FileSystem,
    compression: str,
    epoch: int,
    tools: Toolbox,
    *,
    replace: bool = False,
) -> None:
    """An image of a file system.  Raises ConflictError (`output-exists`) and what `make_file_system` raises."""
    from apkiln.image.exports.file_systems import ImageFacts, make_file_system

    tree = FinishedTree(built.tree.draft, built.planned)
    facts = ImageFacts(epoch, max((entry.mtime for entry in tree.entries), default=0), built.image.descriptor.digest)
    with files.produced(path, replace=replace) as output:
        make_file_system(system, tools, tree.tar, output, facts, compression)


def _verified_tar(store: Store, layer: StoredLayer) -> Iterable[bytes]:
    state = hashlib.sha256()
    for chunk in tar_chunks(store, layer.recipe):
        state.update(chunk)
        yield chunk
    if Digest.sha256(state.digest()) != layer.digests.diff_id:
        raise find_damage(store, layer.recipe)


def _compressed(name: str, chunks: Iterable[bytes], write: Write) -> None:
    """Write `chunks` in the compression that a file name asks for."""
    from apkiln.formats.deflate.codec import ZSTD_3, canonical_codec
    from apkiln.formats.deflate.deflater import Deflater, write_member

    if name.endswith(_GZIP_SUFFIXES):
        write_member(canonical_codec(), chunks, write)
    elif name.endswith(_ZSTD_SUFFIXES):
        frames = Deflater(ZSTD_3)
        for chunk in chunks:
            for frame in frames.feed(chunk):
                write(frame.data)
        for frame in frames.finish():
            write(frame.data)
    else:
        for chunk in chunks:
            write(chunk)
