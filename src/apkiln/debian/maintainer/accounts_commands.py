"""Commands that make users and groups, as steps (spec debian.md §8.1 row 4)."""

from __future__ import annotations

from collections.abc import Callable

from apkiln.debian.maintainer.machine import Machine, Status
from apkiln.debian.maintainer.values import Value

_NO_LOGIN = "/usr/sbin/nologin"
_VALUED = {
    "--home", "--shell", "--gecos", "--comment", "--uid", "--gid", "--ingroup", "--conf", "--firstuid", "--lastuid", "--home-dir",
    "--groups", "--base-dir", "--password", "--key", "--add_extra_groups",
    "-h", "-s", "-g", "-u", "-c", "-d", "-b", "-G", "-p", "-K", "-n",
}  # fmt: skip
"""Options with a value in any of these commands."""


class _Words:
    """Options with their values, and the other words."""

    def __init__(self, arguments: list[str]) -> None:
        self.values: dict[str, str] = {}
        self.options: set[str] = set()
        self.words: list[str] = []
        items = list(arguments)
        while items:
            item = items.pop(0)
            name, equals, value = item.partition("=")
            if not item.startswith("-"):
                self.words.append(item)
                continue
            self.options.add(name)
            if equals:
                self.values[name] = value
            elif item in _VALUED and items:
                self.values[item] = items.pop(0)

    def get(self, *names: str) -> str:
        return next((self.values[name] for name in names if name in self.values), "")


def _known(machine: Machine, arguments: list[Value]) -> _Words | None:
    known = [item for item in arguments if isinstance(item, str)]
    if len(known) != len(arguments):
        machine.give_up("an argument cannot be known")
        return None
    return _Words(known)


def _adduser(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = _known(machine, arguments)
    if words is None:
        return None
    if "--group" in words.options and "--system" in words.options and len(words.words) == 1:
        pass
    elif "--group" in words.options and len(words.words) == 1:
        return _make_group(machine, words.words[0], words.get("--gid"))
    if len(words.words) == 2 and not words.options & {"--system", "--home", "--shell"}:
        machine.step("member", *words.words)
        return True
    if len(words.words) != 1 or "--system" not in words.options:
        return machine.give_up("only system users are translated")
    name = words.words[0]
    group = name if "--group" in words.options else words.get("--ingroup", "--gid") or "nogroup"
    if "--group" in words.options:
        _make_group(machine, name, words.get("--gid", "--uid"))
    home = words.get("--home") or "/nonexistent"
    shell, comment = words.get("--shell") or _NO_LOGIN, words.get("--gecos", "--comment")
    return _make_user(machine, name, words.get("--uid"), group, home, shell, comment)


def _addgroup(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = _known(machine, arguments)
    if words is None:
        return None
    if len(words.words) == 2:
        machine.step("member", *words.words)
        return True
    if len(words.words) != 1:
        return machine.give_up("the group is not known")
    return _make_group(machine, words.words[0], words.get("--gid"))


def _useradd(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = _known(machine, arguments)
    if words is None or len(words.words) != 1:
        return None if words is None else machine.give_up("the user is not known")
    if not words.options & {"-r", "--system", "-u", "--uid"}:
        return machine.give_up("only system users are translated")
    name = words.words[0]
    group = words.get("-g", "--gid")
    if not group or "-U" in words.options or "--user-group" in words.options:
        group = name
        _make_group(machine, name, "")
    home = words.get("-d", "--home-dir", "--home") or f"/home/{name}"
    shell, comment = words.get("-s", "--shell") or "/bin/sh", words.get("-c", "--comment")
    status = _make_user(machine, name, words.get("-u", "--uid"), group, home, shell, comment)
    for extra in filter(None, words.get("-G", "--groups").split(",")):
        machine.step("member", name, extra)
    return status


def _groupadd(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = _known(machine, arguments)
    if words is None or len(words.words) != 1:
        return None if words is None else machine.give_up("the group is not known")
    return _make_group(machine, words.words[0], words.get("-g", "--gid"))


def _usermod(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Only memberships that are added."""
    words = _known(machine, arguments)
    if words is None:
        return None
    combined = words.options & {"-aG", "-a", "--append"}
    groups = words.get("-G", "--groups") or ("" if "-aG" not in words.options else words.words[0])
    names = words.words[1:] if "-aG" in words.options else words.words
    if not combined or not groups or len(names) != 1:
        return machine.give_up("only added memberships are translated")
    for group in groups.split(","):
        machine.step("member", names[0], group)
    return True


def _gpasswd(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if len(arguments) == 3 and arguments[0] == "-a" and isinstance(arguments[1], str) and isinstance(arguments[2], str):
        machine.step("member", arguments[1], arguments[2])
        return True
    return machine.give_up("only added memberships are translated")


def _make_group(machine: Machine, name: str, number: str) -> Status:
    if name not in machine.scene.groups:
        machine.step("group", name, *([number] if number.isdecimal() else []))
    return True


def _make_user(machine: Machine, name: str, number: str, group: str, home: str, shell: str, comment: str) -> Status:
    if name not in machine.scene.users:
        machine.step("user", name, number if number.isdecimal() else "", group, home, shell, comment)
    return True


ACCOUNT_COMMANDS: dict[str, Callable[[Machine, list[Value], Value], Status]] = {
    "adduser": _adduser, "addgroup": _addgroup, "useradd": _useradd, "groupadd": _groupadd, "usermod": _usermod,
    "gpasswd": _gpasswd,
}  # fmt: skip
