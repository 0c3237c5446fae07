"""`test` and `[`: true, false or unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from apkiln.debian.maintainer.machine import Status
from apkiln.debian.maintainer.scene import Kind, Scene, image_path
from apkiln.debian.maintainer.values import Either, Value

_UNARY = frozenset("-b -c -d -e -f -g -h -k -L -n -O -G -p -r -s -S -t -u -w -x -z".split())  # noqa: SIM905
_BINARY: dict[str, Callable[[str, str], bool]] = {
    "=": lambda one, other: one == other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "-eq": lambda one, other: int(one) == int(other),
    "-ne": lambda one, other: int(one) != int(other),
    "-lt": lambda one, other: int(one) < int(other),
    "-le": lambda one, other: int(one) <= int(other),
    "-gt": lambda one, other: int(one) > int(other),
    "-ge": lambda one, other: int(one) >= int(other),
}


class NotACondition(Exception):
    """The arguments are no expression that is understood."""


def condition(arguments: Sequence[Value], scene: Scene) -> Status:
    """The value of a `test` expression.  Raises NotACondition."""
    choices = [item.texts if isinstance(item, Either) else (item,) for item in arguments]
    found = {_expression(list(row), scene) for row in product(*choices)}
    return found.pop() if len(found) == 1 else None


def _expression(words: list[str | None], scene: Scene) -> Status:
    if not words:
        return False
    for operator, decide in (("-o", _any), ("-a", _all)):
        for position in range(1, len(words) - 1):
            if words[position] == operator and not (position == 1 and len(words) == 3 and words[0] in _UNARY):
                left, right = _expression(words[:position], scene), _expression(words[position + 1 :], scene)
                return decide(left, right)
    if words[0] == "!" and len(words) > 1:
        inner = _expression(words[1:], scene)
        return None if inner is None else not inner
    return _primary(words, scene)


def _primary(words: list[str | None], scene: Scene) -> Status:
    if len(words) == 1:
        # An unknown word alone may also be several.
        return None if words[0] is None else bool(words[0])
    if len(words) == 2 and words[0] in _UNARY:
        return _unary(words[0], words[1], scene)
    if len(words) == 3 and words[1] in _BINARY:
        if words[0] is None or words[2] is None:
            return None
        try:
            return _BINARY[words[1]](words[0], words[2])
        except ValueError:
            return False
    if None in words:
        return None
    raise NotACondition


def _any(left: Status, right: Status) -> Status:
    return True if True in (left, right) else None if None in (left, right) else False


def _all(left: Status, right: Status) -> Status:
    return False if False in (left, right) else None if None in (left, right) else True


def _unary(operator: str | None, word: str | None, scene: Scene) -> Status:
    if operator in ("-n", "-z"):
        return None if word is None else bool(word) is (operator == "-n")
    if operator == "-t":
        return False
    path = image_path(word) if word else None
    if word == "":
        return False
    if path is None:
        return None
    kind = scene.kind(path)
    if kind is None:
        return None
    if operator in ("-h", "-L"):
        return kind is Kind.LINK
    if kind is Kind.ABSENT:
        return False
    if kind is Kind.LINK:
        return None if path not in ("bin", "sbin", "lib", "lib64") else operator in ("-d", "-e", "-r", "-x", "-w")
    known = {"-d": kind is Kind.DIRECTORY, "-f": kind is Kind.FILE, "-e": True, "-r": True, "-w": True}
    if operator in known:
        return known[operator]
    if operator == "-x":
        return True if kind is Kind.DIRECTORY else _executable(scene, path)
    if operator == "-s":
        text = scene.read(path)
        return None if text is None else bool(text)
    return None


def _executable(scene: Scene, path: str) -> Status:
    """Programs and init scripts of the package are; of other files it is not known."""
    return True if path.startswith(("usr/bin/", "usr/sbin/", "etc/init.d/")) else None
