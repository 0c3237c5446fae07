"""Commands that change files, alternatives, services and certificates, as steps (spec debian.md §8.1 rows 2, 3, 6, 8, 10)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from apkiln.debian.maintainer.machine import Machine, Status
from apkiln.debian.maintainer.scene import Kind, image_path
from apkiln.debian.maintainer.values import Value

_CLASSES = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_RIGHTS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
_VALUED = ("mode", "owner", "group", "target-directory")
"""Long options with a value, which may also be the next word."""


class _Parsed(NamedTuple):
    """Arguments of a file command."""

    options: frozenset[str]
    """Letters and long names."""
    values: dict[str, str]
    """Values of the options that take one."""
    words: list[str]


def _parse(arguments: list[Value], valued: str) -> _Parsed | None:
    """None when an argument is not known.  `valued`: letters of options with a value."""
    options: set[str] = set()
    values: dict[str, str] = {}
    words: list[str] = []
    items = list(arguments)
    while items:
        item = items.pop(0)
        if not isinstance(item, str):
            return None
        if item == "--":
            words += [str(rest) for rest in items if isinstance(rest, str)]
            break
        if item.startswith("--"):
            name, equals, value = item[2:].partition("=")
            options.add(name)
            if name in _VALUED and not equals and items:
                equals, value = "=", str(items.pop(0) or "")
            values.update({name: value} if equals else {})
        elif item.startswith("-") and len(item) > 1 and item[1:2].isalpha():
            _letters(item[1:], valued, items, options, values)
        else:
            words.append(item)
    return _Parsed(frozenset(options), values, words)


def _letters(text: str, valued: str, items: list[Value], options: set[str], values: dict[str, str]) -> None:
    for number, letter in enumerate(text):
        options.add(letter)
        if letter in valued:
            following = text[number + 1 :] or (items.pop(0) if items else "")
            values[letter] = following if isinstance(following, str) else ""
            return


def _paths(machine: Machine, words: list[str]) -> list[str] | None:
    found: list[str] = []
    for word in words:
        path = image_path(word)
        if path is None:
            machine.give_up(f"`{word}` is no absolute path")
            return None
        if any(char in path for char in "*?["):
            matches = machine.scene.matches(path)
            if matches is None:
                machine.give_up(f"it cannot be known what `{word}` matches")
                return None
            found += matches
        else:
            found.append(path)
    return found


def _unknown(machine: Machine) -> Status:
    return machine.give_up("an argument cannot be known")


def _mkdir(machine: Machine, arguments: list[Value], given: Value) -> Status:
    parsed = _parse(arguments, "m")
    if parsed is None:
        return _unknown(machine)
    mode = parsed.values.get("m") or parsed.values.get("mode") or f"{0o777 & ~machine.umask:o}"
    paths = _paths(machine, parsed.words)
    return None if paths is None else _make_directories(machine, paths, mode)


def _make_directories(machine: Machine, paths: list[str], mode: str) -> Status:
    if not mode or mode.strip("01234567"):
        return machine.give_up(f"`{mode}` is no octal mode")
    for path in paths:
        if path and machine.scene.kind(path) in (Kind.ABSENT, None):
            machine.step("directory", path, mode)
    return True


def _install(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """`install -d`, and `install FILE TARGET` of the package's own files."""
    parsed = _parse(arguments, "mogt")
    if parsed is None:
        return _unknown(machine)
    paths = _paths(machine, parsed.words)
    if paths is None:
        return None
    mode = parsed.values.get("m") or parsed.values.get("mode") or "755"
    if "d" in parsed.options or "directory" in parsed.options:
        for path in paths:
            if machine.scene.kind(path) in (Kind.ABSENT, None):
                _make_directories(machine, [path], mode)
            elif parsed.values.get("m") and machine.scene.owns(path):
                machine.step("mode", path, mode)
    elif len(paths) == 2 and paths[0] == "dev/null":
        paths = paths[1:]
        machine.step("file", paths[0], mode, "")
    elif len(paths) == 2 and machine.scene.owns(paths[0]) and machine.scene.kind(paths[1]) is not Kind.DIRECTORY:
        paths = paths[1:]
        machine.step("copy", image_path(parsed.words[0]) or "", paths[0])
        machine.step("mode", paths[0], mode)
    else:
        return machine.give_up("what is installed is not the package's own")
    user = parsed.values.get("o") or parsed.values.get("owner", "")
    group = parsed.values.get("g") or parsed.values.get("group", "")
    if user or group:
        for path in paths:
            machine.step("owner", path, user, group)
    return True


def _touch(machine: Machine, arguments: list[Value], given: Value) -> Status:
    parsed = _parse(arguments, "drt")
    if parsed is None:
        return _unknown(machine)
    for path in _paths(machine, parsed.words) or []:
        kind = machine.scene.kind(path)
        if kind is None:
            return machine.give_up(f"it cannot be known whether `/{path}` exists")
        if kind is Kind.ABSENT:
            machine.step("file", path, f"{0o666 & ~machine.umask:o}", "")
    return True


