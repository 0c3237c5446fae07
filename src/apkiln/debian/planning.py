"""What is to be converted and how, decided from closure and facts (spec debian.md §2): values in, values out."""

from __future__ import annotations

from collections.abc import Mapping

from apkiln.core.arch import Arch
from apkiln.debian import layout
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Choice, Closure
from apkiln.debian.conversion import ConversionPlan
from apkiln.debian.facts import PackageFacts
from apkiln.debian.file_tree import merged_path
from apkiln.debian.ledger import Ledger
from apkiln.debian.mapping import MappedPackage, Mapper, replaces_cycles
from apkiln.debian.pruning import Pruned, missing_interpreters, unresolved_libraries
from apkiln.debian.snapshot import Snapshot


def package_plans(closure: Closure, mapper: Mapper, facts: Mapping[str, PackageFacts]) -> tuple[list[ConversionPlan], list[str]]:
    choices: dict[str, list[Choice]] = {}
    for choice in closure.choices:
        choices.setdefault(choice.package, []).append(choice)
    plans: list[ConversionPlan] = []
    notes: list[str] = []
    for package in closure.packages:
        needed = layout.LAYOUT if _needs_layout(package, facts[package.name]) else ""
        result = mapper.map(package, choices.get(package.name, ()), needed)
        plans.append(ConversionPlan(result.package, package.sha256))
        notes += [f"{package.name}: {note}" for note in result.notes]
    return plans, notes


def _needs_layout(package: BinaryPackage, facts: PackageFacts) -> bool:
    """Whether a package uses a path through one of the layout's links: a loader, an interpreter, or a file that moved.

    The identity package itself is left out, since the layout depends on it.
    """
    if package.name == layout.IDENTITY:
        return False
    named = {file.interpreter.lstrip("/") for file in facts.files if file.interpreter.startswith("/")}
    return any(merged_path(path) != path for path in named)


def layout_plan(arch: Arch, source: BinaryPackage | None, ledger: Ledger, snapshot: Snapshot) -> ConversionPlan:
    version = layout.layout_version(ledger.assign(source.name, source.version) if source else "")
    identity = (layout.IDENTITY,) if snapshot.candidate(layout.IDENTITY) is not None else ()
    comments = (f"deb-source = {source.source}", f"deb-sha256 = {source.sha256}") if source else ()
    mapped = MappedPackage(
        name=layout.LAYOUT,
        version=version,
        arch=arch.apk,
        description="links of the merged /usr and account files of the imported distribution",
        url="",
        maintainer="",
        licence="CC0-1.0",
        origin=layout.LAYOUT,
        depends=identity,
        provides=(),
        replaces=(),
        replaces_priority=0,
        comments=comments,
    )
    return ConversionPlan(mapped, source.sha256 if source else "", kind="layout")


def closure_notes(pruned: Pruned, facts: Mapping[str, PackageFacts]) -> list[str]:
    notes = [f"{package}: `{path}` needs `{name}`, which nothing provides (SO_UNRESOLVED)"
             for package, path, name in unresolved_libraries(facts.values())]  # fmt: skip
    notes += [f"{package}: `{path}` needs the interpreter `{name}`, which nothing provides (INTERPRETER_MISSING)"
              for package, path, name in missing_interpreters(facts.values())]  # fmt: skip
    notes += [f"`{first}` and `{second}` replace each other's files (REPLACES_CYCLE)"
              for first, second in replaces_cycles(pruned.closure.packages)]  # fmt: skip
    for decision in pruned.decisions:
        notes += [
            f"{item.package}: `{item.path}` names `{item.text}` of `{decision.package}`, so the dependency stays (PRUNE_REFUSED)"
            for item in decision.evidence[:1]
        ]
        notes += [
            f"{item.package}: `{item.path}` names `{item.text}` of `{decision.package}`, which it does not depend on and nothing "
            "brings in"
            for item in decision.undeclared[:1]
        ]
    return notes
