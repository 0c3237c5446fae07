"""One package in both worlds, field by field (spec debian.md §3, §15 `deb explain`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apkiln.core.errors import UnsatisfiableError
from apkiln.core.origin import Origin
from apkiln.debian.accounts import AccountRegistry
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Choice, choose
from apkiln.debian.converting import ImportAccess, ScriptRules, prepare_all
from apkiln.debian.facts import PackageFacts
from apkiln.debian.importing import ImportRequest, download
from apkiln.debian.ledger import Ledger, LedgerRow
from apkiln.debian.mapping import MappedPackage, Mapper
from apkiln.debian.snapshot import Snapshot
from apkiln.debian.verified_lists import verified_lists
from apkiln.formats.deb.relations import Group, group_text


class Pair(NamedTuple):
    """One fact on both sides."""

    field: str
    """Debian's name of the field, or what the row is about."""
    debian: str
    """Empty when there is nothing like it."""
    apk: str
    remark: str = ""
    """Why they differ."""


class PackageMapping(NamedTuple):
    """The whole package."""

    name: str
    rows: tuple[Pair, ...]
    notes: tuple[str, ...]


def map_package(name: str, request: ImportRequest, rows: tuple[LedgerRow, ...], access: ImportAccess) -> PackageMapping:
    """The mapping of one package of the suite: its file is read, its dependencies are chosen but not fetched.

    `rows`: ledger of a repository, whose versions are then the ones shown.  Raises as `import_packages`.
    """
    lists = verified_lists(access.archive, request.arch.debian, request.origins, access.now, access.reporter)
    snapshot = Snapshot(lists, request.arch.debian)
    package = snapshot.candidate(name)
    if package is None:
        raise UnsatisfiableError(f"the suite has no package `{name}`", reason="missing-package", origin=Origin(package=name))
    download([package], access)
    scripts = ScriptRules(request.arch.debian, {(item.package, item.script): item for item in request.overrides.scripts})
    facts = prepare_all([package], scripts, AccountRegistry(), access)[name].facts
    preferred = {(owner, group): choice for owner, group, choice in request.overrides.alternatives}
    choices = [choose(snapshot, package, group, preferred.get((name, group_text(group)), ""))[0] for group in package.depends]
    mapper = Mapper(snapshot, Ledger(rows), {name: facts}, request.overrides)
    mapper.seed([package])
    result = mapper.map(package, choices)
    shown = (*_fields(package, result.package, facts), *_relations(package, result.package, choices, mapper), *_scripts(facts))
    return PackageMapping(name, tuple(shown), result.notes)


def _fields(package: BinaryPackage, mapped: MappedPackage, facts: PackageFacts) -> Iterator[Pair]:
    yield Pair("Package", package.name, mapped.name)
    yield Pair("Version", package.version, mapped.version, "from the ledger of versions")
    yield Pair("Architecture", package.architecture, mapped.arch)
    source = package.source if package.source_version == package.version else f"{package.source} ({package.source_version})"
    yield Pair("Source", source, mapped.origin)
    yield Pair("Description", package.description, mapped.description)
    yield Pair("Homepage", package.homepage, mapped.url)
    yield Pair("Maintainer", package.maintainer, mapped.maintainer)
    remark = "" if facts.licence else "the copyright file does not say it in a form that can be read"
    yield Pair("copyright", facts.licence, mapped.licence, remark)
    if package.essential:
        yield Pair("Essential", "yes", "", "part of the profile `full`")


def _relations(package: BinaryPackage, mapped: MappedPackage, choices: list[Choice], mapper: Mapper) -> Iterator[Pair]:
    reasons = {"first": "first of several", "only-existing": "the first that exists", "override": "an override"}
    for choice in choices:
        text = mapper.dependency(choice) if choice.provider != package.name else ""
        remark = reasons.get(choice.reason, "")
        if choice.provider != choice.relation.name:
            remark = f"{choice.relation.name} is provided by {choice.provider}"
        yield Pair("Depends", choice.group, text, remark)
    yield from _listed(
        "Provides", (f"{name} (= {version})" if version else name for name, version in package.provides), mapped.provides
    )
    excluded = tuple(item for item in mapped.depends if item.startswith("!"))
    yield from _listed("Conflicts", map(group_text, _groups(package.conflicts)), excluded)
    yield from _listed("Replaces", map(group_text, _groups(package.replaces)), mapped.replaces)
    for item in map(group_text, _groups(package.enhances)):
        comes = any(_name(item) == _name(wanted) for wanted in mapped.install_if)
        yield Pair(
            "Enhances", item, f"install_if {mapped.install_if[0]}" if comes else "", "" if comes else "only by an override"
        )
    if mapped.replaces_priority:
        yield Pair(
            "", "", f"replaces_priority {mapped.replaces_priority}", "it takes over files of packages it is installed with"
        )


def _groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple((relation,) for group in groups for relation in group)


def _listed(field: str, debian: Iterable[str], apk: Iterable[str]) -> Iterator[Pair]:
    """Items of both sides beside each other by name; what has no partner was left out."""
    left = {_name(item): item for item in debian}
    right = {_name(item.lstrip("!")): item for item in apk}
    for name in sorted(left.keys() | right.keys()):
        found = right.get(name, "")
        yield Pair(field, left.get(name, ""), found, "" if found else "left out")


def _name(item: str) -> str:
    for mark in (" ", "<", ">", "=", "~", ":"):
        item = item.partition(mark)[0]
    return item


def _scripts(facts: PackageFacts) -> Iterator[Pair]:
    for report in facts.translation.reports:
        yield Pair(report.name, report.sha256[:16], report.treatment, report.reason)
        for item in report.untranslated:
            yield Pair(report.name, f"{item.line}: {item.text}", "", item.why)
    for step in facts.translation.steps:
        yield Pair("effect", "", str(step) if len(str(step)) < 100 else f"{str(step)[:97]}…")
