"""apk's command lines `add`, `del`, `upgrade`, `fix` as requests (spec apk.md §10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha1

from apkiln.core.arch import Arch
from apkiln.core.errors import FaultCollector, FormatError, UsageError
from apkiln.core.value import replace, value
from apkiln.formats.apk.dependency import Dependency, parse_dependencies, parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.dependants import Dependants, depends_on, names_of
from apkiln.solver.request import NamedWish, Request, SolverRepository, Wish
from apkiln.solver.source import PackageSource, mentioned_name, provided_names
from apkiln.solver.universe import Candidate, Universe

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
_ANY = Arch.parse("x86_64")
"""Who depends on whom is no matter of architecture."""
OPTIONS = {"add": _ADD, "upgrade": _UPGRADE, "del": _DEL, "fix": _FIX}


@value
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


def plan(
    command: Command,
    world: Sequence[Dependency],
    installed: Sequence[IndexRecord],
    provided: Iterable[str],
    repositories: Sequence[SolverRepository] | None = None,
) -> Request:
    """The request a command makes of a root with this `world` (file order counts) and installed database.

    `provided`: names some package provides, used by `upgrade --prune` only.  `repositories`, where given: names no record
    mentions are refused, and `del -r` follows apk's reverse lists, which they have a part in.  UsageError/FormatError for bad
    items, UsageError `unknown-name`.
    """
    if repositories is not None and command.verb != "add":
        _check_names(command.items, world, installed, repositories)
    request = _request(command, world, installed, provided, repositories)
    return replace(request, tag_order=tuple(dict.fromkeys(item.tag for item in world if item.tag)))


def _request(
    command: Command,
    world: Sequence[Dependency],
    installed: Sequence[IndexRecord],
    provided: Iterable[str],
    repositories: Sequence[SolverRepository] | None,
) -> Request:
    match command.verb:
        case "add":
            return _add(command, world, installed)
        case "del":
            return _delete(command, world, installed, repositories or ())
        case "upgrade":
            return _upgrade(command, world, installed, provided)
        case "fix":
            return _fix(command, world, installed)
    raise AssertionError(command.verb)


def _check_names(
    names: Sequence[str],
    world: Sequence[Dependency],
    installed: Sequence[IndexRecord],
    repositories: Sequence[SolverRepository],
) -> None:
    """`unknown-name` for names that no item of any record or of the world speaks of.  Of a repository that is no plain
    sequence only its lookups are asked."""
    unknown = set(names) - {item.name for item in world}
    sources: list[Sequence[IndexRecord] | PackageSource] = [installed, *(repository.records for repository in repositories)]
    for records in sources:
        if not isinstance(records, Sequence):
            unknown = {name for name in unknown if not (records.providers(name) or records.reverse_install_if(name))}
        elif unknown:  # not for nothing: this looks at every record
            unknown -= {name for record in records for name in _mentioned(record)}
    missing = [name for name in dict.fromkeys(names) if name in unknown]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        raise UsageError(f"no package is called or speaks of {listed}", reason="unknown-name")


def _mentioned(record: IndexRecord) -> Iterator[str]:
    yield from provided_names(record)
    yield from map(mentioned_name, record.depends.split())
    yield from map(mentioned_name, record.install_if.split())


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


def _delete(
    command: Command,
    world: Sequence[Dependency],
    installed: Sequence[IndexRecord],
    repositories: Sequence[SolverRepository],
) -> Request:
    wanted = list(world)
    for name in command.items:
        _drop_first(wanted, name)
    names = dict.fromkeys(command.items)
    if "dependants" in command.options:
        for candidate, texts in _dependants(command.items, installed, repositories):
            for text in texts:
                _drop_first(wanted, text)
            names[candidate.name] = None
    gone = names.keys() & {record.name for record in installed}
    return Request(
        tuple(wanted),
        tuple(installed),
        named=frozenset(gone),
        wishes=tuple(NamedWish(name, Wish.REMOVE) for name in names if name in gone),
    )


def _dependants(
    names: Sequence[str], installed: Sequence[IndexRecord], repositories: Sequence[SolverRepository]
) -> Iterator[tuple[Candidate, list[str]]]:
    """The installed packages of these names, with the other names they answer to, and all packages that need them, directly
    or not, with all names.

    A package is looked at once, where the reverse lists lead to it first; if it does not depend on the package they lead from,
    it stays for good.
    """
    universe = Universe(repositories, Request((), tuple(installed)), _ANY)
    dependants = Dependants(universe, universe.installed)
    seen: set[Candidate] = set()
    for name in names:
        own = universe.name(name).installed
        if own is None:
            continue
        yield own, names_of(own)[1:]
        stack = [(own, dependants.listed(own))]
        while stack:
            candidate, listed = stack[-1]
            other = next((other for other in listed if other not in seen), None)
            if other is None:
                stack.pop()
                continue
            seen.add(other)
            if depends_on(universe, other, candidate):
                yield other, names_of(other)
                stack.append((other, dependants.listed(other)))


def _drop_first(world: list[Dependency], name: str) -> None:
    """apk puts the last item in the place of the one that goes."""
    place = next((number for number, item in enumerate(world) if item.name == name), None)
    if place is not None:
        world[place] = world[-1]
        del world[-1]


def _upgrade(command: Command, world: Sequence[Dependency], installed: Sequence[IndexRecord], provided: Iterable[str]) -> Request:
    everywhere = Wish.NONE
    if "available" in command.options:
        everywhere |= Wish.AVAILABLE
    if "latest" in command.options:
        everywhere |= Wish.LATEST
    wanted = list(world)
    if "prune" in command.options:
        known = set(provided)
        wanted = [item for item in wanted if item.name in known]
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
