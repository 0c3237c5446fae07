"""Commands that ask: of the package system, debconf, accounts, paths.  Answers are those of a fresh installation."""

from __future__ import annotations

import re
from collections.abc import Callable

from apkiln.core.errors import FormatError
from apkiln.debian.maintainer.machine import Machine, Status
from apkiln.debian.maintainer.scene import Kind, image_path
from apkiln.debian.maintainer.values import Value
from apkiln.formats.deb.version import sort_key

_ABSENT_TEXT = """update-menus update-binfmts restorecon selinuxenabled systemctl deb-systemd-helper invoke-rc.d update-rc.d
    udevadm install-docs update-initramfs update-grub ucf ucfr mandb fc-cache update-mime-database update-desktop-database
    py3compile pycompile py3clean pyclean apparmor_parser aa-enabled scrollkeeper-update gtk-update-icon-cache
    glib-compile-schemas debconf-communicate"""
ABSENT = frozenset(_ABSENT_TEXT.split())
"""Programs that a minimal image does not have; scripts ask for them before they use them, and what they do has no effect."""
TRANSLATED = frozenset(("setcap", "adduser", "addgroup", "useradd", "groupadd", "update-alternatives", "update-ca-certificates"))
"""Programs whose work is done by translation, so that scripts find them."""
_EMPTY_COMPARISON = {
    "lt": True, "le": True, "eq": False, "ne": True, "ge": False, "gt": False,
    "lt-nl": False, "le-nl": False, "ge-nl": True, "gt-nl": True, "<": True, "<<": True, "<=": True, "=": False, ">=": False,
    ">>": False, ">": False,
}  # fmt: skip
"""What `dpkg --compare-versions` says of an empty first version: a package that was not there before."""


