"""Where the bytes of a segment are, and the stored form of that."""

from __future__ import annotations

import json

from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SegmentData(NamedTuple):
    """The bytes of a segment: a slice of a layer's tar, and the same compressed."""

    raw: Digest
    """SHA-256 of the tar slice, which is its name in the store."""
    raw_size: int
    crc: int
    """CRC-32 of the tar slice."""
    slice: Digest
    """SHA-256 of the open-ended DEFLATE slices, joined; its name in the store."""
    slice_size: int
    codec: str
    """Name of the codec that made the slices."""
    slice_crc: int = -1
    """CRC-32 of the joined slices; -1 in rows that do not say."""


def data_row(data: SegmentData) -> list[Any]:
    return [data.raw.hex, data.raw_size, data.crc, data.slice.hex, data.slice_size, data.codec, data.slice_crc]


def data_of_row(stored: list[Any]) -> SegmentData:
    """The inverse of `data_row`."""
    raw, raw_size, crc, compressed, *rest = stored
    return SegmentData(Digest.sha256(bytes.fromhex(raw)), raw_size, crc, Digest.sha256(bytes.fromhex(compressed)), *rest)


def encode_data(data: SegmentData) -> bytes:
    """A row that holds the bytes of a variant only."""
    return json.dumps(data_row(data)).encode()


def decode_data(row: bytes) -> SegmentData:
    """The inverse of `encode_data`."""
    return data_of_row(json.loads(row))
