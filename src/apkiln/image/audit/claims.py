"""What the installed database says about each path (spec apk.md §4)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.named_tuple import NamedTuple


class Claim(NamedTuple):
    """One path that a package says is its own."""

    path: str
    """As recorded; directories above may be symlinks in the tree."""
    package: str
    """`name-version`."""
    name: str
    """Package name."""
    origin: str
    priority: int
    """`replaces_priority` of the package."""
    is_directory: bool
    mode: int
    uid: int
    gid: int
    xattrs: bytes = b""
    """SHA-1 over the extended attributes; empty when none are recorded."""
    digest: bytes = b""
    """Recorded content digest, 20 bytes; empty when none is recorded."""
    truncated_sha256: bool = False
    """The digest is the first 20 bytes of the content's SHA-256 (flag `S`)."""


def directory_owner(claims: Iterable[Claim]) -> Claim:
    """Of several packages that ship one directory, the one whose mode and ids count (spec apk.md §11.3, last paragraph):
    higher `replaces_priority`, then the package named like its origin, then by name."""
    return min(claims, key=lambda claim: (-claim.priority, claim.name != claim.origin, claim.name))
