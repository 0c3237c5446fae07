"""`sysusers.d`: users and groups that packages declare (sysusers.d(5)), made as `systemd-sysusers` makes them."""

from __future__ import annotations

from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.account_files import PackageAccounts
from apkiln.image.scripts.declared_files import declared_lines, split_quoted
from apkiln.image.scripts.effects import AddGroup, AddMember, AddUser
from apkiln.image.scripts.options import NotUnderstood


def system_users(draft: Draft, accounts: PackageAccounts) -> None:
    """Groups first, then users, then members, as the program does.  Raises NotUnderstood for lines that need a running system."""
    rows = [split_quoted(line) for line in declared_lines(draft, "sysusers.d")]
    for row in rows:
        if row and row[0] == "g":
            accounts.add_group(AddGroup(_field(row, 1), _number(_field(row, 2)), True, True))
    for row in rows:
        if row and row[0].rstrip("!") == "u":
            accounts.add_user(_user(row))
    for row in rows:
        if row and row[0] == "m":
            accounts.add_group(AddGroup(_field(row, 2), None, True, True))
            accounts.add_member(AddMember(_field(row, 1), _field(row, 2)))
        elif not row or row[0].rstrip("!") not in ("g", "u", "r"):
            raise NotUnderstood(f"`{' '.join(row)}` is no line of sysusers.d that is known")


def _user(row: list[str]) -> AddUser:
    number, _, group = _field(row, 2).partition(":")
    name, home, shell = _field(row, 1), _field(row, 4), _field(row, 5)
    numeric = _number(group) if group.isdecimal() else None
    return AddUser(
        name,
        _number(number),
        "" if numeric is not None else group,
        gid=numeric,
        gecos=_field(row, 3),
        home=home or "/",
        shell=shell or ("/bin/sh" if name == "root" else "/usr/sbin/nologin"),
        system=True,
        downwards=True,
    )


def _field(row: list[str], position: int) -> str:
    """A field; "" where it is missing or `-`."""
    found = row[position] if position < len(row) else ""
    if "%" in found:
        raise NotUnderstood(f"`{found}` depends on the machine")
    return "" if found == "-" else found


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise NotUnderstood(f"`{text}` takes its number from a file")
    return int(text)
