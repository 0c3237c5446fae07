"""Two C libraries in one image: packages imported from Debian beside packages built against another libc (debian.md §1).

Loader paths, library places and versions differ, so such an image may start and fail later.  It is refused (MIXED_LIBC).
"""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ConflictError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern

IMPORTED = "debian-base-layout"
"""Package that every image of imported Debian packages has: it owns the links that their loader is found by."""
_LIBC = pattern(r"so:(libc\.so\.6|libc\.musl-|ld-linux|ld-musl|libc\.so\b)")
"""Names by which packages that are not imported need or provide a C library; imported ones have no such names."""


class Linked(NamedTuple):
    """What counts of a package."""

    name: str
    depends: str
    """Items separated by spaces."""
    provides: str


def mixed_libc(packages: Iterable[Linked]) -> tuple[str, str] | None:
    """(imported package, package of another libc), None when there is no mixture."""
    listed = tuple(packages)
    if not any(package.name == IMPORTED for package in listed):
        return None
    for package in listed:
        items = (*package.depends.split(), *package.provides.split())
        if package.name != IMPORTED and any(map(_LIBC.match, items)):
            return IMPORTED, package.name
    return None


def check_libc(packages: Iterable[Linked], arch: str) -> None:
    """Raises ConflictError (`mixed-libc`)."""
    found = mixed_libc(packages)
    if found is not None:
        raise ConflictError(
            f"`{found[1]}` is built against another C library than the packages imported from Debian",
            reason="mixed-libc",
            origin=Origin(package=found[1]),
            hint="take all packages of an image from one distribution",
            details=[f"architecture {arch}: `{found[0]}` marks packages imported from Debian"],
        )
