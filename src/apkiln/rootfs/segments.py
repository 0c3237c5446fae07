"""Segments: the files of one package as a slice of a layer, made once and kept (spec performance.md §3.1, image.md §8.2).

A segment holds every path of a package but its directories, as consecutive tar entries without end blocks, raw and as
open-ended DEFLATE slices.  Its key is the digest of the `.apk` file, the version of the normalising rules and the codec; a
*variant* (paths excluded or moved) adds the digest of that list.  Rows are written after their blobs, so what can be found is
complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs import side_data
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.installed_text import DatabaseLines
from apkiln.rootfs.normalise import NORMALISER, FlatLinks, Piece, layer_header, variant_pieces
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.segment_data import SegmentData, decode_data, encode_data
from apkiln.rootfs.side_data import HeadRow, Position
from apkiln.system.store import BlobWriter, Store, damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import BinaryIO

    from apkiln.formats.deflate.codec import Codec

_HEADS, _ENTRIES, _VARIANTS = "segments", "segment-entries", "segment-variants"
_CHUNK = 1 << 20


@value
class Segment:
    """A stored segment: the package's paths and where its bytes are."""

    files: PackageFiles
    data: SegmentData
    """The complete segment, with every path the package ships."""
    key: str
    """Key of its rows; variants extend it."""


class _Entries(NamedTuple):
    entries: tuple[ContentEntry, ...]
    positions: tuple[Position, ...]


def segment_key(sha256: bytes, codec_name: str) -> str:
    """Key of the segment of the package file with this SHA-256."""
    return f"{sha256.hex()}.{NORMALISER}{side_data.VERSION}.{codec_name}"


def load_segment(store: Store, sha256: bytes, codec_name: str) -> Segment | None:
    """The stored segment of a package file, or None when it must be made anew (absent, damaged row, missing blob)."""
    key = segment_key(sha256, codec_name)
    stored = store.get(_HEADS, key)
    if stored is None:
        return None
    row = side_data.decode_head(stored)
    if not _present(store, row.data) or row.head.sha256 != sha256:
        return None
    return _segment(store, key, row)


def make_segment(
    store: Store,
    package: BinaryIO,
    codec: Codec,
    *,
    expected: IndexRecord | None = None,
    limits: Limits = DEFAULT_LIMITS,
    policy: PackagePolicy = STRICT,
    executor: Executor | None = None,
) -> Segment:
    """The segment of a package file that is at hand, by one complete verified read.  Raises what `read_package` raises."""
    from apkiln.formats.apk.package import read_package

    with SegmentWriter(store, codec, executor) as writer:
        return writer.finish(read_package(package, limits, policy, writer, expected))


def store_tree(
    store: Store,
    sha256: bytes,
    data: SegmentData,
    entries: tuple[ContentEntry, ...],
    positions: tuple[Position, ...],
    directories: tuple[Directory, ...],
) -> Segment:
    """Keep a tree that is no package's as a segment, to be found by `load_segment(store, sha256, data.codec)`.

    Its bytes are in the store.  `sha256` names everything that the other arguments depend on.
    """
    files = PackageFiles.of_tree(sha256, entries, directories)
    key = segment_key(sha256, data.codec)
    row = HeadRow(files.head, data, files.paths, files.symlinks, directories, (), DatabaseLines(b"", b""))
    store.put(_ENTRIES, key, side_data.encode_entries(entries, positions))
    store.put(_HEADS, key, side_data.encode_head(row))
    return _segment(store, key, row)


def read_content(store: Store, segment: Segment, path: str) -> bytes:
    """The content of one shipped file (or of the file a hard link names), verified against its SHA-256.

    Raises VerificationError (`cache-entry-damaged`), after which the segment counts as absent.
    """
    return b"".join(open_content(store, segment, path))


def content_positions(store: Store, segment: Segment) -> tuple[tuple[ContentEntry, Position], ...]:
    """Every entry that is no directory, and where it lies in the tar slice."""
    return tuple(zip(*_load_entries(store, segment.key, segment.files.paths), strict=True))