def _command(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """`command -v` and `which`: whether a program is there, and its path."""
    words = [item for item in arguments if item not in ("-v", "-V", "-a", "-s")]
    if not words or any(not isinstance(item, str) for item in words):
        machine.output(None)
        return None
    if "-v" not in arguments and "-V" not in arguments and machine_is_command(arguments):
        return machine.give_up("`command` runs a program")
    return _which(machine, [str(item) for item in words])


def machine_is_command(arguments: list[Value]) -> bool:
    """Whether `command` is given without an option that only asks."""
    return not any(isinstance(item, str) and item.startswith("-") for item in arguments)


def _which_command(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = [item for item in arguments if isinstance(item, str) and not item.startswith("-")]
    if len(words) != len([item for item in arguments if not (isinstance(item, str) and item.startswith("-"))]):
        machine.output(None)
        return None
    return _which(machine, words)


def _which(machine: Machine, words: list[str]) -> Status:
    found: list[Status] = []
    for word in words:
        place = next((path for path in _program_paths(word) if machine.scene.owns(path)), "")
        if place:
            machine.output(f"/{place}\n")
        elif word in TRANSLATED:
            machine.output(f"/usr/sbin/{word}\n")
        elif word.rpartition("/")[2] not in ABSENT:
            machine.output(None)
        found.append(True if place or word in TRANSLATED else False if word.rpartition("/")[2] in ABSENT else None)
    return False if False in found else None if None in found else True


def _program_paths(word: str) -> list[str]:
    if word.startswith("/"):
        return [image_path(word) or ""]
    return [f"usr/sbin/{word}", f"usr/bin/{word}"]


def _getent(machine: Machine, arguments: list[Value], given: Value) -> Status:
    table = {"passwd": machine.scene.users, "group": machine.scene.groups}.get(str(arguments[0]) if arguments else "")
    name = arguments[1] if len(arguments) == 2 else None
    if table is None or not isinstance(name, str):
        machine.output(None)
        return None
    if name not in table:
        return False
    number = table[name]
    machine.output(f"{name}:x:{number}:" if number >= 0 and arguments[0] == "group" else None)
    machine.output("\n")
    return True


def _id(machine: Machine, arguments: list[Value], given: Value) -> Status:
    machine.output(None)
    names = [item for item in arguments if isinstance(item, str) and not item.startswith("-")]
    if len(names) != 1:
        return None
    return names[0] in machine.scene.users


def _grep(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Decided for one plain pattern on known input; output is never known."""
    words = [item for item in arguments if not (isinstance(item, str) and item.startswith("-"))]
    options = "".join(item.lstrip("-") for item in arguments if isinstance(item, str) and item.startswith("-"))
    if not set(options) <= set("qs"):
        machine.output(None)
        return None
    if "q" not in options:
        machine.output(None)
    text = given
    if len(words) == 2 and isinstance(words[1], str):
        path = image_path(words[1])
        text = machine.scene.read(path) if path else None
        if path and machine.scene.kind(path) is Kind.ABSENT:
            return False
    if not words or not isinstance(words[0], str) or not isinstance(text, str) or "\\" in words[0]:
        return None
    pattern = re.compile("".join(f"\\{char}" if char in "+?{}|()" else char for char in words[0]))
    return any(pattern.search(line) for line in text.splitlines())


def _dpkg(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if not arguments or not isinstance(arguments[0], str):
        machine.output(None)
        return None
    match arguments[0]:
        case "--compare-versions":
            return _compare(arguments[1:])
        case "--print-architecture":
            machine.output(f"{machine.surroundings.architecture}\n")
            return True
        case "--assert-multi-arch" | "--validate-version" | "--assert-support-predepends":
            return True
        case "-s" | "-l" | "-L" | "-S" | "-W" | "--status" | "--list" | "--listfiles" | "--search" | "--get-selections":
            machine.output(None)
            return None
        case _:
            return machine.give_up("`dpkg` changes the package system")


def _compare(arguments: list[Value]) -> Status:
    if len(arguments) == 2:  # an unquoted empty version is no argument at all
        arguments = ["", *arguments]
    if len(arguments) != 3:
        return None
    one, operator, other = arguments
    if one == "" and isinstance(operator, str):
        return _EMPTY_COMPARISON.get(operator)
    if not (isinstance(one, str) and isinstance(other, str) and isinstance(operator, str)):
        return None
    try:
        left, right = sort_key(one), sort_key(other)
    except FormatError:
        return None
    answers = {
        "lt": left < right, "<<": left < right, "le": left <= right, "<=": left <= right, "eq": left == right, "=": left == right,
        "ne": left != right, "ge": left >= right, ">=": left >= right, "gt": left > right, ">>": left > right,
    }  # fmt: skip
    return answers.get(operator.removesuffix("-nl"))


def _architecture(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """`dpkg-architecture -qVARIABLE`."""
    known = {"-qDEB_HOST_MULTIARCH": machine.surroundings.triplet, "-qDEB_HOST_ARCH": machine.surroundings.architecture}
    answer = known.get(str(arguments[0])) if len(arguments) == 1 else None
    machine.output(f"{answer}\n" if answer is not None else None)
    return True if answer is not None else None


def _db_get(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """The default of the template; a question without a template of the package has no known answer."""
    name = arguments[0] if arguments else None
    machine.variables.values["RET"] = machine.surroundings.defaults.get(name) if isinstance(name, str) else None
    return True


def _db_metaget(machine: Machine, arguments: list[Value], given: Value) -> Status:
    machine.variables.values["RET"] = None
    return True


def _basename(machine: Machine, arguments: list[Value], given: Value) -> Status:
    known = [item for item in arguments if isinstance(item, str)]
    if len(known) != len(arguments) or not 1 <= len(known) <= 2:
        machine.output(None)
        return True
    base = known[0].rstrip("/").rpartition("/")[2]
    machine.output((base.removesuffix(known[1]) if len(known) == 2 and base != known[1] else base) + "\n")
    return True


def _dirname(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        machine.output(None)
        return True
    directory, slash, _ = arguments[0].rstrip("/").rpartition("/")
    machine.output((directory or ("/" if slash else ".")) + "\n")
    return True


def _readlink(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """The text of a link of the package; nothing for a path that is absent."""
    path = image_path(arguments[0]) if len(arguments) == 1 and isinstance(arguments[0], str) else None
    if path is not None and machine.scene.kind(path) is Kind.ABSENT:
        return False
    text = machine.scene.link_text(path) if path is not None else None
    machine.output(None if text is None else f"{text}\n")
    return True if text is not None else None


def _cat(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if not arguments or arguments == ["-"]:
        machine.output(given)
        return True
    for item in arguments:
        path = image_path(item) if isinstance(item, str) else None
        machine.output(machine.scene.read(path) if path is not None else None)
    return True


def _uname(machine: Machine, arguments: list[Value], given: Value) -> Status:
    machine.output("Linux\n" if arguments in ([], ["-s"]) else None)
    return True


def _mountpoint(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """What every container mounts; nothing else is a file system of its own."""
    return bool({"/proc", "/sys", "/dev"} & {item for item in arguments if isinstance(item, str)})


def _statoverride(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Nothing is overridden in a fresh image; what a script adds is done at once."""
    if "--list" in arguments:
        return False
    options = ("--update", "--force", "--force-all", "--force-statoverride-add", "--quiet")
    words = [item for item in arguments if item not in options]
    if len(words) != 5 or words[0] != "--add" or any(not isinstance(item, str) for item in words):
        return True if "--remove" in words else machine.give_up("the override is not known")
    _, user, group, mode, name = (str(item) for item in words)
    path = image_path(name)
    if path is None or not machine.scene.owns(path):
        return machine.give_up("the override is of a path that the package does not ship")
    machine.step("owner", path, user.removeprefix("#"), group.removeprefix("#"))
    machine.step("mode", path, mode)
    return True


def _divert(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = [item for item in arguments if isinstance(item, str)]
    if len(words) != len(arguments):
        return machine.give_up("the diversion is not known")
    if "--truename" in words:
        machine.output(f"{words[-1]}\n")
        return True
    if {"--list", "--listpackage"} & set(words):
        return True  # nothing is diverted yet, so nothing is printed
    if "--remove" in words:
        return True
    to, named, skip = "", "", False
    for number, word in enumerate(words):
        if skip:
            skip = False
        elif word in ("--divert", "--package"):
            to, skip = (words[number + 1], True) if word == "--divert" and number + 1 < len(words) else (to, True)
        elif not word.startswith("-"):
            named = word
    path, other = image_path(named), image_path(to or f"{named}.distrib")
    if path is None or other is None:
        return machine.give_up("the diversion is not known")
    machine.step("divert", path, other)
    return True


QUESTIONS: dict[str, Callable[[Machine, list[Value], Value], Status]] = {
    "command": _command, "which": _which_command, "type": _which_command, "getent": _getent, "id": _id, "grep": _grep,
    "dpkg": _dpkg, "dpkg-architecture": _architecture, "db_get": _db_get, "db_metaget": _db_metaget, "basename": _basename,
    "dirname": _dirname, "readlink": _readlink, "cat": _cat, "uname": _uname, "dpkg-statoverride": _statoverride,
    "dpkg-divert": _divert, "mountpoint": _mountpoint,
}  # fmt: skip
