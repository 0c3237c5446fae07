"""A base image complete in the store: its layers byte for byte, and the tree that they leave, as one readable thing.

Layers are read once; what was learned of them is remembered under their digests.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import ConfigurationError, FormatError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.oci.documents import Configuration
from apkiln.image.audit.layered_tree import Found, LayeredTree
from apkiln.image.layer_forms import form_of
from apkiln.image.layer_reading import LayerReader, hashed_entries
from apkiln.image.layer_recipe import LayerDigests, LayerPart, LayerRecipe, StoredLayer
from apkiln.image.place import Place
from apkiln.image.stored import StoredImage, stored_images
from apkiln.image.stored import StoredLayer as AnnouncedLayer
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.segment_data import SegmentData
from apkiln.rootfs.segments import Segment, load_segment, store_tree
from apkiln.rootfs.side_data import Position
from apkiln.system.store import BlobWriter, Store

_TABLE = "base-images"
_READING = "base-1"
"""Version of how layers are read; in place of a codec's name in the key of the tree."""
_BROKEN = frozenset({"hard-link-target", "path-through-file"})
"""What no container engine could unpack."""


@value
class StoredBase:
    """One architecture of a base image."""

    name: str
    """What it is called in annotations; empty = nothing that means anything elsewhere."""
    digest: Digest | None
    """Of its manifest; None where it has none (docker archives)."""
    configuration: Configuration
    layers: tuple[StoredLayer, ...]
    """Lowest first; each is one part that is the whole file."""
    tree: Segment
    """All its paths; contents are read with `rootfs.segments.open_content`."""
    implied: tuple[str, ...] = ()
    """Directories among them that no layer has an entry for."""

    @property
    def identity(self) -> Digest:
        """The manifest's digest; where there is none, one over the diffIDs."""
        if self.digest is not None:
            return self.digest
        return Digest.sha256(hashlib.sha256(" ".join(str(layer.digests.diff_id) for layer in self.layers).encode()).digest())


def read_base(place: Place, arch: Arch, store: Store, limits: Limits, *, name: str = "", origin: Origin) -> StoredBase:
    """The image of a place for `arch`.  `origin`: of the definition's line, for what is wrong with the choice.

    Raises ConfigurationError (`base-architecture`), VerificationError (`digest-mismatch`, `size-mismatch`), FormatError
    (`base-layer-count`, `base-path`, `hard-link-target`, `path-through-file`), what `stored_images` and `LayerReader` raise.
    """
    image = _choose(stored_images(place, limits), arch, origin)
    if len(image.layers) != len(image.configuration.diff_ids):
        message = f"{len(image.layers)} layers, but {len(image.configuration.diff_ids)} diffIDs"
        raise FormatError(message, reason="base-layer-count", origin=Origin(place.name))
    digest = Digest.parse(image.name) if image.name.startswith("sha256:") else None
    known = _remembered(image, store)
    found = known or _read(place, image, store, limits)
    return StoredBase(name, digest, image.configuration, found.layers, found.tree, found.implied)


def _choose(images: tuple[StoredImage, ...], arch: Arch, origin: Origin) -> StoredImage:
    found = [image for image in images if image.arch == arch]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(image.arch.oci for image in images)) or "nothing"
    message = f"the base image is not one image for {arch.oci}; it has {names}"
    raise ConfigurationError(message, reason="base-architecture", origin=origin)


class _Found(NamedTuple):
    layers: tuple[StoredLayer, ...]
    tree: Segment
    implied: tuple[str, ...]


def _remembered(image: StoredImage, store: Store) -> _Found | None:
    key = _key(image)
    row = store.get(_TABLE, key.hex())
    tree = load_segment(store, key, _READING)
    if row is None or tree is None:
        return None
    document = json.loads(row)
    layers = tuple(_stored(_Row(*fields)) for fields in document["layers"])
    if any(store.size(layer.digests.digest) != layer.digests.size for layer in layers):
        return None
    return _Found(layers, tree, tuple(document["implied"]))


def _key(image: StoredImage) -> bytes:
    described = [_READING, [[str(layer.digest), str(layer.diff_id)] for layer in image.layers]]
    return hashlib.sha256(canonical_json.encode(described)).digest()


class _Row(NamedTuple):
    """What is remembered of a layer."""

    name: str
    digest: str
    size: int
    diff_id: str
    raw_size: int
    crc: int
    form: str
    """As `layer_forms.STORED` has it."""


def _stored(row: _Row) -> StoredLayer:
    digest, raw = Digest.parse(row.digest), Digest.parse(row.diff_id)
    part = LayerPart(row.name, SegmentData(raw, row.raw_size, row.crc, digest, row.size, row.form))
    return StoredLayer(LayerRecipe((part,)), LayerDigests(digest, raw, row.size, form_of(row.form).media_type))


def _read(place: Place, image: StoredImage, store: Store, limits: Limits) -> _Found:
    tree = LayeredTree()
    places: dict[str, int] = {}
    rows: list[_Row] = []
    with store.writer() as joined:
        tee = _Tee(joined)
        for number, layer in enumerate(image.layers, 1):
            with place.open(layer.name) as stream, store.writer() as copy:
                rows.append(_read_layer(layer, number, _Copying(stream, copy), tee, tree, places, limits))
                copy.commit(Digest.parse(rows[-1].digest))
        raw = joined.commit()
    _refuse_broken(tree, place)
    key = _key(image)
    data = SegmentData(raw, tee.size, tee.crc, raw, tee.size, _READING)
    entries, positions = _entries(tree.found, places, place.name)
    directories = _directories(tree.found)
    stored = store_tree(store, key, data, entries, positions, directories)
    implied = tuple(item.path for item in directories if item.path not in tree)
    store.put(_TABLE, key.hex(), canonical_json.encode({"layers": rows, "implied": implied}))
    return _Found(tuple(map(_stored, rows)), stored, implied)


