"""Which section of a package is not what it should be, when a reader stumbles before it can know."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import MIB, Limits
from apkiln.core.value import replace
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord

_MAGIC = b"\x1f\x8b\x08"
_HEAD = 16 * MIB
"""Bytes in which signature and control section are looked for."""
_TRIES = 256


def located_in_section(fault: ApkilnError, stream: BinaryIO, record: IndexRecord, limits: Limits) -> ApkilnError:
    """`fault`, its section corrected.

    A reader takes the first member for the control section until a `.SIGN.` entry tells otherwise.  When the member whose
    SHA-1 the index promised is found intact further on, what was wrong is the signature section before it.
    """
    section, slash, entry = fault.origin.member.partition("/")
    if section == "control" and _control_offset(stream, record, limits) > 0:
        fault.origin = replace(fault.origin, member=f"signature{slash}{entry}")
    return fault


def damaged_section(stream: BinaryIO, record: IndexRecord, limits: Limits) -> str:
    """The section (and entry) of a package file that was altered; `signature` when the reader finds nothing wrong, because
    only the wrapper of the signature has bytes that nothing vouches for."""
    stream.seek(0)
    try:
        read_package(stream, limits, expected=record)
    except ApkilnError as fault:
        return located_in_section(fault, stream, record, limits).origin.member or "signature"
    return "signature"


def _control_offset(stream: BinaryIO, record: IndexRecord, limits: Limits) -> int:
    """Where the promised control member begins; -1 when it is not there unharmed."""
    stream.seek(0)
    head = stream.read(_HEAD)
    for position in _positions(head):
        inflater = zlib.decompressobj(31)
        try:
            inflater.decompress(head[position:], limits.control_decompressed)
        except zlib.error:
            continue
        raw = head[position : len(head) - len(inflater.unused_data)] if inflater.eof else b""
        if hashlib.sha1(raw, usedforsecurity=False).digest() == record.identity:
            return position
    return -1


def _positions(head: bytes) -> Iterator[int]:
    position = head.find(_MAGIC)
    for _ in range(_TRIES):
        if position < 0:
            return
        yield position
        position = head.find(_MAGIC, position + 1)
