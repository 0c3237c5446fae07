"""Two files of one package, compared member by member; signatures do not count.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.difference import EntryChange, package_difference

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
    difference = package_difference(published.contents, again.contents)
    for change in difference.entries:
        if change.after is None:
            yield f"only published: {change.path}"
        elif change.before is None:
            yield f"only rebuilt: {change.path}"
        else:
            yield f"{change.path}: {', '.join(_changed(change))}"
    if difference.scripts:
        yield "scripts differ"


def _changed(change: EntryChange) -> Iterator[str]:
    assert change.before is not None and change.after is not None, "both sides have the path"
    before, after = change.before.entry, change.after.entry
    for name in change.what:
        if name == "content":
            yield f"content of {before.size} and {after.size} bytes"
        else:
            yield f"{name} {_shown(name, getattr(before, name))} and {_shown(name, getattr(after, name))}"


def _shown(name: str, item: object) -> str:
    return f"{item:04o}" if name == "mode" and isinstance(item, int) else str(item)
