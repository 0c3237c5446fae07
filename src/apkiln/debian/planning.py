"""What is to be converted and how, decided from closure and facts (spec debian.md §2): values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from apkiln.core.arch import Arch
from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.debian import layout
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import Choice, Closure
from apkiln.debian.conversion import ConversionPlan
from apkiln.debian.converting import PreparedPackage
from apkiln.debian.facts import PackageFacts
from apkiln.debian.file_tree import merged_path
from apkiln.debian.ledger import Ledger
from apkiln.debian.lock import LockedFile, LockedPlan
from apkiln.debian.mapping import MappedPackage, Mapper, replaces_cycles
from apkiln.debian.pruning import Pruned, missing_interpreters, unresolved_libraries
from apkiln.debian.snapshot import Snapshot


def package_plans(
    closure: Closure, mapper: Mapper, prepared: Mapping[str, PreparedPackage], snapshot: Snapshot
) -> tuple[list[ConversionPlan], list[str]]:
    """Plans for every package of a closure and for the documentation of each that has some, and notes for the user."""
    choices: dict[str, list[Choice]] = {}
    for choice in closure.choices:
        choices.setdefault(choice.package, []).append(choice)
    plans: list[ConversionPlan] = []
    notes: list[str] = []
    for package in closure.packages:
        item = prepared[package.name]
        needed = layout.LAYOUT if _needs_layout(package, item.facts) else ""
        result = mapper.map(package, choices.get(package.name, ()), needed)
        mapped = result.package
        if item.certificates is not None:
            bundle = _certificates_plan(mapped, package, snapshot)
            plans.append(bundle)
            needed = f"{bundle.mapped.name}={mapped.version}"
            mapped = replace(mapped, depends=tuple(sorted((*mapped.depends, needed))))
        plans.append(ConversionPlan(mapped, package.sha256, source=package.name))
        if item.documentation is not None:
            plans.append(_documentation_plan(result.package, package, snapshot))
        notes += [f"{package.name}: {note}" for note in result.notes]
    return plans, notes


def _certificates_plan(mapped: MappedPackage, package: BinaryPackage, snapshot: Snapshot) -> ConversionPlan:
    """`<name>-bundle`, for images that only read the bundle; earlier imports had its files in the package itself."""
    name = f"{package.name}-bundle"
    name = f"{name}-file" if snapshot.knows(name) else name
    kept = tuple(comment for comment in mapped.comments if not comment.startswith("deb-version"))
    bundle = replace(
        mapped, name=name, description=f"{mapped.description} (bundle)", depends=(), provides=(), replaces=(package.name,),
        replaces_priority=0, provider_priority=0, comments=kept, install_if=(),
    )  # fmt: skip
    return ConversionPlan(bundle, package.sha256, "certificates", package.name)


def licence_note(plans: Iterable[ConversionPlan]) -> list[str]:
    """One sentence about all packages whose copyright file does not say the licence in a form that can be read."""
    unknown = sorted(plan.source for plan in plans if plan.kind == "package" and plan.mapped.licence.startswith("LicenseRef-"))
    if not unknown:
        return []
    shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    return [f"the copyright files of {shown} do not say the licence in a form that can be read (LICENCE_UNKNOWN)"]


def _documentation_plan(mapped: MappedPackage, package: BinaryPackage, snapshot: Snapshot) -> ConversionPlan:
    """`<name>-doc`, or `<name>-doc-files` where the suite has a package of that name."""
    name = f"{package.name}-doc"
    name = f"{name}-files" if snapshot.knows(name) else name
    kept = tuple(comment for comment in mapped.comments if not comment.startswith("deb-version"))
    documentation = replace(
        mapped, name=name, description=f"{mapped.description} (documentation)", depends=(), provides=(), replaces=(),
        replaces_priority=0, provider_priority=0, comments=kept, install_if=(),
    )  # fmt: skip
    return ConversionPlan(documentation, package.sha256, "documentation", package.name)


def essential_plan(arch: Arch, profile: str, names: tuple[str, ...], closure: Closure, ledger: Ledger) -> ConversionPlan:
    """A package without files that brings in a profile (§6): an image names it beside what it is for."""
    packages = {package.name: package for package in closure.packages}
    identity = packages.get(layout.IDENTITY)
    mapped = MappedPackage(
        name=f"debian-essential-{profile}",
        version=layout.layout_version(ledger.assign(identity.name, identity.version) if identity is not None else ""),
        arch=arch.apk,
        description=f"the packages of the profile `{profile}`",
        url="",
        maintainer="",
        licence="CC0-1.0",
        origin=layout.LAYOUT,
        depends=tuple(sorted((layout.LAYOUT, *names))),
        provides=(),
        replaces=(),
        replaces_priority=0,
        provider_priority=0,
        comments=(),
    )
    return ConversionPlan(mapped, "", kind="meta")


def locked_plans(
    plans: Iterable[ConversionPlan],
    packages: Mapping[str, BinaryPackage],
    layout_source: BinaryPackage | None,
    snapshot: Snapshot,
) -> tuple[LockedPlan, ...]:
    """The plans with the files they are made from, for the lock; by name."""
    locked: list[LockedPlan] = []
    for plan in sorted(plans, key=lambda plan: plan.mapped.name):
        package = layout_source if plan.kind == "layout" else packages.get(plan.source)
        file = None
        if package is not None:
            file = LockedFile(
                package.name, package.version, package.source, package.source_version, snapshot.lists[package.archive].suite,
                package.filename, package.size, package.sha256,
            )  # fmt: skip
        locked.append(LockedPlan(plan.kind, plan.mapped, file))
    return tuple(locked)


def script_faults(closure: Closure, facts: Mapping[str, PackageFacts]) -> list[FormatError]:
    """What stands in the way of carrying scripts over: every command without translation, with script, line and text (§8.1)."""
    faults: list[FormatError] = []
    for package in closure.packages:
        for report in facts[package.name].translation.reports:
            changed = report.treatment == "changed"
            for item in report.untranslated:
                faults.append(
                    FormatError(
                        f"`{item.text}`: {item.why}" + (" (the override is for another text)" if changed else ""),
                        reason="script-changed" if changed else "script-untranslated",
                        origin=Origin(report.name, item.line, package=f"{package.name} {package.version}"),
                        hint=f"review the script and cover it in an override file: source_sha256 {report.sha256}",
                    )
                )
    return faults


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
        provider_priority=0,
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
