"""Modes and owners (spec package.md §14)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.package.analysis.facts import PRIVATE_KEY
from apkiln.package.analysis.finding import Row
from apkiln.package.analysis.linters.scene import LintScene, Report, listed, tabulated

_SPECIAL = ((0o4000, "setuid"), (0o2000, "setgid"), (0o1000, "sticky"))


def special_bits(scene: LintScene) -> Iterator[Report]:
    rows = (_row(entry, [name for bit, name in _SPECIAL if entry.mode & bit]) for entry in scene.regular() if entry.mode & 0o7000)
    return tabulated(rows, "files", "has files with special permissions")


def world_writable(scene: LintScene) -> Iterator[Report]:
    def names(entry: Entry) -> list[str]:
        return ["world-writable", "executable"] if entry.mode & 0o111 else ["world-writable"]

    rows = (_row(entry, names(entry)) for entry in scene.regular() if entry.mode & 0o002)
    return tabulated(rows, "files", "has files that everybody may write")


def _row(entry: Entry, permissions: list[str]) -> Row:
    return (("path", entry.path), ("mode", f"{entry.mode:o}"), ("permissions", tuple(permissions)))


def owners(scene: LintScene) -> Iterator[Report]:
    """An owner who is not there when the package is installed gives the file to whoever gets the number."""
    found = [entry.path for entry in scene.tree.entries if entry.uid or entry.gid]
    if found and not any(tree.announces_users for tree in (scene.tree, *scene.siblings)):
        yield from listed(found, "has files of users that no sysusers.d file of the build announces")


def readable_secrets(scene: LintScene) -> Iterator[Report]:
    found = (entry.path for entry, facts in scene.tree.examined() if PRIVATE_KEY in facts.marks and entry.mode & 0o004)
    return listed(found, "has private keys that everybody may read")


def empty_directories(scene: LintScene) -> Iterator[Report]:
    """A directory that everybody may write needs the sticky bit."""
    used = {parent(entry.path) for entry in scene.tree.entries}
    found = (
        entry.path
        for entry in scene.tree.entries
        if entry.type is EntryType.DIRECTORY and entry.path not in used and entry.mode & 0o1002 == 0o002
    )
    return listed(found, "has empty directories that everybody may write and whose files everybody may remove")
