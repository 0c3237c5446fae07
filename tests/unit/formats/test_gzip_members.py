"""gzip members: borders, limits, damage; isal and zlib as each other's oracle."""

from __future__ import annotations

import gzip as standard
import hashlib
import io
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import gz

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS, MIB
from apkiln.core.value import replace
from apkiln.formats.gzip import CHUNK, Engine, GzipMembers, IsalEngine, Member, ZlibEngine, inflate

ENGINES: tuple[Callable[[], Engine], ...] = (ZlibEngine, IsalEngine)
engines = pytest.mark.parametrize("engine", ENGINES, ids=["zlib", "isal"])
CONTENTS = st.lists(st.binary(max_size=2000) | st.integers(0, 60_000), min_size=1, max_size=4)
"""Bytes, or how often `ab` is repeated."""


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._step if size is None or size < 0 else min(size, self._step))


@engines
@given(contents=CONTENTS, level=st.sampled_from([0, 1, 9]), step=st.sampled_from([1, 7, 100, CHUNK]))
def test_members_are_what_was_compressed(
    engine: Callable[[], Engine], contents: list[bytes | int], level: int, step: int
) -> None:
    _check_members(engine(), [b"ab" * item if isinstance(item, int) else item for item in contents], level, step)


def _check_members(engine: Engine, contents: list[bytes], level: int, step: int) -> None:
    raws = [standard.compress(content, level, mtime=0) for content in contents]
    whole = hashlib.sha256()
    members = GzipMembers(Dribble(b"".join(raws), step), hashers=[whole], engine=engine)
    offset = 0
    for content, raw in zip(contents, raws, strict=True):
        assert not members.at_end()
        own = hashlib.sha1()
        chunks = list(members.member("x", MIB, [own]))
        assert b"".join(chunks) == content
        assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
        assert own.digest() == hashlib.sha1(raw).digest()
        assert members.finished[-1] == Member(offset, len(raw), len(content))
        offset += len(raw)
    members.require_end()
    assert whole.digest() == hashlib.sha256(b"".join(raws)).digest()


@engines
def test_optional_header_fields_are_read(engine: Callable[[], Engine]) -> None:
    fixed = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff" + b"\x03\x00abc" + b"name\0" + b"comment\0"
    header = fixed + (zlib.crc32(fixed) & 0xFFFF).to_bytes(2, "little")
    assert b"".join(GzipMembers(io.BytesIO(gz(b"hello", header=header)), engine=engine()).member("x", 100)) == b"hello"


def _flags(flags: int, extra: bytes) -> bytes:
    return gz(b"hello", header=b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + extra)


GOOD = gz(b"hello" * 100)
DAMAGED = {
    "empty": (b"", "gzip-missing"),
    "not gzip": (b"PK\x03\x04" + bytes(20), "gzip-magic"),
    "method": (b"\x1f\x8b\x07" + GOOD[3:], "gzip-method"),
    "reserved flags": (_flags(0x20, b""), "gzip-reserved-flags"),
    "reserved flags, last": (_flags(0x80, b""), "gzip-reserved-flags"),
    "long name": (_flags(8, b"n" * 1025 + b"\0"), "gzip-header-text"),
    "long comment": (_flags(16, b"n" * 4000 + b"\0"), "gzip-header-text"),
    "header checksum": (_flags(2, b"\0\0"), "gzip-header-crc"),
    "cut in header": (GOOD[:5], "gzip-truncated"),
    "cut in name": (_flags(8, b"")[:10] + b"abc", "gzip-truncated"),
    "cut in data": (GOOD[:15], "gzip-truncated"),
    "cut in trailer": (GOOD[:-1], "gzip-truncated"),
    "checksum": (gz(b"hello", crc=1), "gzip-crc"),
    "length": (gz(b"hello", length=6), "gzip-length"),
    "bad block type": (GOOD[:10] + b"\x07" + GOOD[11:], "gzip-invalid"),
    "trailing member": (GOOD + GOOD, "gzip-trailing-bytes"),
    "trailing bytes": (GOOD + b"\0", "gzip-trailing-bytes"),
}


@engines
@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_refused(engine: Callable[[], Engine], case: str) -> None:
    data, reason = DAMAGED[case]
    members = GzipMembers(io.BytesIO(data), engine=engine())
    with pytest.raises(ApkilnError) as caught:
        list(members.member("data", MIB))
        members.require_end()
    assert caught.value.reason == reason
    assert caught.value.origin.member == "data"


@engines
def test_size_limit(engine: Callable[[], Engine]) -> None:
    data = gz(bytes(1000))
    assert sum(map(len, GzipMembers(io.BytesIO(data), engine=engine()).member("x", 1000))) == 1000
    with pytest.raises(ApkilnError) as caught:
        list(GzipMembers(io.BytesIO(data), engine=engine()).member("x", 999))
    assert caught.value.reason == "gzip-too-large"


@engines
def test_a_bomb_stops_at_the_ratio(engine: Callable[[], Engine]) -> None:
    """20 MiB of zeros shrink 1,029 times; beyond the free 10 MiB only 1,000 are allowed."""
    seen = 0
    with pytest.raises(ApkilnError) as caught:
        for chunk in GzipMembers(io.BytesIO(gz(bytes(20 * MIB))), engine=engine()).member("x", 1 << 40):
            seen += len(chunk)
    assert caught.value.reason == "gzip-ratio"
    assert seen <= 10 * MIB + 2 * CHUNK
    lenient = replace(DEFAULT_LIMITS, ratio=2000)
    assert sum(map(len, GzipMembers(io.BytesIO(gz(bytes(20 * MIB))), lenient, engine=engine()).member("x", 1 << 40))) == 20 * MIB


@engines
def test_endless_empty_blocks_stop(engine: Callable[[], Engine]) -> None:
    """Stored blocks of no bytes inflate to nothing, for ever."""
    data = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\x00\x00\x00\xff\xff" * 400_000
    with pytest.raises(ApkilnError) as caught:
        list(GzipMembers(io.BytesIO(data), engine=engine()).member("x", 1000))
    assert caught.value.reason == "gzip-too-large"


@given(content=st.binary(min_size=1, max_size=3000), position=st.integers(0), change=st.integers(1, 255))
def test_engines_agree_on_damaged_data(content: bytes, position: int, change: int) -> None:
    """A flipped byte is refused by both, or harmless to both."""
    data = bytearray(gz(content))
    data[position % len(data)] ^= change

    def outcome(engine: Engine) -> bytes | str:
        members = GzipMembers(io.BytesIO(bytes(data)), engine=engine)
        try:
            result = b"".join(members.member("x", MIB))
            members.require_end()
        except ApkilnError as error:
            return error.reason if error.reason.startswith("gzip-header") else "refused"
        return result

    assert outcome(ZlibEngine()) == outcome(IsalEngine())


def test_inflate_takes_exactly_one_member() -> None:
    assert inflate(gz(b"abc"), 3) == b"abc"
    with pytest.raises(ApkilnError) as caught:
        inflate(gz(b"abc") * 2, 100)
    assert caught.value.reason == "gzip-trailing-bytes"