def _chmod(machine: Machine, arguments: list[Value], given: Value) -> Status:
    # `-x` and its like are modes, not options.
    options = [item for item in arguments if isinstance(item, str) and re.fullmatch(r"-[Rcfv]+|--[a-z-]+(=.*)?", item)]
    words = [item for item in arguments if item not in options]
    known = [item for item in words if isinstance(item, str)]
    if len(known) != len(words) or len(known) < 2:
        return _unknown(machine)
    mode, *names = known
    paths = _paths(machine, names)
    if paths is None:
        return None
    recursive = any("R" in option or option == "--recursive" for option in options)
    for path in paths:
        if not _is_owned(machine, path):
            continue
        if mode == "+x" and path.startswith("etc/init.d/"):
            continue
        numeric = mode if not mode.strip("01234567") else _symbolic(mode, machine.scene.mode(path), machine.umask)
        if not numeric or recursive:
            return machine.give_up(f"the mode `{mode}` is not translated")
        machine.step("mode", path, numeric)
    return True


def _symbolic(text: str, mode: int | None, umask: int) -> str:
    """The octal mode that a symbolic one gives; empty when it cannot be told (copies from other classes, `X`)."""
    if mode is None:
        return ""
    for clause in text.split(","):
        found = re.fullmatch(r"([ugoa]*)([-+=])([rwxst]*)", clause)
        if found is None:
            return ""
        classes, operator, rights = found.groups()
        mask = sum(_CLASSES[letter] for letter in set("ugo" if "a" in classes or not classes else classes))
        bits = sum(_RIGHTS[letter] for letter in set(rights)) & mask
        bits = bits if classes else bits & ~umask
        mode = mode | bits if operator == "+" else mode & ~bits if operator == "-" else (mode & ~mask) | bits
    return f"{mode:o}"


def _is_owned(machine: Machine, path: str) -> bool:
    """Whether the path is the package's; tells when it cannot be known whether it exists at all."""
    if machine.scene.owns(path):
        return True
    if machine.scene.kind(path) is not Kind.ABSENT:
        machine.give_up(f"`/{path}` is not the package's")
    return False


def _chown(machine: Machine, arguments: list[Value], given: Value) -> Status:
    return _change_owner(machine, arguments, False)


def _chgrp(machine: Machine, arguments: list[Value], given: Value) -> Status:
    return _change_owner(machine, arguments, True)


def _change_owner(machine: Machine, arguments: list[Value], only_group: bool) -> Status:
    parsed = _parse(arguments, "")
    if parsed is None or len(parsed.words) < 2 or "reference" in parsed.options:
        return _unknown(machine)
    owner, *names = parsed.words
    user, colon, group = ("", ":", owner) if only_group else owner.replace(".", ":", 1).partition(":")
    # `user:` means the user's own group.
    group = group or (user if colon else "")
    paths = _paths(machine, names)
    if paths is None:
        return None
    for path in paths:
        if _is_owned(machine, path):
            machine.step("owners" if {"R", "recursive"} & parsed.options else "owner", path, user, group)
    return True


def _ln(machine: Machine, arguments: list[Value], given: Value) -> Status:
    parsed = _parse(arguments, "t")
    if parsed is None or len(parsed.words) != 2 or not {"s", "symbolic"} & parsed.options:
        return machine.give_up("only symbolic links with known ends are translated")
    target, name = parsed.words
    path = image_path(name)
    if path is None:
        return machine.give_up(f"`{name}` is no absolute path")
    kind = machine.scene.kind(path)
    if kind is Kind.DIRECTORY and not {"n", "T", "no-dereference", "no-target-directory"} & parsed.options:
        path = f"{path}/{target.rstrip('/').rpartition('/')[2]}"
        kind = machine.scene.kind(path)
    if kind is None:
        return machine.give_up(f"it cannot be known whether `/{path}` exists")
    machine.step("link", path, target)
    return True


def _cp(machine: Machine, arguments: list[Value], given: Value) -> Status:
    parsed = _parse(arguments, "tS")
    if parsed is None:
        return _unknown(machine)
    if len(parsed.words) != 2 or {"r", "R", "recursive", "t"} & parsed.options:
        return machine.give_up("only single files are copied")
    paths = _paths(machine, parsed.words)
    if paths is None:
        return None
    if len(paths) != 2 or not machine.scene.owns(paths[0]):
        return machine.give_up("what is copied is not the package's own")
    source, target = paths
    if machine.scene.kind(target) is Kind.DIRECTORY:
        target = f"{target}/{source.rpartition('/')[2]}"
    machine.step("copy", source, target)
    if not {"p", "a", "preserve", "archive"} & parsed.options:
        machine.step("mode", target, f"{0o666 & ~machine.umask:o}")
    return True


