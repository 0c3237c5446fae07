"""A difference as lines for people and as a JSON value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from apkiln.image.difference.comparing import (
    ArchitectureDifference,
    Difference,
    FileChange,
    PackageChange,
    PackageChangeKind,
    SettingChange,
)
from apkiln.image.difference.contents import FileRow, PackageRow

_SIGNS = {PackageChangeKind.ADDED: "+", PackageChangeKind.REMOVED: "-"}
_LONGEST = 100
"""Characters of a setting's value."""


def lines(difference: Difference, *, every_file: bool = False) -> Iterator[str]:
    """Nothing for no difference.  Files of packages that changed are counted, unless `every_file`."""
    for arch in difference.removed:
        yield f"- {arch}"
    for arch in difference.added:
        yield f"+ {arch}"
    yield from map(_setting, difference.settings)
    for item in difference.architectures:
        if item:
            yield f"{item.arch}:"
            yield from (f"  {line}" for line in _architecture(item, every_file))


def value(difference: Difference) -> dict[str, Any]:
    """The JSON form; every row of every change."""
    return {
        "before": difference.before,
        "after": difference.after,
        "equal": not difference,
        "architectures": {"added": list(difference.added), "removed": list(difference.removed)},
        "settings": [change._asdict() for change in difference.settings],
        "differences": [
            {
                "arch": item.arch,
                "origins": list(item.origins),
                "packages": [_package_value(change) for change in item.packages],
                "files": [_file_value(change) for change in item.files],
                "settings": [change._asdict() for change in item.settings],
            }
            for item in difference.architectures
        ],
    }


def _architecture(item: ArchitectureDifference, every_file: bool) -> Iterator[str]:
    yield from map(_package, item.packages)
    yield from map(_setting, item.settings)
    changed = frozenset() if every_file else frozenset(change.name for change in item.packages)
    counted: Counter[str] = Counter()
    for change in item.files:
        if change.package in changed:
            counted[change.package] += 1
        else:
            yield _file(change)
    for name, count in sorted(counted.items()):
        yield f"  {count} path{'s' if count > 1 else ''} of {name}"


def _package(change: PackageChange) -> str:
    before, after = change.before, change.after
    origin = f" (origin {change.origin})" if change.origin and change.origin != change.name else ""
    if before is None or after is None:
        row = after or before
        assert row is not None, "a change has a side"
        return f"{_SIGNS[change.kind]} {row.name} {row.version}{origin}"
    if change.kind is PackageChangeKind.REBUILT:
        return f"~ {change.name} {after.version} rebuilt{origin}"
    if change.kind is PackageChangeKind.CHANGED:
        return f"~ {change.name} {after.version} {', '.join(_metadata(before, after))}"
    return f"~ {change.name} {before.version} → {after.version} {change.kind.value}{origin}{_moved(before, after)}"


def _metadata(before: PackageRow, after: PackageRow) -> Iterator[str]:
    for word, left, right in (("origin", before.origin, after.origin), ("licence", before.license, after.license)):
        if left and right and left != right:
            yield f"{word} {left} → {right}"


def _moved(before: PackageRow, after: PackageRow) -> str:
    changed = ", ".join(_metadata(before, after))
    return f", {changed}" if changed else ""


def _file(change: FileChange) -> str:
    before, after = change.before, change.after
    owner = f" ({change.package})" if change.package else ""
    if before is None or after is None:
        return f"{'+' if before is None else '-'} /{change.path}{owner}"
    return f"~ /{change.path}{owner}: {', '.join(_field(word, before, after) for word in change.what)}"


def _field(word: str, before: FileRow, after: FileRow) -> str:
    if word == "type":
        return f"{before.type} → {after.type}"
    if word == "mode":
        return f"mode {before.mode:04o} → {after.mode:04o}"
    if word == "owner":
        return f"owner {before.uid}:{before.gid} → {after.uid}:{after.gid}"
    if word == "package":
        return f"of {before.package or 'no package'} → of {after.package or 'no package'}"
    if word == "content" and before.type == "symlink":
        return f"{before.content} → {after.content}"
    if word == "content" and before.size != after.size:
        return f"content, {before.size} → {after.size} bytes"
    return word


def _setting(change: SettingChange) -> str:
    if change.before is None or change.after is None:
        sign, text = ("+", change.after) if change.before is None else ("-", change.before)
        return f"{sign} {change.key}: {_short(text or '')}"
    return f"~ {change.key}: {_short(change.before)} → {_short(change.after)}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _package_value(change: PackageChange) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {
        "change": change.kind.value,
        "name": change.name,
        "origin": change.origin,
        **{side: None if row is None else row._asdict() for side, row in sides.items()},
    }


def _file_value(change: FileChange) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {
        "path": f"/{change.path}",
        "package": change.package,
        "what": list(change.what),
        **{side: None if row is None else _row_value(row) for side, row in sides.items()},
    }


def _row_value(row: FileRow) -> dict[str, Any]:
    return {
        "type": row.type,
        "mode": f"{row.mode:04o}",
        "uid": row.uid,
        "gid": row.gid,
        "size": row.size,
        "content": row.content,
        "xattrs": {name: content.hex() for name, content in row.xattrs},
        "package": row.package,
    }
