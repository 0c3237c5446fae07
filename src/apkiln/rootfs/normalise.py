"""The one form in which a package's paths stand in a layer (spec image.md §6, performance.md §3.1).

Kept as in the package: path, type, mode with special bits, numeric ids, extended attributes, time, link texts, device
numbers.  Dropped: the package format's own PAX records.  Owner and group *names* are left empty, although image.md §6 would
take them from the image's account files: the bytes of a segment then depend on its package alone and are shared by all
images; every runtime uses the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.side_data import Position

NORMALISER = "n1"
"""Version of these rules; it stands in every segment key."""


def layer_entry(entry: Entry) -> Entry:
    """The entry as a layer says it."""
    return entry._replace(uname="", gname="", pax=())


def layer_header(entry: Entry) -> bytes:
    """The header blocks of an entry of a package in a layer.  Raises FormatError (see `tar_writer.header`)."""
    return tar_writer.header(layer_entry(entry), tar_writer.LAYER)


class Piece(NamedTuple):
    """A part of a variant: `literal` bytes, or, when that is empty, a range of the segment it is made from."""

    literal: bytes
    begin: int = 0
    end: int = 0


def variant_pieces(
    entries: Sequence[ContentEntry], positions: Sequence[Position], excluded: frozenset[str], moved: Mapping[str, str]
) -> tuple[Piece, ...]:
    """How the tar slice without `excluded` and with `moved` paths renamed is put together from the complete one.

    A hard link whose file is excluded becomes the file: the first one left holds the content, the others point to it.
    Unchanged neighbours are one range.
    """
    pieces: list[Piece] = []
    by_path = {item.entry.path: index for index, item in enumerate(entries)}
    heirs: dict[str, str] = {}
    for item, place in zip(entries, positions, strict=True):
        entry = item.entry
        if entry.path in excluded:
            continue
        path = moved.get(entry.path, entry.path)
        if entry.type is not EntryType.HARDLINK:
            _append(pieces, entry, entry._replace(path=path), place)
        elif entry.target not in excluded:
            _append(pieces, entry, entry._replace(path=path, target=moved.get(entry.target, entry.target)), place)
        elif entry.target in heirs:
            _append(pieces, entry, entry._replace(path=path, target=heirs[entry.target]), place)
        else:
            heirs[entry.target] = path
            source = by_path[entry.target]
            content = positions[source]
            pieces.append(Piece(layer_header(entries[source].entry._replace(path=path))))
            pieces.append(Piece(b"", content.content, content.end))
    return tuple(pieces)


def _append(pieces: list[Piece], old: Entry, new: Entry, place: Position) -> None:
    """Copy the entry when nothing changes (joined with the range before), else write a new header before its content."""
    begin = place.header
    if new != old:
        pieces.append(Piece(layer_header(new)))
        begin = place.content
    if begin == place.end:
        return
    if pieces and not pieces[-1].literal and pieces[-1].end == begin:
        pieces[-1] = Piece(b"", pieces[-1].begin, place.end)
    else:
        pieces.append(Piece(b"", begin, place.end))
