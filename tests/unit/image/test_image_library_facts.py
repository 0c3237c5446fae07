"""The library cache of packages: remembered, and independent of how big a library is."""

from __future__ import annotations

import struct
from io import BytesIO

from tests.sample_packages import sample_package

from apkiln.core.arch import Arch
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.apk.package import read_package
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.library_cache import read_cache
from apkiln.image.generated.draft import Draft
from apkiln.image.library_facts import LibraryFacts
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.segments import Segment, SegmentWriter, read_content
from apkiln.system.memory_store import MemoryStore

AMD64 = Arch.parse("amd64")
CODEC = canonical_codec()


def library(soname: str, padding: int = 0) -> bytes:
    """A 64-bit little-endian shared object with a SONAME and nothing else."""
    texts = b"\0" + soname.encode() + b"\0"
    dynamic = struct.pack("<QQQQQQ", 5, 64 + 112, 14, 1, 0, 0)
    data = 64 + 112 + len(texts)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    size = data + len(dynamic)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    link = struct.pack("<IIQQQQQQ", 2, 6, data, data, data, len(dynamic), len(dynamic), 8)
    return head + load + link + texts + dynamic + bytes(padding)


def segments_of(store: MemoryStore, files: dict[str, bytes]) -> tuple[Segment, ...]:
    package = sample_package("libs", files=files)
    with SegmentWriter(store, CODEC) as writer:
        contents = read_package(BytesIO(package.data), DEFAULT_LIMITS, sink=writer, expected=package.record)
        return (writer.finish(contents),)


def write(store: MemoryStore, segments: tuple[Segment, ...]) -> Draft:
    tree = PlannedTree(plan_tree([segment.files for segment in segments]), lambda p, path: read_content(store, segments[p], path))
    draft = Draft(tree)
    LibraryFacts(store, tree).write_cache(draft, AMD64)
    return draft


FILES = {
    "etc/ld.so.conf": b"/opt/lib\n",
    "opt/lib/libsmall.so.1.2": library("libsmall.so.1"),
    "opt/lib/libbig.so.3": library("libbig.so.3", 17 << 20),
    "opt/lib/libtext.so": b"INPUT(libsmall.so.1)",
}


def test_small_and_large_libraries_and_what_is_none() -> None:
    store = MemoryStore()
    segments = segments_of(store, FILES)
    before = store.blobs()
    rows = {row.name: row.path for row in read_cache(write(store, segments).read("etc/ld.so.cache"), "x86_64")}
    assert rows == {"libsmall.so.1": "/opt/lib/libsmall.so.1.2", "libbig.so.3": "/opt/lib/libbig.so.3"}
    assert store.blobs() == before, "no copy stays behind"


def test_the_second_time_no_library_is_read() -> None:
    store = MemoryStore()
    segments = segments_of(store, FILES)
    first = write(store, segments).read("etc/ld.so.cache")
    raw = segments[0].data.raw
    store.damage(raw, 4096 + 1500)
    assert write(store, segments).read("etc/ld.so.cache") == first


def test_another_content_is_another_cache() -> None:
    store = MemoryStore()
    first = write(store, segments_of(store, FILES)).read("etc/ld.so.cache")
    changed = FILES | {"opt/lib/libsmall.so.1.2": library("libother.so.9")}
    assert write(store, segments_of(store, changed)).read("etc/ld.so.cache") != first


def test_without_a_configuration_there_is_no_cache() -> None:
    store = MemoryStore()
    files = {path: content for path, content in FILES.items() if path != "etc/ld.so.conf"}
    assert not write(store, segments_of(store, files)).nodes
