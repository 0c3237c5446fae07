"""The one form in which a package's paths stand in a layer (spec image.md §6, performance.md §3.1).

Kept as in the package: path, type, mode with special bits, numeric ids, extended attributes, time, link texts, device
numbers.  Dropped: the package format's own PAX records.  Owner and group *names* are left empty, although image.md §6 would
take them from the image's account files: the bytes of a segment then depend on its package alone and are shared by all
images; every runtime uses the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.side_data import Position

NORMALISER = "n1"
"""Version of these rules; it stands in every segment key."""


def layer_header(entry: Entry) -> bytes:
    """The header blocks of an entry of a package in a layer.  Raises FormatError (see `tar_writer.header`)."""
    return tar_writer.header(entry._replace(uname="", gname="", pax=()), tar_writer.LAYER)


class FlatLinks:
    """Hard links as they come: each gets the file it ends at as its target, never another link."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    def flat(self, entry: Entry) -> Entry:
        """The entry, to be called for every entry in archive order."""
        if entry.type is not EntryType.HARDLINK:
            return entry
        self._files[entry.path] = file = self._files.get(entry.target, entry.target)
        return entry._replace(target=file)


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
    links = FlatLinks()
    heirs: dict[str, str] = {}
    """Lost file → place of the link that holds its content now."""
    for item, position in zip(entries, positions, strict=True):
        entry = links.flat(item.entry)
        if entry.path in excluded:
            continue
        place = moved.get(entry.path, entry.path)
        if entry.type is not EntryType.HARDLINK:
            _append(pieces, entry, entry._replace(path=place), position)
        elif entry.target not in excluded:
            _append(pieces, entry, entry._replace(path=place, target=moved.get(entry.target, entry.target)), position)
        elif entry.target in heirs:
            _append(pieces, entry, entry._replace(path=place, target=heirs[entry.target]), position)
        else:
            heirs[entry.target] = place
            source = by_path[entry.target]
            pieces.append(Piece(layer_header(entries[source].entry._replace(path=place))))
            if positions[source].content < positions[source].end:
                pieces.append(Piece(b"", positions[source].content, positions[source].end))
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
