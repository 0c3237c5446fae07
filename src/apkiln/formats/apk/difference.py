"""Two packages, or two indexes, compared as values: what a user of one would notice in the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import ContentEntry

_LISTS = ("depends", "provides", "install_if", "replaces", "triggers", "comments")
_FIELDS = tuple(field for field in PackageInfo._fields if field not in (*_LISTS, "data_hash", "licenses"))
_ENTRY_FIELDS = ("type", "mode", "uid", "gid", "uname", "gname", "mtime", "target", "device", "xattrs")
_RECORD_LISTS = ("depends", "provides", "install_if")
_DATABASE_ONLY = frozenset({"replaces", "replaces_priority", "repository_tag", "flags"})


class FieldChange(NamedTuple):
    """One single value that differs."""

    field: str
    before: str
    after: str


class ItemChange(NamedTuple):
    """One item that only one side lists."""

    field: str
    item: str
    added: bool
    """The second side lists it."""


class ScriptChange(NamedTuple):
    """One script; an empty side does not have it."""

    name: str
    before: bytes
    after: bytes


class EntryChange(NamedTuple):
    """One path; None where it is not there."""

    path: str
    before: ContentEntry | None
    after: ContentEntry | None
    what: tuple[str, ...]
    """`added`, `removed`, or what differs: `content` and fields of `Entry`."""


@value
class PackageDifference:
    """All that differs between two packages but for their signatures.  False when nothing does."""

    fields: tuple[FieldChange, ...]
    """In the order of `.PKGINFO`'s fields."""
    items: tuple[ItemChange, ...]
    """By field, removed ones first, each in source order."""
    scripts: tuple[ScriptChange, ...]
    """By name."""
    entries: tuple[EntryChange, ...]
    """By path."""
    other_control: tuple[ItemChange, ...]

    def __bool__(self) -> bool:
        return bool(self.fields or self.items or self.scripts or self.entries or self.other_control)


class RecordChange(NamedTuple):
    """One version of one package in an index; None where it is not listed."""

    name: str
    version: str
    before: IndexRecord | None
    after: IndexRecord | None
    what: tuple[str, ...]
    """`added`, `removed`, or the fields that differ; `identity` = another package under the same version."""


def package_difference(before: PackageContents, after: PackageContents) -> PackageDifference:
    """The first package held against the second; linear in their paths."""
    return PackageDifference(
        tuple(_fields(before.info, after.info)),
        tuple(change for field in _LISTS for change in _items(field, getattr(before.info, field), getattr(after.info, field))),
        tuple(_scripts(dict(before.scripts), dict(after.scripts))),
        tuple(_entries(before.entries, after.entries)),
        tuple(_items("control", before.other_control, after.other_control)),
    )


def entry_changes(before: ContentEntry, after: ContentEntry) -> tuple[str, ...]:
    """What differs between two entries of one path: `content`, then fields of `Entry` in their order."""
    changed = [field for field in _ENTRY_FIELDS if getattr(before.entry, field) != getattr(after.entry, field)]
    return (*(("content",) if before.sha256 != after.sha256 else ()), *changed)


def index_difference(before: Iterable[IndexRecord], after: Iterable[IndexRecord]) -> tuple[RecordChange, ...]:
    """Records that are not the same, by name, version text and architecture; the order of records does not count."""
    old = {(record.name, record.version, record.arch): record for record in before}
    new = {(record.name, record.version, record.arch): record for record in after}
    return tuple(_records(old, new))


def _records(
    old: dict[tuple[str, str, str], IndexRecord], new: dict[tuple[str, str, str], IndexRecord]
) -> Iterator[RecordChange]:
    for key in sorted(old.keys() | new.keys()):
        name, version, _ = key
        left, right = old.get(key), new.get(key)
        if left is None or right is None:
            yield RecordChange(name, version, left, right, ("added" if left is None else "removed",))
        elif what := tuple(_record_fields(left, right)):
            yield RecordChange(name, version, left, right, what)


def _record_fields(left: IndexRecord, right: IndexRecord) -> Iterator[str]:
    for field in IndexRecord._fields:
        one, other = getattr(left, field), getattr(right, field)
        if field in _RECORD_LISTS:
            one, other = sorted(one.split()), sorted(other.split())
        if field not in _DATABASE_ONLY and one != other:
            yield field


def _fields(before: PackageInfo, after: PackageInfo) -> Iterator[FieldChange]:
    for field in _FIELDS:
        one, other = getattr(before, field), getattr(after, field)
        if one != other:
            yield FieldChange(field, str(one), str(other))


def _items(field: str, before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[ItemChange]:
    old, new = frozenset(before), frozenset(after)
    yield from (ItemChange(field, item, False) for item in dict.fromkeys(before) if item not in new)
    yield from (ItemChange(field, item, True) for item in dict.fromkeys(after) if item not in old)


def _scripts(before: dict[str, bytes], after: dict[str, bytes]) -> Iterator[ScriptChange]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield ScriptChange(name, before.get(name, b""), after.get(name, b""))


def _entries(before: Iterable[ContentEntry], after: Iterable[ContentEntry]) -> Iterator[EntryChange]:
    old, new = {item.entry.path: item for item in before}, {item.entry.path: item for item in after}
    for path in sorted(old.keys() | new.keys()):
        left, right = old.get(path), new.get(path)
        if left is None or right is None:
            yield EntryChange(path, left, right, ("added" if left is None else "removed",))
        elif what := entry_changes(left, right):
            yield EntryChange(path, left, right, what)
