"""Segments: one pass makes them, they are slices of a layer, and variants equal what a smaller package would have given."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.archive.tar_writer import END_OF_ARCHIVE
from apkiln.formats.deflate.codec import PIECE, canonical_codec
from apkiln.formats.deflate.member import HEADER, trailer
from apkiln.rootfs import side_data
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.segment_data import SegmentData
from apkiln.rootfs.segments import Segment, SegmentWriter, load_segment, open_content, read_content, segment_key, variant
from apkiln.system.memory_store import MemoryStore

CODEC = canonical_codec()


class Item(NamedTuple):
    entry: Entry
    content: bytes = b""


def contents_of(items: Iterable[Item], name: str = "sample") -> PackageContents:
    listed = []
    for entry, content in items:
        if entry.type is EntryType.FILE:
            sha1, sha256 = hashlib.sha1(content).digest(), hashlib.sha256(content).digest()
            listed.append(ContentEntry(entry._replace(pax=((side_data.CHECKSUM_RECORD, sha1.hex()),)), sha1, sha256))
        elif entry.type is EntryType.SYMLINK:
            listed.append(ContentEntry(entry, hashlib.sha1(entry.target.encode()).digest()))
        else:
            listed.append(ContentEntry(entry))
    info = PackageInfo(name, "1.0-r0", "x86_64", description="beschreibung ü", depends=("a", "b>1"), triggers=("/usr/*",))
    digest = hashlib.sha256(repr((name, listed)).encode()).digest()
    scripts = (("post-install", b"#!/bin/sh\n"), ("trigger", b"\x00\xff"))
    signatures = (("RSA256", "key.rsa.pub", b"\x01\x02"),)
    return PackageContents(info, digest[:20], digest, 77, ((0, 0), (0, 5), (5, 72)), scripts, signatures, tuple(listed))


def write(store: MemoryStore, items: Sequence[Item], chunk: int = 1 << 20, pool: ThreadPoolExecutor | None = None) -> Segment:
    contents = contents_of(items)
    with SegmentWriter(store, CODEC, pool) as writer:
        for item, content in items:
            found = next(other.entry for other in contents.entries if other.entry.path == item.path)
            writer.entry(found)
            for begin in range(0, len(content), chunk):
                writer.content(content[begin : begin + chunk])
        return writer.finish(contents)


def blob(store: MemoryStore, digest: Digest) -> bytes:
    stream = store.open(digest)
    assert stream is not None
    return stream.read()


def raw(store: MemoryStore, data: SegmentData) -> bytes:
    return blob(store, data.raw)


names = st.sampled_from(["a", "b", "bin/x", "bin/y", "ü/1", "n" * 120, "d/" * 60 + "e"])


@st.composite
def trees(draw: st.DrawFn) -> tuple[Item, ...]:
    items: list[Item] = []
    files: list[str] = []
    directories: set[str] = set()
    for path in draw(st.lists(names, unique=True, max_size=6)):
        for depth in range(1, len(path.split("/"))):
            above = "/".join(path.split("/")[:depth])
            if above not in directories:
                directories.add(above)
                mode = draw(st.sampled_from([0o755, 0o2775, 0o1777]))
                items.append(
                    Item(Entry(above, EntryType.DIRECTORY, mode, xattrs=(("user.d", b"\x00"),) if mode == 0o1777 else ()))
                )
        kind = draw(st.sampled_from(["file", "symlink", "hardlink", "fifo"]))
        uid, mtime = draw(st.sampled_from([0, 65534, 3_000_000])), draw(st.sampled_from([0, 1_700_000_000]))
        if kind == "hardlink" and files:
            items.append(Item(Entry(path, EntryType.HARDLINK, target=draw(st.sampled_from(files)))))
            files.append(path)
        elif kind == "symlink":
            items.append(Item(Entry(path, EntryType.SYMLINK, 0o777, uid, mtime=mtime, target=draw(names))))
        elif kind == "fifo":
            items.append(Item(Entry(path, EntryType.FIFO, 0o600, uid)))
        else:
            content = draw(st.binary(max_size=1500))
            xattrs = (("security.capability", b"\x01\x00"), ("user.x", b"y\n")) if draw(st.booleans()) else ()
            entry = Entry(path, EntryType.FILE, 0o4755, uid, 7, "who", "grp", len(content), mtime, xattrs=xattrs)
            items.append(Item(entry, content))
            files.append(path)
    return tuple(items)


@settings(max_examples=80, deadline=None)
@given(items=trees())
def test_a_segment_is_a_slice_of_a_tar(items: tuple[Item, ...]) -> None:
    store = MemoryStore()
    segment = write(store, items)
    data = raw(store, segment.data)
    assert (len(data), zlib.crc32(data)) == (segment.data.raw_size, segment.data.crc)
    shipped = {item.entry.path: item for item in items}
    with tarfile.open(fileobj=io.BytesIO(data + END_OF_ARCHIVE)) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == list(segment.files.paths)
        for member in members:
            entry, content = shipped[member.name]
            assert not member.isdir() and (member.uname, member.gname) == ("", "")
            assert "APK-TOOLS.checksum.SHA1" not in member.pax_headers
            if member.isfile():
                assert (member.mode, member.uid, member.gid, member.mtime) == (entry.mode, entry.uid, entry.gid, entry.mtime)
                stream = archive.extractfile(member)
                assert stream is not None and stream.read() == content
                for name, value in entry.xattrs:
                    assert member.pax_headers[f"SCHILY.xattr.{name}"].encode("utf-8", "surrogateescape") == value
            elif member.issym():
                assert member.linkname == entry.target
            elif member.islnk():
                assert shipped[member.linkname].entry.type is EntryType.FILE


@settings(max_examples=60, deadline=None)
@given(items=trees())
def test_what_was_stored_is_loaded(items: tuple[Item, ...]) -> None:
    store = MemoryStore()
    made, contents = write(store, items), contents_of(items)
    loaded = load_segment(store, contents.sha256, CODEC.name)
    assert loaded == made
    assert loaded is not None and loaded.files.head == PackageFiles.of(contents).head
    assert loaded.files.entries() == tuple(item for item in contents.entries if item.entry.type is not EntryType.DIRECTORY)
    for field in ("paths", "symlinks", "directories", "devices"):
        assert getattr(loaded.files, field) == getattr(PackageFiles.of(contents), field)
    for item in items:
        if item.entry.type is EntryType.FILE:
            assert read_content(store, loaded, item.entry.path) == item.content


@settings(max_examples=40, deadline=None)
@given(items=trees(), chunk=st.integers(1, 700))
def test_bytes_do_not_depend_on_chunks_or_threads(items: tuple[Item, ...], chunk: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = {write(MemoryStore(), items, size, executor).data for size in (chunk, 1 << 20) for executor in (None, pool)}
    assert len(found) == 1


def test_large_files_are_cut_into_pieces_alike() -> None:
    content = bytes(range(256)) * (3 * PIECE // 512)
    items = (Item(Entry("big", EntryType.FILE, size=len(content)), content),)
    store = MemoryStore()
    with ThreadPoolExecutor(3) as pool:
        threaded = write(store, items, 65_537, pool)
    assert threaded.data == write(MemoryStore(), items).data
    data = raw(store, threaded.data)
    member = HEADER + blob(store, threaded.data.slice) + trailer(threaded.data.crc, threaded.data.raw_size)
    assert gzip.decompress(member) == data


@settings(max_examples=120, deadline=None)
@given(items=trees(), data=st.data())
def test_a_variant_is_the_segment_of_the_smaller_package(items: tuple[Item, ...], data: st.DataObject) -> None:
    store = MemoryStore()
    segment = write(store, items)
    excluded = data.draw(st.lists(st.sampled_from(segment.files.paths or ("-",)), unique=True))
    moved = {path: f"usr/{path}" for path in segment.files.paths if path.startswith("bin/") and path not in excluded}
    if data.draw(st.booleans()):
        moved = {}
    found = variant(store, segment, excluded, moved.items(), CODEC)
    expected = write(MemoryStore(), tuple(smaller(items, frozenset(excluded), moved))).data
    assert found == expected
    assert variant(store, segment, reversed(excluded), reversed(moved.items()), CODEC) == found
    if not excluded and not moved:
        assert found == segment.data


def smaller(items: Iterable[Item], excluded: frozenset[str], moved: Mapping[str, str]) -> Iterable[Item]:
    """The package as it would be without the lost paths, by the plain definition."""
    by_path = {item.entry.path: item for item in items}
    heirs: dict[str, str] = {}
    for entry, content in items:
        if entry.path in excluded:
            continue
        place = moved.get(entry.path, entry.path)
        if entry.type is not EntryType.HARDLINK:
            yield Item(entry._replace(path=place), content)
            continue
        file = by_path[entry.target]
        while file.entry.type is EntryType.HARDLINK:
            file = by_path[file.entry.target]
        name = file.entry.path
        if name not in excluded:
            yield Item(entry._replace(path=place, target=moved.get(name, name)))
        elif name in heirs:
            yield Item(entry._replace(path=place, target=heirs[name]))
        else:
            heirs[name] = place
            yield Item(file.entry._replace(path=place), file.content)


def test_links_of_a_lost_file_stay_one_file() -> None:
    """The first becomes the file, the others link to it, one of them through another link."""
    store = MemoryStore()
    hard = (("b", "a"), ("c", "b"), ("d", "a"))
    links = [Item(Entry(path, EntryType.HARDLINK, target=target)) for path, target in hard]
    segment = write(store, (Item(Entry("a", EntryType.FILE, 0o755, size=3), b"abc"), *links))
    data = variant(store, segment, ["a"], [("c", "usr/c"), ("b", "usr/b")], CODEC)
    with tarfile.open(fileobj=io.BytesIO(raw(store, data) + END_OF_ARCHIVE)) as archive:
        found = [(member.name, member.type, member.linkname, member.size) for member in archive]
    assert found == [
        ("usr/b", tarfile.REGTYPE, "", 3),
        ("usr/c", tarfile.LNKTYPE, "usr/b", 0),
        ("d", tarfile.LNKTYPE, "usr/b", 0),
    ]


FILE = Item(Entry("etc/x", EntryType.FILE, size=3), b"abc")
ETC = Item(Entry("etc", EntryType.DIRECTORY, 0o755))
SAMPLE = (ETC, FILE, Item(Entry("etc/y", EntryType.SYMLINK, 0o777, target="x")))


def test_nothing_is_published_before_the_reader_is_content() -> None:
    store = MemoryStore()
    contents = contents_of(SAMPLE)
    with pytest.raises(VerificationError), SegmentWriter(store, CODEC) as writer:
        for entry, content in SAMPLE:
            writer.entry(entry)
            if content:
                writer.content(content)
        raise VerificationError("a hash does not hold", reason="data-hash-mismatch")
    assert store.blobs() == ()
    assert load_segment(store, contents.sha256, CODEC.name) is None


def test_a_lost_blob_or_row_makes_the_segment_absent() -> None:
    for kind in ("raw", "slice"):
        store = MemoryStore()
        segment = write(store, SAMPLE)
        store.discard(getattr(segment.data, kind))
        assert load_segment(store, segment.files.head.sha256, CODEC.name) is None
    store = MemoryStore()
    segment = write(store, SAMPLE)
    store.damage_row("segments", segment.key)
    assert load_segment(store, segment.files.head.sha256, CODEC.name) is None


def test_another_codec_is_another_segment() -> None:
    store = MemoryStore()
    segment = write(store, SAMPLE)
    assert load_segment(store, segment.files.head.sha256, "zlib-6-4m-v1") is None


@pytest.mark.parametrize("offset", [0, 520])
def test_damage_is_noticed_when_bytes_are_used(offset: int) -> None:
    store = MemoryStore()
    segment = write(store, SAMPLE)
    store.damage(segment.data.raw, offset)
    with pytest.raises(VerificationError) as caught:
        variant(store, segment, ["etc/y"], (), CODEC)
    assert caught.value.reason == "cache-entry-damaged"
    assert caught.value.origin.package == "sample-1.0-r0"
    assert load_segment(store, segment.files.head.sha256, CODEC.name) is None


def test_damaged_content_is_noticed() -> None:
    store = MemoryStore()
    segment = write(store, SAMPLE)
    assert b"".join(open_content(store, segment, "etc/x")) == b"abc"
    store.damage(segment.data.raw, 513)
    with pytest.raises(VerificationError) as caught:
        read_content(store, segment, "etc/x")
    assert caught.value.reason == "cache-entry-damaged"


def test_keys_and_bytes_are_pinned() -> None:
    """A change here is a change of every cached segment: raise the version of the normaliser."""
    segment = write(MemoryStore(), SAMPLE)
    assert segment_key(bytes(32), CODEC.name) == f"{'00' * 32}.n1s1.libdeflate-6-4m-v1"
    assert segment.data.raw.hex == "a0bee841e762c988cbfa7215b793cbcf79f1994c055494dc25d391c8ee737a92"
    assert segment.data.slice.hex == "46b814448b7c9661eff51c635e3b1df8ae304821f9272e13cf8d33de9f40a1dc"


def test_the_database_lines_of_a_segment() -> None:
    assert write(MemoryStore(), SAMPLE).files.database_lines().files == (
        b"F:etc\nR:x\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nR:y\na:0:0:777\nZ:Q1EfatjsUqKYSrqv18O1FlA3hcIHI=\n"
    )
