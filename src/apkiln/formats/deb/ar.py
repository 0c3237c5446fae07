"""The `ar` container of `.deb` files: a magic line and members with 60-byte headers (deb(5))."""

from __future__ import annotations

import re
from typing import BinaryIO

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

MAGIC = b"!<arch>\n"
HEADER_SIZE = 60
MAXIMUM_MEMBERS = 32
"""Members of one archive; a `.deb` has three or a few more."""

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


class Member(NamedTuple):
    """One member and where its content lies."""

    name: str
    offset: int
    """First content byte, counted from the start of the file."""
    size: int


def read_members(stream: BinaryIO, origin: Origin = NOWHERE) -> tuple[Member, ...]:
    """Table of members in file order; `stream` is seekable and read from its start, contents are skipped.

    Strict: exact header end marks, decimal sizes, plain names (no long-name tables), padding of one newline, no bytes
    after the last member, no name twice.  Raises FormatError (`ar-format`, `limit-ar-members`) with the offset.
    """
    stream.seek(0)
    if stream.read(len(MAGIC)) != MAGIC:
        raise FormatError("not an `ar` archive", reason="ar-format", origin=_at(origin, 0))
    stream.seek(0, 2)
    end = stream.tell()
    members: list[Member] = []
    position = len(MAGIC)
    while position < end:
        if len(members) == MAXIMUM_MEMBERS:
            raise FormatError(f"more than {MAXIMUM_MEMBERS} members", reason="limit-ar-members", origin=_at(origin, position))
        stream.seek(position)
        member = _parse_header(stream.read(HEADER_SIZE), position, origin)
        if member.offset + member.size > end:
            raise FormatError(f"member `{member.name}` is cut off", reason="ar-format", origin=_at(origin, position))
        if any(earlier.name == member.name for earlier in members):
            raise FormatError(f"member `{member.name}` is there twice", reason="ar-format", origin=_at(origin, position))
        members.append(member)
        position = _skip_padding(stream, member.offset + member.size, end, origin)
    return tuple(members)


def _parse_header(header: bytes, position: int, origin: Origin) -> Member:
    if len(header) != HEADER_SIZE or header[58:] != b"`\n":
        raise FormatError("broken `ar` member header", reason="ar-format", origin=_at(origin, position))
    name = header[:16].rstrip(b" ").decode("latin-1").removesuffix("/")
    size = header[48:58].rstrip(b" ")
    if not _NAME.fullmatch(name) or not size.isdigit():
        raise FormatError(f"broken `ar` member header `{name}`", reason="ar-format", origin=_at(origin, position))
    return Member(name, position + HEADER_SIZE, int(size))


def _skip_padding(stream: BinaryIO, position: int, end: int, origin: Origin) -> int:
    if position % 2 == 0:
        return position
    stream.seek(position)
    # Some writers leave out the padding after the last member.
    if position < end and stream.read(1) != b"\n":
        raise FormatError("broken padding after an `ar` member", reason="ar-format", origin=_at(origin, position))
    return position + 1


def _at(origin: Origin, offset: int) -> Origin:
    return Origin(offset=offset).filled(origin)
