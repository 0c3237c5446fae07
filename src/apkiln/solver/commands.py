"""apk's command lines `add`, `del`, `upgrade`, `fix` as requests (spec apk.md §10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1

from apkiln.core.errors import FaultCollector, FormatError, UsageError
from apkiln.formats.apk.dependency import Dependency, parse_dependencies, parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import NamedWish, Request, Wish
from apkiln.solver.source import provided_names

_ADD = {"-u": "upgrade", "--upgrade": "upgrade", "-l": "latest", "--latest": "latest"}
_UPGRADE = {
    "-a": "available", "--available": "available", "-l": "latest", "--latest": "latest", "--prune": "prune",
    "--ignore": "ignore", "--no-self-upgrade": "ignored-option",
}  # fmt: skip
_DEL = {"-r": "dependants", "--rdepends": "dependants"}
_FIX = {
    "-d": "depends", "--depends": "depends", "-r": "reinstall", "--reinstall": "reinstall", "-u": "upgrade",
    "--upgrade": "upgrade", "-x": "xattr", "--xattr": "xattr",
}  # fmt: skip
_GLOBAL = {"--force-broken-world": "drop-broken-world", "--no-network": "no-network", "-v": "verbose", "--verbose": "verbose"}
_VALUED = {"-t": "virtual", "--virtual": "virtual"}
OPTIONS = {"add": _ADD, "upgrade": _UPGRADE, "del": _DEL, "fix": _FIX}


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command line."""

    verb: str
    options: frozenset[str]
    items: tuple[str, ...]
    virtual: str = ""
    """Value of `add --virtual`: the items become the dependencies of a package of this name."""


def parse_command(words: Sequence[str]) -> Command:
    """Read `[options] VERB [options] [items]`.  UsageError `unknown-verb`, `unknown-option`."""
    verb = next((word for word in words if word in OPTIONS), None)
    if verb is None:
        raise UsageError("no command among `add`, `del`, `upgrade`, `fix`", reason="unknown-verb")
    options: set[str] = set()
    items: list[str] = []
    virtual = ""
    seen = False
    rest = iter(words)
    for word in rest:
        if word == verb and not seen:
            seen = True
        elif verb == "add" and word in _VALUED:
            virtual = next(rest, "")
        elif word in OPTIONS[verb] or word in _GLOBAL:
            options.add(OPTIONS[verb].get(word) or _GLOBAL[word])
        elif word.startswith("-"):
            raise UsageError(f"`{verb}` has no option `{word}`", reason="unknown-option")
        else:
            items.append(word)
    return Command(verb, frozenset(options), tuple(items), virtual)


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
    items = [_virtual_item(command.virtual)] if command.virtual else _items(command)
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
        cached=(_virtual_package(items[0], command),) if command.virtual else (),
        named=frozenset(item.name for item in items),
        wishes=tuple(NamedWish(name, wish, wish) for name in dict.fromkeys(item.name for item in items)) if wish else (),
    )


def _virtual_item(text: str) -> Dependency:
    """`name` or `name=version` of a package made up on the command line."""
    bare = FormatError(f"`{text}` does not name a virtual package", reason="bad-virtual", hint="write `name` or `name=version`")
    try:
        item = parse_dependency(text)
    except FormatError:
        raise bare from None
    if item.operator not in ("", "=") or item.conflict or item.tag:
        raise bare
    return item if item.operator else item._replace(operator="=", version="0")


def _virtual_package(item: Dependency, command: Command) -> IndexRecord:
    depends = " ".join(map(str, parse_dependencies(" ".join(command.items), lenient=True)))
    identity = sha1(f"{item}\n{depends}".encode()).digest()
    return IndexRecord(item.name, item.version, "noarch", identity, 0, 0, depends=depends)


def _delete(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord]) -> Request:
    wanted = list(world)
    names = list(dict.fromkeys(command.items))
    for name in names:
        _drop_first(wanted, name)
    if "dependants" in command.options:
        for name in _dependants(names, installed):
            _drop_first(wanted, name)
    return Request(
        tuple(wanted), tuple(installed), named=frozenset(names), wishes=tuple(NamedWish(name, Wish.REMOVE) for name in names)
    )


def _dependants(names: Sequence[str], installed: Sequence[IndexRecord]) -> list[str]:
    """Names of installed packages that need one of `names`, directly or not."""
    needs = {
        record: {item.name for item in parse_dependencies(record.depends, lenient=True) if not item.conflict}
        for record in installed
    }
    answers = {record: set(provided_names(record)) for record in installed}
    order = [text for record in installed if record.name in names for text in provided_names(record) if text not in names]
    gone = {*names, *order}
    pending = [*names, *order]
    while pending:
        name = pending.pop(0)
        for record in installed:
            if name in needs[record] and record.name not in gone:
                fresh = [text for text in provided_names(record) if text not in gone]
                gone.update(answers[record])
                order += fresh
                pending += fresh
    return order


def _drop_first(world: list[Dependency], name: str) -> None:
    place = next((number for number, item in enumerate(world) if item.name == name), None)
    if place is not None:
        del world[place]


def _upgrade(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord], provided: Iterable[str]) -> Request:
    everywhere = Wish.NONE
    if "available" in command.options:
        everywhere |= Wish.AVAILABLE
    if "latest" in command.options:
        everywhere |= Wish.LATEST
    wanted = list(world)
    if "prune" in command.options:
        known = set(provided)
        wanted = [item for item in wanted if item.conflict or item.name in known]
    if "available" in command.options:
        wanted = [item._replace(operator="", version="") if item.operator == "><" else item for item in wanted]
    selective = bool(command.items) and "ignore" not in command.options
    return Request(
        tuple(wanted),
        tuple(installed),
        named=frozenset(command.items),
        wish=everywhere if selective else everywhere | Wish.UPGRADE,
        wishes=tuple(NamedWish(name, Wish.UPGRADE if selective else Wish.KEEP) for name in dict.fromkeys(command.items)),
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
        tuple(world),
        tuple(installed),
        named=frozenset(names),
        wishes=tuple(NamedWish(name, wish, inherited) for name in dict.fromkeys(names)),
    )
