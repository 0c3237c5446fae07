"""apk's command lines `add`, `del`, `upgrade`, `fix` as requests (spec apk.md §10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apkiln.core.errors import FaultCollector, FormatError, UsageError
from apkiln.formats.apk.dependency import Dependency, parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import NamedWish, Request, Wish

_ADD = {"-u": "upgrade", "--upgrade": "upgrade", "-l": "latest", "--latest": "latest"}
_UPGRADE = {
    "-a": "available", "--available": "available", "-l": "latest", "--latest": "latest", "--prune": "prune",
    "--no-self-upgrade": "ignored-option",
}  # fmt: skip
_DEL = {"-r": "dependants", "--rdepends": "dependants"}
_FIX = {
    "-d": "depends", "--depends": "depends", "-r": "reinstall", "--reinstall": "reinstall", "-u": "upgrade",
    "--upgrade": "upgrade", "-x": "xattr", "--xattr": "xattr",
}  # fmt: skip
_GLOBAL = {"--force-broken-world": "drop-broken-world", "--no-network": "no-network", "-v": "verbose", "--verbose": "verbose"}
OPTIONS = {"add": _ADD, "upgrade": _UPGRADE, "del": _DEL, "fix": _FIX}
VALUES = {"--ignore": "ignore"}


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command line."""

    verb: str
    options: frozenset[str]
    items: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    """Names given with `--ignore`."""


def parse_command(words: Sequence[str]) -> Command:
    """Read `[options] VERB [options] [items]`.  UsageError `unknown-verb`, `unknown-option`."""
    verb = next((word for word in words if word in OPTIONS), None)
    if verb is None:
        raise UsageError("no command among `add`, `del`, `upgrade`, `fix`", reason="unknown-verb")
    options: set[str] = set()
    items: list[str] = []
    ignored: list[str] = []
    rest = iter(words)
    seen = False
    for word in rest:
        if word == verb and not seen:
            seen = True
        elif word in VALUES:
            ignored.append(next(rest, ""))
        elif word in OPTIONS[verb] or word in _GLOBAL:
            options.add(OPTIONS[verb].get(word) or _GLOBAL[word])
        elif word.startswith("-") and not word[1:2].isalnum() and word[:2] != "--" or word.startswith("-"):
            raise UsageError(f"`{verb}` has no option `{word}`", reason="unknown-option")
        else:
            items.append(word)
    return Command(verb, frozenset(options), tuple(items), tuple(ignored))


def plan(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord], provided: Iterable[str]) -> Request:
    """The request a command makes of a root with this `world` (file order counts) and installed database.

    `provided`: names some package provides, used by `upgrade --prune` only.  UsageError/FormatError for bad items.
    """
    match command.verb:
        case "add":
            return _add(command, world, installed)
        case "del":
            return _delete(command, world, installed)
        case "upgrade":
            return _upgrade(command, world, installed, provided)
        case "fix":
            return _fix(command, world, installed)
    raise AssertionError(command.verb)


def _items(command: Command) -> list[Dependency]:
    collector = FaultCollector.empty()
    items = []
    for text in command.items:
        try:
            items.append(parse_dependency(text))
        except FormatError as fault:
            collector.add(fault)
    collector.raise_if_any()
    return items


def _add(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord]) -> Request:
    wish = Wish.NONE
    if "upgrade" in command.options:
        wish |= Wish.UPGRADE
    if "latest" in command.options:
        wish |= Wish.LATEST
    items = _items(command)
    wanted = list(world)
    for item in items:
        place = next((number for number, old in enumerate(wanted) if old.name == item.name), None)
        if place is None:
            wanted.append(item)
        else:
            wanted[place] = item
    return Request(
        tuple(wanted),
        tuple(installed),
        named=frozenset(item.name for item in items),
        wishes=tuple(NamedWish(name, wish, wish) for name in dict.fromkeys(item.name for item in items)) if wish else (),
    )


def _delete(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord]) -> Request:
    wanted = list(world)
    names = list(dict.fromkeys(command.items))
    for name in names:
        _drop_first(wanted, name)
    return Request(tuple(wanted), tuple(installed), wishes=tuple(NamedWish(name, Wish.REMOVE) for name in names))


def _drop_first(world: list[Dependency], name: str) -> None:
    place = next((number for number, item in enumerate(world) if item.name == name), None)
    if place is not None:
        del world[place]


def _upgrade(
    command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord], provided: Iterable[str]
) -> Request:
    wish = Wish.UPGRADE
    if "available" in command.options:
        wish |= Wish.AVAILABLE
    if "latest" in command.options:
        wish |= Wish.LATEST
    wanted = list(world)
    if "prune" in command.options:
        known = set(provided)
        wanted = [item for item in wanted if item.conflict or item.name in known]
    if "available" in command.options:
        wanted = [item._replace(operator="", version="") if item.operator == "><" else item for item in wanted]
    wishes = [NamedWish(name, Wish.KEEP) for name in command.ignored]
    wishes += [NamedWish(name, wish) for name in command.items]
    return Request(
        tuple(wanted),
        tuple(installed),
        named=frozenset(),
        wish=Wish.NONE if command.items else wish,
        wishes=tuple(wishes),
    )


def _fix(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord]) -> Request:
    wish = Wish.NONE
    if "upgrade" in command.options:
        wish |= Wish.UPGRADE
    if "reinstall" in command.options or "upgrade" not in command.options:
        wish |= Wish.REINSTALL
    inherited = wish if "depends" in command.options else Wish.NONE
    names = list(command.items) or [record.name for record in installed if set(record.flags) & {"f", "s"}]
    return Request(
        tuple(world), tuple(installed), wishes=tuple(NamedWish(name, wish, inherited) for name in dict.fromkeys(names))
    )
