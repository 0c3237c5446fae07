"""What the Go linker writes into programs about their build (Go 1.18 and later: texts beside the mark)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple

_MARK = b"\xff Go buildinf:"
_ALIGNMENT = 16
_INLINE = 2
_TEXTS = 32
_FENCE = 16
"""Bytes before and after the module text that say nothing."""
_LARGEST = 16 << 20


class GoBuildInfo(NamedTuple):
    """Facts of one build."""

    version: str
    """Of the compiler, for example `go1.22.1`; experiments follow behind a blank."""
    settings: tuple[tuple[str, str], ...]
    """Environment and flags by name, sorted: `CGO_ENABLED`, `-tags` …"""


def read_go_build_info(data: bytes) -> GoBuildInfo | None:
    """The facts in a program given whole; None when there are none, or in the form of older compilers."""
    place = data.find(_MARK)
    # Programs that read such facts hold the mark as well: the one that counts is aligned and has its flags behind it.
    while place >= 0 and (place % _ALIGNMENT or len(data) < place + _TEXTS or data[place + 15] != _INLINE):
        place = data.find(_MARK, place + 1)
    if place < 0:
        return None
    version, end = _text(data, place + _TEXTS)
    module, _ = _text(data, end)
    lines = module[_FENCE:-_FENCE].decode("utf-8", "replace").split("\n")
    pairs = (line.removeprefix("build\t").partition("=")[::2] for line in lines if line.startswith("build\t"))
    return GoBuildInfo(version.decode("utf-8", "replace"), tuple(sorted((name, value.strip('"')) for name, value in pairs)))


def _text(data: bytes, place: int) -> tuple[bytes, int]:
    """A text with its length before it (base 128, low digits first), and where it ends; empty when it cannot be there."""
    length = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if length > min(_LARGEST, len(data) - place):
        return b"", len(data)
    return data[place : place + length], place + length
