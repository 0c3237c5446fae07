"""`tmpfiles.d`: directories, files and links that packages declare (tmpfiles.d(5)), made as `systemd-tmpfiles --create` does.

What lies below directories that are made anew at every start (`/run`, `/tmp`, `/dev`, …) is left to the running system.
"""

from __future__ import annotations

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.account_files import PackageAccounts
from apkiln.image.scripts.declared_files import declared_lines, split_quoted
from apkiln.image.scripts.options import NotUnderstood

RULE = "tmpfiles"
_VOLATILE = ("run", "tmp", "dev", "proc", "sys", "var/run", "var/lock", "var/tmp")
_DIRECTORIES = frozenset("dDvqQ")
_CLEANING = frozenset("xXrRtThHaA")
"""Removing, and attributes of running file systems."""


def temporary_files(draft: Draft, accounts: PackageAccounts) -> None:
    """Rule `tmpfiles`.  Raises NotUnderstood for lines that copy trees, make devices or depend on the machine."""
    for line in declared_lines(draft, "tmpfiles.d"):
        row = split_quoted(line)
        if len(row) < 2:
            raise NotUnderstood(f"`{line}` is no line of tmpfiles.d")
        kind, path = row[0], row[1].strip("/")
        if "!" in kind or path in _VOLATILE or path.startswith(tuple(f"{place}/" for place in _VOLATILE)):
            continue
        if "%" in line and not path.startswith(_VOLATILE):
            raise NotUnderstood(f"`{line}` depends on the machine")
        _make(draft, accounts, kind.rstrip("-=~^$+"), path, [*row[2:], "", "", "", "", ""], line, replace="+" in kind)


def _make(draft: Draft, accounts: PackageAccounts, kind: str, path: str, fields: list[str], line: str, *, replace: bool) -> None:
    mode, user, group, _, argument = fields[:5]
    place = draft.resolve(path)
    present = draft.entry(place)
    uid = accounts.user_number(user) if user not in ("", "-") else 0
    gid = accounts.group_number(group) if group not in ("", "-") else 0
    if kind in _DIRECTORIES:
        number = _mode(mode, 0o755, line)
        if present is None:
            draft.put(RULE, Entry(place, EntryType.DIRECTORY, number, uid, gid))
        elif present.type is EntryType.DIRECTORY and mode not in ("", "-"):
            _change(draft, present, number, uid, gid)
    elif kind in ("f", "F"):
        if present is None or kind == "F" or replace:
            content = argument.encode().decode("unicode_escape").encode("latin-1") if "\\" in argument else argument.encode()
            draft.put(RULE, Entry(place, EntryType.FILE, _mode(mode, 0o644, line), uid, gid), content)
    elif kind == "L":
        place = draft.resolve_parent(path)
        if draft.entry(place) is None or replace:
            draft.put(RULE, Entry(place, EntryType.SYMLINK, 0o777, target=argument or f"/usr/share/factory/{path}"))
    elif kind in ("z", "Z"):
        if any(char in path for char in "*?[") or kind == "Z":
            raise NotUnderstood(f"`{line}` speaks of many paths")
        if present is not None:
            _change(draft, present, _mode(mode, present.mode, line), uid, gid)
    elif kind not in _CLEANING:
        raise NotUnderstood(f"nothing replaces `{line}`")


def _change(draft: Draft, present: Entry, mode: int, uid: int, gid: int) -> None:
    if (present.mode, present.uid, present.gid) != (mode, uid, gid):
        draft.change(RULE, present.path, mode=mode, uid=uid, gid=gid)


def _mode(text: str, default: int, line: str) -> int:
    if text in ("", "-"):
        return default
    digits = text.lstrip("~:")
    if not digits or set(digits) - set("01234567") or len(digits) > 5:
        raise NotUnderstood(f"`{line}` has no octal mode")
    return int(digits, 8) & 0o7777
