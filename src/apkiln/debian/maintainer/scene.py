"""The fresh image that a script is followed in: what is certain to be there, certain to be absent, and what cannot be known.

Only the package's own files, the base layout and what the script itself made are certain.  What another package may ship is
not known, so nothing that depends on it is ever decided by guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from fnmatch import fnmatchcase

from apkiln.debian.file_tree import merged_path
from apkiln.debian.maintainer.static_accounts import GROUPS, USERS
from apkiln.debian.maintainer.steps import Step
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent


class Kind(Enum):
    """What lies at a path."""

    ABSENT = "absent"
    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"


_DIRECTORIES = """bin:l sbin:l lib:l lib64:l dev etc home proc root run sys tmp usr usr/bin usr/sbin usr/lib usr/lib64 usr/share
    usr/include usr/games usr/src usr/share/doc usr/share/man usr/local usr/local/bin usr/local/sbin usr/local/lib usr/local/share
    usr/local/etc usr/local/games usr/local/include usr/local/src var var/lib var/log var/cache var/spool var/tmp var/mail
    var/lib/dpkg boot media mnt opt srv"""
_BASE = {
    item.partition(":")[0]: Kind.LINK if item.endswith(":l") else Kind.DIRECTORY for item in _DIRECTORIES.split()
} | dict.fromkeys(("etc/passwd", "etc/group", "usr/bin/sh", "usr/lib/os-release", "dev/null"), Kind.FILE)
_BASE |= dict.fromkeys(("usr/share/info", "usr/info"), Kind.ABSENT)  # documentation is split off
_SILENT = ("etc/", "var/", "run/", "root/", "home/", "tmp/", "proc/", "sys/", "usr/local/", "dev/", "opt/", "srv/")
"""Below these nothing exists in a fresh image but what packages ship; a script that asks looks for an earlier installation."""
_SHARED = frozenset(
    """usr usr/bin usr/sbin usr/lib usr/share usr/include usr/games usr/share/doc usr/share/man usr/share/locale
    usr/share/icons usr/share/fonts usr/share/applications usr/share/pixmaps usr/share/perl5 usr/lib/python3/dist-packages
    usr/lib/systemd/system usr/share/zoneinfo""".split()  # noqa: SIM905
)
"""Directories that many packages ship files in: that a path in them is not the package's own tells nothing."""


class Scene:
    """Look-ups and the steps so far.  `copy` gives an independent one."""

    def __init__(self, entries: Collection[Entry], contents: Mapping[str, bytes]) -> None:
        kinds = {EntryType.DIRECTORY: Kind.DIRECTORY, EntryType.SYMLINK: Kind.LINK}
        self._own = {entry.path: kinds.get(entry.type, Kind.FILE) for entry in entries}
        self._modes = {entry.path: entry.mode for entry in entries}
        self._targets = {entry.path: entry.target for entry in entries if entry.type is EntryType.SYMLINK}
        self._contents = contents
        self._changed: dict[str, Kind] = {}
        self._written: dict[str, str] = {}
        self.steps: list[Step] = []
        self.users = dict(USERS)
        self.groups = dict(GROUPS)

    def copy(self) -> Scene:
        other = Scene.__new__(Scene)
        other._own, other._targets, other._contents = self._own, self._targets, self._contents
        other._changed, other._written, other._modes = dict(self._changed), dict(self._written), dict(self._modes)
        other.steps, other.users, other.groups = list(self.steps), dict(self.users), dict(self.groups)
        return other

    def kind(self, path: str) -> Kind | None:
        """What is at a path (relative, merged), links not followed; None = it cannot be known."""
        for known in (self._changed, self._own, _BASE):
            if path in known:
                return known[path]
        if path.startswith(_SILENT):
            return Kind.ABSENT
        directory = parent(path)
        if directory and self.kind(directory) in (Kind.ABSENT, Kind.FILE):
            return Kind.ABSENT
        own_place = directory in self._own and directory not in _SHARED and directory.count("/") >= 2
        return Kind.ABSENT if own_place and not _is_library_directory(directory) else None

    def mode(self, path: str) -> int | None:
        """Permissions of a path of the package, or that the script made."""
        return self._modes.get(path) if self.owns(path) else None

    def owns(self, path: str) -> bool:
        """Whether the package ships the path or the script made it."""
        if path in self._changed:
            return self._changed[path] is not Kind.ABSENT
        return path in self._own

    def is_empty(self, directory: str) -> bool:
        """Whether neither the package nor the script puts anything into a directory."""
        below = f"{directory}/"
        return not any(path.startswith(below) and self.owns(path) for path in (*self._own, *self._changed))

    def matches(self, pattern: str) -> list[str] | None:
        """Own paths that match a pattern, sorted; None when others might match too."""
        directory = parent(pattern)
        if any(char in directory for char in "*?[") or self.kind(f"{directory}/?") is None:
            return None
        known = {path for path in (*self._own, *self._changed) if parent(path) == directory and self.owns(path)}
        return sorted(path for path in known if fnmatchcase(path, pattern))

    def read(self, path: str) -> str | None:
        """Text of a file of the package or of one that the script wrote; None when it is neither, or no UTF-8."""
        if path in self._written:
            return self._written[path]
        content = self._contents.get(path) if self._changed.get(path) is None else None
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            return None

    def link_text(self, path: str) -> str | None:
        return self._targets.get(path) if self._changed.get(path) is None else self._written.get(path)

    def add(self, step: Step) -> None:
        """Take a step, so that later look-ups see it."""
        self.steps.append(step)
        first = step.arguments[0] if step.arguments else ""
        match step.verb:
            case "directory":
                self._changed[first] = Kind.DIRECTORY
                self._modes[first] = int(step.arguments[1], 8)
            case "mode":
                self._modes[first] = int(step.arguments[1], 8)
            case "file":
                self._changed[first] = Kind.FILE
                self._modes.setdefault(first, int(step.arguments[1], 8))
                self._written[first] = step.arguments[2]
            case "link":
                self._changed[first] = Kind.LINK
                self._written[first] = step.arguments[1]
            case "copy" | "move":
                kind, text = self.kind(first) or Kind.FILE, self.read(first)
                self._modes[step.arguments[1]] = self._modes.get(first, 0o644)
                self._changed[step.arguments[1]] = kind
                if text is not None:
                    self._written[step.arguments[1]] = text
                if step.verb == "move":
                    self._forget(first)
            case "remove":
                self._forget(first)
            case "group":
                self.groups.setdefault(first, -1)
            case "user":
                self.users.setdefault(first, -1)
                self.groups.setdefault(step.arguments[2], -1)
            case _:
                pass

    def _forget(self, path: str) -> None:
        below = [known for known in (*self._own, *self._changed) if known == path or known.startswith(f"{path}/")]
        for known in below:
            self._changed[known] = Kind.ABSENT
            self._written.pop(known, None)


def _is_library_directory(path: str) -> bool:
    """`usr/lib/<triplet>`, which all libraries share."""
    return path.startswith("usr/lib/") and path.count("/") == 2 and path.count("-") >= 2


def image_path(text: str) -> str | None:
    """An absolute path as the image has it; None for a relative one and for one that leaves the root."""
    if not text.startswith("/"):
        return None
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    path = merged_path("/".join(parts)) if len(parts) > 1 else "/".join(parts)
    return f"run/{path.removeprefix('var/run/')}" if path.startswith("var/run/") else path