def open_content(store: Store, segment: Segment, path: str) -> Iterator[bytes]:
    """As `read_content`, in chunks; the last chunk is followed by the check, so consume all before trusting any."""
    item = segment.files.content_entry(path)
    loaded = _load_entries(store, segment.key, segment.files.paths)
    place = loaded.positions[segment.files.paths.index(item.entry.path)]
    digest = hashlib.sha256()
    with _open_raw(store, segment) as stream:
        for chunk in _range(stream, place.content, place.content + item.entry.size):
            digest.update(chunk)
            yield chunk
    if digest.digest() != item.sha256:
        raise damaged(store, segment.data.raw, Origin(member=path, package=segment.files.name_version))


def variant(
    store: Store,
    segment: Segment,
    excluded: Iterable[str],
    moved: Iterable[tuple[str, str]],
    codec: Codec,
    executor: Executor | None = None,
) -> SegmentData:
    """The bytes of a segment without the `excluded` shipped paths and with the `moved` ones renamed; made once, then kept.

    With nothing to change this is `segment.data`.  Reads the stored tar slice, not the package, and verifies it on the way.
    """
    lost, renamed = sorted(set(excluded)), dict(moved)
    if not lost and not renamed:
        return segment.data
    key = f"{segment.key}.{_variant_digest(lost, renamed)}"
    stored = store.get(_VARIANTS, key)
    if stored is not None and _present(store, data := decode_data(stored)):
        return data
    data = _make_variant(store, segment, frozenset(lost), renamed, codec, executor)
    store.put(_VARIANTS, key, encode_data(data))
    return data


class SegmentWriter:
    """Takes the data section of a package while it is read (`formats.apk.package.ContentSink`) and makes its segment.

    A context manager: `with SegmentWriter(store, codec) as writer: contents = read_package(…, sink=writer);
    segment = writer.finish(contents)`.  Left without `finish`, nothing becomes visible.  The bytes depend on the package and
    the codec alone, not on chunks or threads.  `executor`: see Deflater.
    """

    def __init__(self, store: Store, codec: Codec, executor: Executor | None = None) -> None:
        self._store = store
        self._codec = codec
        self._executor = executor
        self._stack = ExitStack()
        self._output: _Output | None = None
        self._starts: list[tuple[int, int]] = []
        self._padding = b""
        self._links = FlatLinks()

    def __enter__(self) -> SegmentWriter:
        self._output = _Output(self._store, self._codec, self._executor, self._stack)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def entry(self, entry: Entry) -> None:
        """The next entry of the data section; directories do not enter the segment."""
        self._end_entry()
        if entry.type is EntryType.DIRECTORY:
            return
        output = self._writing()
        begin = output.size
        output.write(layer_header(self._links.flat(entry)))
        self._starts.append((begin, output.size))
        self._padding = tar_writer.padding(entry.size)

    def content(self, chunk: bytes) -> None:
        """Bytes of the file announced last."""
        self._writing().write(chunk)

    def finish(self, contents: PackageContents) -> Segment:
        """Publish the segment of the package that was read completely and verified as `contents`."""
        self._end_entry()
        output = self._writing()
        data = output.commit()
        others = tuple(item for item in contents.entries if item.entry.type is not EntryType.DIRECTORY)
        ends = [begin for begin, _ in self._starts[1:]] + [output.size]
        assert len(others) == len(self._starts), "the sink saw other entries than the reader reports"
        positions = [Position(*start, end) for start, end in zip(self._starts, ends, strict=False)]
        files = PackageFiles.of(contents)
        key = segment_key(contents.sha256, self._codec.name)
        row = HeadRow(files.head, data, files.paths, files.symlinks, files.directories, files.devices, files.database_lines())
        self._store.put(_ENTRIES, key, side_data.encode_entries(others, positions))
        self._store.put(_HEADS, key, side_data.encode_head(row))
        return _segment(self._store, key, row)

    def _end_entry(self) -> None:
        if self._padding:
            self._writing().write(self._padding)
            self._padding = b""

    def _writing(self) -> _Output:
        assert self._output is not None, "a segment writer is used inside its context"
        return self._output


