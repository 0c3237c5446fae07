"""The head of a git bundle: which refs it holds (gitformat-bundle(5)); the pack behind it is git's own business."""

from __future__ import annotations

import re

from apkiln.core.errors import FormatError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple

MAXIMUM_HEADER = 4 * MIB
_SIGNATURE = re.compile(rb"# v([23]) git bundle\n")
_LINE = re.compile(rb"(-?)([0-9a-f]{40}(?:[0-9a-f]{24})?)(?: ([^\n]*))?")


class BundleHeader(NamedTuple):
    """What a bundle says of itself."""

    references: tuple[tuple[str, str], ...]
    """(name, object) in file order."""
    prerequisites: tuple[str, ...] = ()
    """Objects that a receiver must have already."""


def read_header(start: bytes) -> BundleHeader:
    """The header of a bundle from its first bytes (at most `MAXIMUM_HEADER` are looked at).

    FormatError `not-a-bundle`, `bundle-header-cut`.
    """
    signature = _SIGNATURE.match(start)
    if signature is None:
        raise FormatError("this is no git bundle", reason="not-a-bundle")
    end = start.find(b"\n\n", 0, MAXIMUM_HEADER)
    if end < 0:
        raise FormatError("the header of the bundle has no end", reason="bundle-header-cut")
    references: list[tuple[str, str]] = []
    prerequisites: list[str] = []
    for line in start[signature.end() : end].split(b"\n") if end >= signature.end() else []:
        if line.startswith(b"@"):
            continue  # a capability of version 3
        found = _LINE.fullmatch(line)
        if found is None:
            raise FormatError(f"{line[:80]!r} is no line of a bundle header", reason="not-a-bundle")
        if found[1]:
            prerequisites.append(found[2].decode())
        else:
            references.append(((found[3] or b"").decode("utf-8", "surrogateescape"), found[2].decode()))
    return BundleHeader(tuple(references), tuple(prerequisites))


def write_header(header: BundleHeader) -> bytes:
    """The header of a version 2 bundle."""
    lines = ["# v2 git bundle", *(f"-{one}" for one in header.prerequisites)]
    lines += [f"{found} {name}" for name, found in header.references]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "surrogateescape")
