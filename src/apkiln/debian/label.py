"""The readable part of an imported version: U(v) of spec debian.md §4.2.

A label is for people.  Order never depends on it: the ledger checks each one against its neighbours.
"""

from __future__ import annotations

import re

from apkiln.formats.deb.version import parse_version

MAXIMUM_DIGITS = 15
"""Digits of one number in a label; longer ones are cut (apk numbers must stay exact in every client)."""

_NUMERIC = re.compile(r"v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)")
_LETTER = re.compile(r"(?P<letter>[a-z])(?![a-z0-9])")
_PRE_RELEASE = re.compile(r"~(?P<word>rc|beta|b|alpha|a|pre)[.]?(?P<number>[0-9]*)(?![a-z])")
_OTHER_TILDE = re.compile(r"~(?!dfsg|ds|repack|bpo|git|svn|hg|cvs)")
_PATCH = re.compile(r"p(?P<number>[0-9]+)(?![a-z])")
_SNAPSHOT = re.compile(r"[+~.](?P<word>git|svn|hg|cvs)[.r-]*(?P<number>[0-9]+)")
_REALLY = re.compile(r"[^a-z0-9]*really.*", re.DOTALL)
_VALID = re.compile(r"[0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc)[0-9]*)?(?:_(?:cvs|svn|git|hg|p)[0-9]*)?")
_PRE_WORDS = {"rc": "rc", "beta": "beta", "b": "beta", "alpha": "alpha", "a": "alpha", "pre": "pre"}


def version_label(version: str) -> str:
    """The label of a Debian version, without revision.  Raises FormatError (`version-syntax`)."""
    upstream = _REALLY.sub("", parse_version(version).upstream.lower())
    numbers = _NUMERIC.match(upstream)
    if numbers is None:
        return "0"
    numeric = ".".join(_plain(part) for part in numbers["numbers"].split("."))
    rest = upstream[numbers.end() :]
    letter = _LETTER.match(rest)
    if letter is not None:
        rest = rest[1:]
    label = numeric + (letter["letter"] if letter else "") + _pre_release(rest) + _post_release(rest)
    return label if _VALID.fullmatch(label) else numeric


def _plain(digits: str) -> str:
    return digits[:MAXIMUM_DIGITS].lstrip("0") or "0"


def _pre_release(rest: str) -> str:
    found = _PRE_RELEASE.match(rest)
    if found is not None:
        return f"_{_PRE_WORDS[found['word']]}{_cut(found['number'])}"
    if _OTHER_TILDE.match(rest) is None:
        return ""
    number = re.search(r"[0-9]+", rest)
    return "_alpha" + (_cut(number[0]) if number else "")


def _post_release(rest: str) -> str:
    patch = _PATCH.match(rest)
    if patch is not None:
        return f"_p{_cut(patch['number'])}"
    snapshot = _SNAPSHOT.search(rest)
    return f"_{snapshot['word']}{_cut(snapshot['number'])}" if snapshot else ""


def _cut(digits: str) -> str:
    """At most fifteen digits, without leading zeros; apk reads an empty number as zero."""
    return _plain(digits) if digits else ""
