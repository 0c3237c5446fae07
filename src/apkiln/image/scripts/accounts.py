"""Commands of package scripts that make users and groups: those of busybox and those of shadow."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.image.scripts.effects import AddGroup, AddMember, AddUser
from apkiln.image.scripts.options import NotUnderstood, Options, parse

_LONG_GROUP = {"system": "S", "gid": "g"}
_LONG_USER = {
    "system": "S", "home": "h", "gecos": "g", "shell": "s", "ingroup": "G", "disabled-password": "D", "no-create-home": "H",
    "uid": "u", "disabled-login": "D",
}  # fmt: skip
_LONG_USERADD = {
    "system": "r", "gid": "g", "uid": "u", "home-dir": "d", "home": "d", "shell": "s", "comment": "c", "no-create-home": "M",
    "create-home": "m", "groups": "G", "no-user-group": "N", "user-group": "U", "force": "f", "append": "a", "non-unique": "o",
}  # fmt: skip


def account_command(program: str, words: Sequence[str]) -> AddGroup | AddUser | AddMember:
    """What one of these commands makes.  Raises NotUnderstood."""
    if program == "addgroup":
        return _addgroup(parse(program, words, "S", "g", _LONG_GROUP))
    if program == "adduser":
        return _adduser(parse(program, words, "SDH", "hgsGuk", _LONG_USER))
    if program == "groupadd":
        found = parse(program, words, "rfo", "g", _LONG_USERADD)
        return AddGroup(_only(found), _number(found.value("g")), "r" in found.flags, downwards=True)
    if program == "useradd":
        return _useradd(parse(program, words, "rMmNUo", "gudscGe", _LONG_USERADD))
    found = parse(program, words, "a", "G" if program == "usermod" else "", _LONG_USERADD)
    return _member(program, found)


def _addgroup(found: Options) -> AddGroup | AddMember:
    if len(found.operands) == 2:
        return AddMember(*found.operands)
    return AddGroup(_only(found), _number(found.value("g")), "S" in found.flags)


def _adduser(found: Options) -> AddUser | AddMember:
    if len(found.operands) == 2:
        return AddMember(*found.operands)
    name, system = _only(found), "S" in found.flags
    return AddUser(
        name,
        _number(found.value("u")),
        found.value("G"),
        own_group=not system,
        gecos=found.value("g") or "Linux User,,,",
        home=found.value("h") or f"/home/{name}",
        shell=found.value("s") or ("/bin/false" if system else "/bin/sh"),
        system=system,
    )


def _useradd(found: Options) -> AddUser:
    if found.value("G") or found.value("e"):
        raise NotUnderstood("`useradd` with further groups or an end")
    name, system = _only(found), "r" in found.flags
    return AddUser(
        name,
        _number(found.value("u")),
        found.value("g"),
        own_group="N" not in found.flags,
        gecos=found.value("c"),
        home=found.value("d") or f"/home/{name}",
        shell=found.value("s") or "/bin/sh",
        system=system,
        downwards=system,
    )


def _member(program: str, found: Options) -> AddMember:
    """`usermod -aG GROUP USER`, `gpasswd -a USER GROUP`."""
    if "a" not in found.flags:
        raise NotUnderstood(f"`{program}` changes an account")
    if program == "gpasswd" and len(found.operands) == 2:
        return AddMember(*found.operands)
    if program == "usermod" and found.value("G") and "," not in found.value("G"):
        return AddMember(_only(found), found.value("G"))
    raise NotUnderstood(f"`{program}` in a form that is not known")


def _only(found: Options) -> str:
    if len(found.operands) != 1:
        raise NotUnderstood("an account command names no account, or several")
    return found.operands[0]


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise NotUnderstood(f"`{text}` is no number of an account")
    return int(text)