class _Output:
    """A segment being written: the tar slice and its compressed form, as two blobs."""

    def __init__(self, store: Store, codec: Codec, executor: Executor | None, stack: ExitStack) -> None:
        from apkiln.formats.deflate.deflater import Deflater

        self.size = 0
        """Bytes of the tar slice so far."""
        self._codec_name = codec.name
        self._buffer = bytearray()
        self._deflater = Deflater(codec, executor, ahead=1)  # there are as many writers as threads of the executor
        self._raw: BlobWriter = stack.enter_context(store.writer())
        self._slice: BlobWriter = stack.enter_context(store.writer())
        self._slice_size = self._slice_crc = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._buffer += data
        if len(self._buffer) >= _CHUNK:
            self._flush()

    def commit(self) -> SegmentData:
        self._flush()
        for piece in self._deflater.finish():
            self._write_slice(piece.data)
        raw, compressed = self._raw.commit(), self._slice.commit()
        return SegmentData(raw, self.size, self._deflater.crc, compressed, self._slice_size, self._codec_name, self._slice_crc)

    def _flush(self) -> None:
        """Hand on what was gathered: headers are small, and long pieces let other threads run."""
        data = bytes(self._buffer)
        self._buffer.clear()
        self._raw.write(data)
        for piece in self._deflater.feed(data):
            self._write_slice(piece.data)

    def _write_slice(self, data: bytes) -> None:
        from apkiln.formats.deflate.checksum import crc32

        self._slice.write(data)
        self._slice_size += len(data)
        self._slice_crc = crc32(data, self._slice_crc)


def _segment(store: Store, key: str, row: HeadRow) -> Segment:
    def load() -> tuple[ContentEntry, ...]:
        return _load_entries(store, key, row.paths).entries

    files = PackageFiles(row.head, row.paths, row.symlinks, row.directories, row.devices, load, row.database)
    return Segment(files, row.data, key)


def _load_entries(store: Store, key: str, paths: tuple[str, ...]) -> _Entries:
    stored = store.get(_ENTRIES, key)
    if stored is None:
        raise VerificationError(
            "the cache lost the file list of a package",
            reason="cache-entry-damaged",
            origin=Origin(source=f"{_ENTRIES}/{key}"),
            hint="run `apkiln cache clean` to begin with an empty cache",
        )
    return _Entries(*side_data.decode_entries(stored, paths))


def _present(store: Store, data: SegmentData) -> bool:
    return store.holds(data.raw, data.raw_size) and store.holds(data.slice, data.slice_size)


def _open_raw(store: Store, segment: Segment) -> BinaryIO:
    stream = store.open(segment.data.raw, segment.data.raw_size)
    if stream is None:
        raise damaged(store, segment.data.raw, Origin(package=segment.files.name_version))
    return stream


def _range(stream: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    stream.seek(begin)
    while begin < end:
        chunk = stream.read(min(_CHUNK, end - begin))
        if not chunk:
            return
        begin += len(chunk)
        yield chunk


def _variant_digest(excluded: list[str], moved: Mapping[str, str]) -> str:
    """Injective: one list of excluded paths and one of pairs, as canonical JSON."""
    return hashlib.sha256(canonical_json.encode([excluded, sorted(moved.items())])).hexdigest()


def _make_variant(
    store: Store,
    segment: Segment,
    excluded: frozenset[str],
    moved: Mapping[str, str],
    codec: Codec,
    executor: Executor | None,
) -> SegmentData:
    loaded = _load_entries(store, segment.key, segment.files.paths)
    pieces = variant_pieces(loaded.entries, loaded.positions, excluded, moved)
    with ExitStack() as stack:
        stream = stack.enter_context(_open_raw(store, segment))
        _verify(store, stream, segment)
        output = _Output(store, codec, executor, stack)
        _copy(stream, pieces, output.write)
        return output.commit()


def _verify(store: Store, stream: BinaryIO, segment: Segment) -> None:
    digest = hashlib.sha256()
    for chunk in _range(stream, 0, segment.data.raw_size):
        digest.update(chunk)
    if Digest.sha256(digest.digest()) != segment.data.raw:
        raise damaged(store, segment.data.raw, Origin(package=segment.files.name_version))


def _copy(stream: BinaryIO, pieces: Iterable[Piece], write: Callable[[bytes], None]) -> None:
    for piece in pieces:
        if piece.literal:
            write(piece.literal)
        else:
            for chunk in _range(stream, piece.begin, piece.end):
                write(chunk)
