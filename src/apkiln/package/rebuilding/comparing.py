"""Two files of one package, compared member by member; signatures do not count.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.archive.entry import ContentEntry

_MOST = 50
"""Differences that are told."""


@value
class Rebuilt:
    """A package file as it was published or built again."""

    contents: PackageContents
    members: tuple[bytes, bytes]
    """SHA-256 of the raw control and data member."""
    texts: tuple[tuple[str, str], ...]
    """(name, text) of `.PKGINFO` and `.melange.yaml`."""


def differences(published: Rebuilt, again: Rebuilt) -> tuple[str, ...]:
    """What differs, in lines for people; empty = the same bytes but for the signature."""
    if published.members == again.members:
        return ()
    return tuple(_told(published, again))[:_MOST] or ("the same files, compressed or ordered in another way",)


def _told(published: Rebuilt, again: Rebuilt) -> Iterator[str]:
    for (name, one), (_, other) in zip(published.texts, again.texts, strict=True):
        if one != other:
            lines = unified_diff(one.splitlines(), other.splitlines(), f"published {name}", f"rebuilt {name}", "", "", 0, "")
            yield from lines
    before = {item.entry.path: item for item in published.contents.entries}
    after = {item.entry.path: item for item in again.contents.entries}
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield f"only published: {path}"
        elif path not in before:
            yield f"only rebuilt: {path}"
        elif what := ", ".join(_changed(before[path], after[path])):
            yield f"{path}: {what}"
    if published.contents.scripts != again.contents.scripts:
        yield "scripts differ"


def _changed(one: ContentEntry, other: ContentEntry) -> Iterator[str]:
    if one.sha256 != other.sha256:
        yield f"content of {one.entry.size} and {other.entry.size} bytes"
    left, right = one.entry, other.entry
    for name in ("type", "mode", "uid", "gid", "mtime", "target", "xattrs", "device"):
        before, after = getattr(left, name), getattr(right, name)
        if before != after:
            yield f"{name} {_shown(name, before)} and {_shown(name, after)}"


def _shown(name: str, item: object) -> str:
    return f"{item:04o}" if name == "mode" and isinstance(item, int) else str(item)