def _read_layer(
    layer: AnnouncedLayer,
    number: int,
    stream: _Copying,
    tee: _Tee,
    tree: LayeredTree,
    places: dict[str, int],
    limits: Limits,
) -> _Row:
    """Lay one layer over the tree and compare it with what was announced.  `places`: path → where its content is in the
    joined tars; names joined by hard links share a place."""
    begin = tee.size
    tee.start()
    name = f"layer {number} of the base image"
    reader = LayerReader(stream, limits, name=name, sink=tee.write)  # type: ignore[arg-type]  # read() is all it uses
    found: dict[str, int] = {}

    def noted() -> Iterator[tuple[Entry, Iterator[bytes]]]:
        for entry, chunks in reader:
            if entry.type is EntryType.FILE:
                found[entry.path] = begin + reader.offset
            elif entry.type is EntryType.HARDLINK:
                found[entry.path] = found.get(entry.target, places.get(entry.target, -1))
            yield entry, chunks

    tree.apply(list(hashed_entries(noted())), number)
    places |= found
    measured = reader.measured
    origin = Origin(name)
    for what, announced, actual in (("digest", layer.digest, measured.digest), ("diffID", layer.diff_id, measured.diff_id)):
        if announced is not None and announced != actual:
            raise VerificationError(f"the {what} is {actual}, not {announced}", reason="digest-mismatch", origin=origin)
    if layer.size is not None and layer.size != measured.size:
        raise VerificationError(f"{measured.size} bytes, not {layer.size}", reason="size-mismatch", origin=origin)
    form = f"stored-{measured.compression.value}"
    return _Row(name, str(measured.digest), measured.size, str(measured.diff_id), tee.size - begin, tee.layer_crc, form)


class _Tee:
    """The tars of all layers, one after the other."""

    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer
        self.size = 0
        self.crc = 0
        self.layer_crc = 0

    def start(self) -> None:
        self.layer_crc = 0

    def write(self, chunk: bytes) -> None:
        self._writer.write(chunk)
        self.size += len(chunk)
        self.crc = zlib.crc32(chunk, self.crc)
        self.layer_crc = zlib.crc32(chunk, self.layer_crc)


class _Copying:
    """A stream whose bytes are also written to the store as they are read."""

    def __init__(self, stream: BinaryIO, copy: BlobWriter) -> None:
        self._stream = stream
        self._copy = copy

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._copy.write(data)
        return data


def _refuse_broken(tree: LayeredTree, place: Place) -> None:
    for violation in tree.violations:
        if violation.rule in _BROKEN:
            origin = Origin(place.name, member=violation.path)
            message = f"expected was {violation.expected}, found is {violation.found}"
            raise FormatError(message, reason=violation.rule, origin=origin)


def _entries(
    found: Mapping[str, Found], places: dict[str, int], source: str
) -> tuple[tuple[ContentEntry, ...], tuple[Position, ...]]:
    """Everything but directories, by path; of names of one file the first is the FILE."""
    entries, positions = [], []
    first: dict[int, str] = {}
    for path, item in sorted(found.items()):
        entry = _checked(item.entry, source)
        if entry.type is EntryType.DIRECTORY:
            continue
        begin = places.get(path, -1) if entry.type is EntryType.FILE else -1
        if begin >= 0 and entry.size and first.setdefault(begin, path) != path:
            link = entry._replace(type=EntryType.HARDLINK, size=0, target=first[begin])
            entries.append(ContentEntry(link))
        else:
            entries.append(ContentEntry(entry, item.sha1, item.sha256))
        start = max(begin, 0)
        positions.append(Position(start, start, start + entry.size))
    return tuple(entries), tuple(positions)


def _directories(found: Mapping[str, Found]) -> tuple[Directory, ...]:
    """All directories, parents first, with those that layers leave out: engines make these 0755, owned by root."""
    listed = {path: Directory.of(item.entry) for path, item in found.items() if item.entry.type is EntryType.DIRECTORY}
    for path in found:
        while path := paths.parent(path):
            listed.setdefault(path, Directory(path))
    return tuple(listed[path] for path in sorted(listed))


def _checked(entry: Entry, source: str) -> Entry:
    """The entry as it can be remembered."""
    text = f"{entry.path}\n{entry.target}" if entry.target else entry.path
    numbers = (entry.uid, entry.gid, *entry.device)
    try:
        text.encode()
        good = text.count("\n") == (1 if entry.target else 0)
    except UnicodeEncodeError:
        good = False
    if not good or not all(0 <= number < 1 << 32 for number in numbers) or not -(1 << 63) <= entry.mtime < 1 << 63:
        message = "a name, time or owner of the base image cannot be used"
        raise FormatError(message, reason="base-path", origin=Origin(source, member=paths.printable(entry.path)))
    return entry._replace(uname="", gname="", pax=())