def _mv(machine: Machine, arguments: list[Value], given: Value) -> Status:
    parsed = _parse(arguments, "tS")
    if parsed is None:
        return _unknown(machine)
    paths = _paths(machine, parsed.words)
    if paths is None:
        return None
    if len(paths) != 2 or machine.scene.kind(paths[1]) is Kind.DIRECTORY:
        return machine.give_up("only single paths are moved")
    if machine.scene.owns(paths[0]):
        machine.step("move", paths[0], paths[1])
        return True
    return False if machine.scene.kind(paths[0]) is Kind.ABSENT else machine.give_up("what is moved is not the package's own")


def _rm(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Removing what the package does not ship is clearing up after older versions."""
    words = [item for item in arguments if not (isinstance(item, str) and item.startswith("-"))]
    for word in words:
        if not isinstance(word, str):
            return _unknown(machine)
        path = image_path(word)
        if path is None:
            return machine.give_up(f"`{word}` is no absolute path")
        if any(char in path for char in "*?["):
            for match in machine.scene.matches(path) or []:
                machine.step("remove", match)
        elif path and machine.scene.owns(path):
            machine.step("remove", path)
    return True


def _rmdir(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """A directory of the package with nothing in it goes; others are of older versions."""
    for item in arguments:
        path = image_path(item) if isinstance(item, str) and not item.startswith("-") else None
        if path and machine.scene.owns(path) and machine.scene.kind(path) is Kind.DIRECTORY and machine.scene.is_empty(path):
            machine.step("remove", path)
    return None


def _setcap(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if "-r" in arguments:
        return True  # nothing has capabilities yet
    known = [item for item in arguments if isinstance(item, str) and item not in ("-q", "-v")]
    if len(known) != 2 or len(known) + arguments.count("-q") != len(arguments):
        return machine.give_up("the capabilities are not known")
    path = image_path(known[1])
    if path is None or not machine.scene.owns(path):
        return machine.give_up("the file is not the package's own")
    machine.step("capability", path, known[0])
    return True


def _alternatives(machine: Machine, arguments: list[Value], given: Value) -> Status:
    known = [item for item in arguments if isinstance(item, str)]
    if len(known) != len(arguments):
        return _unknown(machine)
    if "--install" not in known:
        quiet = {"--remove", "--remove-all", "--auto", "--list", "--query", "--display", "--get-selections"} & set(known)
        if quiet:
            machine.output(None)
            return None if quiet & {"--list", "--query"} else True
        return machine.give_up("a choice of alternatives is not translated")
    rows = known[known.index("--install") + 1 :]
    main, slaves = rows[:4], rows[4:]
    if len(main) != 4 or len(slaves) % 4 or any(slaves[number] != "--slave" for number in range(0, len(slaves), 4)):
        return machine.give_up("the alternative is not understood")
    if not main[3].lstrip("-").isdecimal():
        return machine.give_up("the priority is not a number")
    further = [word for number, word in enumerate(slaves) if number % 4]
    machine.step("alternative", main[0], main[1], main[2], main[3], *further)
    return True


def _systemctl(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Units that are enabled become preset data; starting and reloading have no effect."""
    words = [item for item in arguments if isinstance(item, str) and not item.startswith("-")]
    if not words:
        return True
    verb, *units = words
    if verb in ("enable", "preset"):
        for unit in units:
            machine.step("service", unit, "user" if "--user" in arguments or "--global" in arguments else "system")
    if verb in ("is-active", "is-enabled", "show", "list-units", "list-unit-files"):
        machine.output(None)
        return None
    return True


def _ucf(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """A configuration file that is kept apart from its template: in a fresh image it is the template."""
    words = [item for item in arguments if not (isinstance(item, str) and item.startswith("-"))]
    known = [item for item in words if isinstance(item, str)]
    if "--purge" in arguments or "-p" in arguments:
        return True
    paths = _paths(machine, known) if len(known) == len(words) == 2 else None
    if paths is None or not machine.scene.owns(paths[0]):
        return machine.give_up("the template is not the package's own")
    machine.step("copy", *paths)
    return True


def _sysusers(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """The package's own files are read for themselves, whether the script names them or not (`declared`)."""
    return True


def _certificates(machine: Machine, arguments: list[Value], given: Value) -> Status:
    machine.step("certificates")
    return True


EFFECTS: dict[str, Callable[[Machine, list[Value], Value], Status]] = {
    "mkdir": _mkdir, "install": _install, "touch": _touch, "chmod": _chmod, "chown": _chown, "chgrp": _chgrp, "ln": _ln,
    "cp": _cp, "mv": _mv, "rm": _rm, "unlink": _rm, "rmdir": _rmdir, "setcap": _setcap, "update-alternatives": _alternatives,
    "systemctl": _systemctl, "deb-systemd-helper": _systemctl, "update-ca-certificates": _certificates,
    "ucf": _ucf, "systemd-sysusers": _sysusers, "systemd-tmpfiles": _sysusers,
}  # fmt: skip
