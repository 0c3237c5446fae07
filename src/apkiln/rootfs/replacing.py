"""What happens when two packages ship one path (spec apk.md §11.3, the table's image-mode column)."""

from __future__ import annotations

from enum import Enum

from apkiln.formats.apk.dependency import hits, parse_dependency
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.formats.archive.path import resolve_target
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.tree_plan import OwnershipPolicy


class Claim(Enum):
    """The outcome for a path that is owned and that a later package ships too."""

    KEEP = "keep"
    """The owner's `replaces` speaks of the newcomer."""
    TAKE = "take"
    """The newcomer's `replaces` speaks of the owner, or both are one package."""
    IDENTICAL = "identical"
    """Both ship the same: the owner keeps it, with a notice."""
    SAME_ORIGIN = "same-origin"
    """The newcomer takes it, with a notice."""
    FORCED = "forced"
    """The newcomer takes it because the request says so, with a notice."""
    CONFLICT = "conflict"
    """No rule applies."""

    @property
    def newcomer_wins(self) -> bool:
        return self in (Claim.TAKE, Claim.SAME_ORIGIN, Claim.FORCED)


def claim(
    owner: PackageFiles, owner_path: str, newcomer: PackageFiles, newcomer_path: str, path: str, policy: OwnershipPolicy
) -> Claim:
    """Decide one path of the tree; `owner_path` and `newcomer_path` are what the packages call it.

    When both packages replace each other, the higher `replaces_priority` wins, the newcomer at a tie; one that replaces the
    other without being replaced wins whatever the priorities are and whoever comes first.
    """
    if owner is newcomer or owner.name == newcomer.name:
        return _within_one_package(owner, owner_path, newcomer, newcomer_path)
    kept, taken = replaces(owner, newcomer), replaces(newcomer, owner)
    if kept and (not taken or owner.head.info.replaces_priority > newcomer.head.info.replaces_priority):
        return Claim.KEEP
    if taken:
        return Claim.TAKE
    if policy.allow_identical and identical(owner, owner_path, newcomer, newcomer_path):
        return Claim.IDENTICAL
    if not policy.strict_origin and owner.head.info.origin and owner.head.info.origin == newcomer.head.info.origin:
        return Claim.SAME_ORIGIN
    return Claim.FORCED if _forced(path, policy) else Claim.CONFLICT


def replaces(package: PackageFiles, other: PackageFiles) -> bool:
    """Whether a `replaces` item of `package` matches the real name and version of `other`; provided names never count."""
    info = other.head.info
    for text in package.head.info.replaces:
        item = parse_dependency(text, lenient=True)
        if item.name == info.name and not item.conflict and hits(item, info.version, other.head.identity):
            return True
    return False


def identical(one: PackageFiles, one_path: str, other: PackageFiles, other_path: str) -> bool:
    """Equal type, content, mode, owner and attributes.  A hard link counts as the file it names; times do not count."""
    left, right = one.content_entry(one_path), other.content_entry(other_path)
    return _substance(left) == _substance(right)


def _substance(item: ContentEntry) -> tuple[object, ...]:
    entry = item.entry
    target = entry.target if entry.type is EntryType.SYMLINK else ""
    return entry.type, item.sha256, entry.size, target, entry.device, entry.mode, entry.uid, entry.gid, entry.xattrs


def _within_one_package(owner: PackageFiles, owner_path: str, newcomer: PackageFiles, newcomer_path: str) -> Claim:
    """Of two packages of one name the later takes over.  One package meets itself when it ships a path twice through a
    symlink of the tree (`bin/x` and `usr/bin/x`): equal entries agree, and a symlink to the other name gives way."""
    if owner is not newcomer:
        return Claim.TAKE
    if identical(owner, owner_path, newcomer, newcomer_path) or _leads_to(newcomer, newcomer_path, owner_path):
        return Claim.IDENTICAL
    return Claim.TAKE if _leads_to(owner, owner_path, newcomer_path) else Claim.CONFLICT


def _leads_to(package: PackageFiles, path: str, other: str) -> bool:
    entry = package.entry(path).entry
    return entry.type is EntryType.SYMLINK and resolve_target(path, entry.target) == other


def _forced(path: str, policy: OwnershipPolicy) -> bool:
    if not policy.force_overwrite:
        return False
    from fnmatch import fnmatchcase

    return any(fnmatchcase(path, pattern.lstrip("/")) for pattern in policy.force_overwrite)
