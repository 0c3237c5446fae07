"""Laws of open-ended slices: they concatenate to what the contents concatenate to, whoever reads them."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import shutil
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import EnvironmentFault
from apkiln.formats.deflate import blocks, codec, huffman, libz
from apkiln.formats.deflate.checksum import combine
from apkiln.formats.deflate.deflater import Deflater, compress_member, compress_slices, write_member
from apkiln.formats.deflate.member import FINAL_BLOCK, HEADER, Slice, member, trailer

CODECS = [codec.LIBDEFLATE_6, codec.ZLIB_6]


def content_of(seed: int, size: int) -> bytes:
    """Bytes with runs, text and noise, so that all block types occur."""
    source = random.Random(seed)
    parts: list[bytes] = []
    total = 0
    while total < size:
        kind = source.randrange(4)
        length = source.randrange(1, 4000)
        if kind == 0:
            part = bytes([source.randrange(256)]) * length
        elif kind == 1:
            part = source.randbytes(length)
        elif kind == 2:
            part = b"".join(b"%d word%d\n" % (number, number % 7) for number in range(length // 8))
        else:
            part = parts[source.randrange(len(parts))] if parts else b"seed"
        parts.append(part)
        total += len(part)
    return b"".join(parts)[:size]


contents = st.one_of(st.binary(max_size=3000), st.builds(content_of, st.integers(0, 2**32), st.integers(0, 90_000)))


@pytest.mark.parametrize("used", CODECS, ids=lambda used: used.name)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(contents, max_size=6))
def test_slices_concatenate(used: codec.Codec, pieces: list[bytes]) -> None:
    slices = [Slice(used.compress_piece(piece), zlib.crc32(piece), len(piece)) for piece in pieces]
    whole = b"".join(pieces)
    raw = b"".join(piece.data for piece in slices) + FINAL_BLOCK
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(raw) == whole
    assert inflater.eof and not inflater.unused_data
    assert gzip.decompress(member(slices)) == whole


@pytest.mark.parametrize("used", CODECS, ids=lambda used: used.name)
@settings(max_examples=60, deadline=None)
@given(piece=contents)
def test_a_slice_ends_on_a_byte_border_and_is_not_final(used: codec.Codec, piece: bytes) -> None:
    data = used.compress_piece(piece)
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(data) == piece
    assert not inflater.eof
    assert data.endswith(b"\x00\x00\xff\xff")


@settings(max_examples=150, deadline=None)
@given(piece=contents, level=st.integers(0, 12))
def test_the_two_block_finders_agree(piece: bytes, level: int) -> None:
    if libz.library() is None:
        pytest.skip("libz is not reachable through ctypes")
    stream = bytes(deflate.deflate_compress(piece, level))
    assert blocks.last_block_libz(stream, piece) == blocks.last_block_python(stream, piece)


@settings(max_examples=80, deadline=None)
@given(contents, st.integers(0, 9), st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED]))
def test_streams_of_zlib_can_be_opened_too(piece: bytes, level: int, strategy: int) -> None:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    stream = compressor.compress(piece) + compressor.flush()
    last = blocks.last_block_python(stream, piece)
    assert libz.library() is None or last == blocks.last_block_libz(stream, piece)
    opened = blocks.opened(stream, last)
    assert zlib.decompressobj(-15).decompress(opened + opened + FINAL_BLOCK) == piece + piece


@settings(max_examples=100, deadline=None)
@given(piece=contents, data=st.data())
def test_damaged_streams_are_refused_by_both(piece: bytes, data: st.DataObject) -> None:
    stream = bytearray(deflate.deflate_compress(piece, 6))
    place = data.draw(st.integers(0, len(stream) * 8 - 1))
    stream[place // 8] ^= 1 << (place % 8)
    damaged = bytes(stream)[: data.draw(st.integers(0, len(stream)))]
    outcomes = []
    for finder in (blocks.last_block_libz, blocks.last_block_python):
        try:
            outcomes.append(str(finder(damaged, piece)))
        except blocks.BadStreamError as error:
            outcomes.append(error.reason)
    # A flipped padding bit or an equivalent distance may leave the content as it was; both must then say the same.
    assert outcomes[0] == outcomes[1]


def test_other_content_than_claimed_is_refused() -> None:
    stream = bytes(deflate.deflate_compress(b"abc", 6))
    for claimed in (b"abd", b"ab", b"abcd", b""):
        for finder in (blocks.last_block_libz, blocks.last_block_python):
            with pytest.raises(blocks.BadStreamError) as caught:
                finder(stream, claimed)
            assert caught.value.reason == "bad-deflate"


def test_the_walker_refuses_reserved_blocks_and_truncation() -> None:
    for stream in (b"", b"\x07", b"\x01\x05\x00\x00\x00hello", b"\x01\x05\x00\xfa\xffhell", b"\x04"):
        with pytest.raises(ValueError):
            huffman.walk(stream)


@settings(max_examples=40, deadline=None)
@given(whole=contents, cuts=st.lists(st.integers(0, 90_000), max_size=8), piece_size=st.integers(1000, 40_000))
def test_slices_do_not_depend_on_chunks_or_threads(whole: bytes, cuts: list[int], piece_size: int) -> None:
    pieces = [whole[at : at + piece_size] for at in range(0, len(whole), piece_size)]
    expected = [codec.LIBDEFLATE_6.compress_piece(piece) for piece in pieces]
    borders = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    chunks = [whole[start:stop] for start, stop in itertools.pairwise(borders)]
    with ThreadPoolExecutor(3) as pool:
        for executor in (None, pool):
            deflater = Deflater(codec.LIBDEFLATE_6, executor, piece_size=piece_size)
            found = [piece for chunk in chunks for piece in deflater.feed(chunk)] + list(deflater.finish())
            assert [piece.data for piece in found] == expected
            assert (deflater.crc, deflater.length) == (zlib.crc32(whole), len(whole))
            assert [piece.crc for piece in found] == [zlib.crc32(piece) for piece in pieces]


def test_pieces_are_cut_at_four_mebibytes() -> None:
    whole = content_of(7, 70_000) * 130
    slices = compress_slices(codec.canonical_codec(), whole)
    assert [piece.length for piece in slices] == [4194304, 4194304, len(whole) - 2 * 4194304]
    assert gzip.decompress(member(slices)) == whole


def test_member_in_memory_and_streamed_are_equal_and_readable_by_others() -> None:
    whole = content_of(11, 300_000)
    data = compress_member(codec.canonical_codec(), whole)
    written = bytearray()
    assert write_member(codec.canonical_codec(), [whole[:99], b"", whole[99:]], written.extend) == len(whole)
    assert bytes(written) == data == member(compress_slices(codec.canonical_codec(), whole))
    assert data.startswith(HEADER) and gzip.decompress(data) == whole
    assert bytes(deflate.gzip_decompress(data, len(whole))) == whole
    isal_zlib = pytest.importorskip("isal.isal_zlib")
    assert isal_zlib.decompress(data, 31) == whole
    if shutil.which("gzip") is None:
        pytest.skip("no gzip program")
    assert subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True).stdout == whole
    subprocess.run(["gzip", "-t"], input=data, check=True)


def test_a_member_of_nothing() -> None:
    assert member([]) == compress_member(codec.canonical_codec(), b"") == HEADER + FINAL_BLOCK + bytes(8)
    assert gzip.decompress(member([])) == b""


@given(first=st.binary(max_size=200), second=st.binary(max_size=200))
def test_crc_of_a_concatenation(first: bytes, second: bytes) -> None:
    assert combine(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**40)), min_size=3, max_size=3))
def test_crc_combination_is_associative_beyond_four_gibibytes(parts: list[tuple[int, int]]) -> None:
    (a, _), (b, length_b), (c, length_c) = parts
    assert combine(combine(a, b, length_b), c, length_c) == combine(a, combine(b, c, length_c), length_b + length_c)


def test_crc_of_five_gibibytes_of_zeros_by_arithmetic() -> None:
    """Doubling a mebibyte of zeros reaches the length without reading it; 2^32 wraps in the trailer."""
    zeros, length, crc = zlib.crc32(bytes(2**20)), 2**20, zlib.crc32(bytes(2**20))
    while length < 4 * 2**30:
        crc, length = combine(crc, crc, length), length * 2
    crc, length = combine(crc, zeros, 2**20), length + 2**20
    assert trailer(crc, length)[-4:] == (2**20).to_bytes(4, "little")
    parts = combine(0, zeros, 2**20)
    for _ in range(4096):
        parts = combine(parts, zeros, 2**20)
    assert parts == crc


@pytest.mark.parametrize("used", CODECS, ids=lambda used: used.name)
def test_the_recorded_vector_holds(used: codec.Codec) -> None:
    assert codec.holds(used)
    assert codec.codec_named(used.name) is used


def test_the_vector_is_pinned() -> None:
    digest = hashlib.sha256(b"".join(codec.self_test_vector())).hexdigest()
    assert digest == "328ba43394977889f8dfb3ed46be6c5edf8dd509b55ffe8bf1ff6d15ca1861c0"


def test_a_codec_with_other_bytes_is_not_used() -> None:
    other = codec.Codec("libdeflate-6-4m-v1", codec.ZLIB_6.compress_piece, codec.LIBDEFLATE_6.vector_sha256)
    assert not codec.holds(other)

    def broken(piece: bytes) -> bytes:
        raise ImportError("no such library")

    assert not codec.holds(codec.Codec("absent-v1", broken, "0" * 64))


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        codec.codec_named("isal-1")
    assert caught.value.reason == "unknown-codec"


@given(st.binary(min_size=1, max_size=30_000), st.integers(1, 9000), st.booleans())
@settings(deadline=None)
def test_frames_of_zstd_follow_each_other_and_state_their_size(content: bytes, chunk: int, threaded: bool) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from backports import zstd

    with ThreadPoolExecutor(2) as pool:
        deflater = Deflater(codec.ZSTD_3, pool if threaded else None, piece_size=8192)
        frames: list[Slice] = []
        for start in range(0, len(content), chunk):
            frames += deflater.feed(content[start : start + chunk])
        frames += deflater.finish()
    assert zstd.decompress(b"".join(frame.data for frame in frames)) == content
    for number, frame in enumerate(frames):
        piece = content[number * 8192 : (number + 1) * 8192]
        assert frame.data == codec.ZSTD_3.compress_piece(piece)
        assert zstd.get_frame_info(frame.data).decompressed_size == len(piece) == frame.length


def test_zstd_frames_have_the_bytes_of_their_name() -> None:
    assert codec.codec_named("zstd-1-5-7-3-4m-v1") is codec.ZSTD_3
    assert codec.canonical_codec() is not codec.ZSTD_3
