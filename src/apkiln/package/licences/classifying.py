"""Which licence a text is, by the triples of words it shares with known texts (spec package.md §15.6).

A licence is a set of hashed word triples; long texts keep a fixed part of theirs (those divisible by `step`).  The share of a
licence's triples that a text has, to the power 0.6, is the confidence: a changed word breaks three triples, so this comes near
the share of words that are the same.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple

CERTAIN = 0.9
"""Confidence from which a text counts as the licence."""
MAXIMUM_TEXT = 1 << 20
"""Characters of a text that are looked at."""
_FAINT = 0.6
_MAGIC = b"apkiln-licences-1\n"
_COPYRIGHT = re.compile(r"^\W*(?:portions )?(?:copyright|©|\(c\))\s*(?:\(c\)|©|<|\[|\d|by ).*$", re.MULTILINE)
_RIGHTS = re.compile(r"^\W*all rights reserved\W*$", re.MULTILINE)
_WORD = re.compile(r"[a-z0-9]+")


class Match(NamedTuple):
    """A licence that a text may be."""

    name: str
    """SPDX identifier; for the GNU licences the one without `-only` and `-or-later`, which the text does not tell."""
    confidence: float
    """From 0 to 1."""

    @property
    def is_certain(self) -> bool:
        return self.confidence >= CERTAIN


class Licence(NamedTuple):
    """One known text."""

    name: str
    step: int
    triples: frozenset[int]

    @classmethod
    def of(cls, name: str, found: frozenset[int]) -> Licence:
        """The licence with as many triples as are kept: all of a short text, a quarter of a long one."""
        step = 1 if len(found) < 400 else 2 if len(found) < 1000 else 4
        return cls(name, step, frozenset(one for one in found if one % step == 0))


def triples(text: str) -> frozenset[int]:
    """Hashes of all three words in a row; lines that only name holders of copyright, punctuation and case do not count."""
    lowered = text[:MAXIMUM_TEXT].lower().replace("licence", "license").replace("http://", "").replace("https://", "")
    words = _WORD.findall(_RIGHTS.sub(" ", _COPYRIGHT.sub(" ", lowered)))
    return frozenset(
        zlib.crc32(f"{one} {two} {three}".encode()) for one, two, three in zip(words, words[1:], words[2:], strict=False)
    )


class Classifier:
    """Knows licences.  Telling one text takes about a millisecond for each kilobyte."""

    def __init__(self, licences: Iterable[Licence]) -> None:
        self._licences = tuple(licences)

    def matches(self, text: str) -> tuple[Match, ...]:
        """All licences that are certainly in the text, the longest first: a file may hold several."""
        left = set(triples(text))
        found: list[Match] = []
        while (best := self._best(left)) is not None and best[1].is_certain:
            found.append(best[1])
            left -= best[0].triples
        return tuple(found)

    def best(self, text: str) -> Match | None:
        """The licence the text is nearest to, however uncertain; None when nothing comes near."""
        found = self._best(set(triples(text)))
        return found[1] if found is not None and found[1].confidence >= _FAINT else None

    def _best(self, text: set[int]) -> tuple[Licence, Match] | None:
        """What has most in common; of two that are both there, the longer one."""
        best: tuple[int, Licence, Match] | None = None
        for licence in self._licences:
            shared = len(text & licence.triples)
            gain = (2 * shared - len(licence.triples)) * licence.step
            if shared and (best is None or gain > best[0]):
                best = (gain, licence, Match(licence.name, round((shared / len(licence.triples)) ** 0.6, 4)))
        return None if best is None else (best[1], best[2])


def write_table(licences: Iterable[Licence]) -> bytes:
    """The file form: magic, then for each licence length and text of its name, step, number of triples, triples sorted."""
    parts = [_MAGIC]
    for name, step, found in licences:
        parts.append(struct.pack("<BHI", len(name.encode()), step, len(found)) + name.encode())
        parts.append(_words(array("I", sorted(found))).tobytes())
    return b"".join(parts)


def read_table(data: bytes) -> tuple[Licence, ...]:
    """What `write_table` wrote.  FormatError `bad-licence-table`."""
    if not data.startswith(_MAGIC):
        raise FormatError("this is no table of licence texts", reason="bad-licence-table")
    position, found = len(_MAGIC), []
    while position < len(data):
        length, step, count = struct.unpack_from("<BHI", data, position)
        position += struct.calcsize("<BHI")
        name = data[position : position + length].decode()
        position += length
        words = array("I")
        words.frombytes(data[position : position + 4 * count])
        position += 4 * count
        found.append(Licence(name, step, frozenset(_words(words))))
    return tuple(found)


def _words(words: array[int]) -> array[int]:
    """Little-endian on every machine."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
