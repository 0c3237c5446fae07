"""The `md5sums` control file: one `<32 hex>  <path>` per regular file (spec debian.md §10, §11)."""

from __future__ import annotations

import re

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.deb.deb822 import decode

_LINE = re.compile(r"(?P<digest>[0-9a-f]{32}) [ *](?P<path>.+)")


def parse_md5sums(data: bytes, origin: Origin = NOWHERE) -> tuple[tuple[str, str], ...]:
    """(path, 32 hex digits) in file order; a leading `./` is dropped.

    Raises FormatError with line: `deb-md5-syntax`, or the reasons of `paths.fault` for a bad path.
    """
    rows: list[tuple[str, str]] = []
    for number, line in enumerate(decode(data).split("\n"), 1):
        if not line:
            continue
        place = Origin(origin.source, number).filled(origin)
        found = _LINE.fullmatch(line)
        if found is None:
            raise FormatError(f"`{line[:80]}` is not an md5sums line", reason="deb-md5-syntax", origin=place)
        rows.append((paths.check(found["path"].removeprefix("./"), origin=place), found["digest"]))
    return tuple(rows)


def write_md5sums(rows: tuple[tuple[str, str], ...]) -> bytes:
    """Text form, in the order given."""
    return "".join(f"{digest}  {path}\n" for path, digest in rows).encode("utf-8", "surrogateescape")
