"""The packages of one definition, each with what counts for it (spec package.md §3.8)."""

from __future__ import annotations

from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.package.definition.model import (
    Checks,
    Cpe,
    Dependencies,
    PackageDefinition,
    PackageOptions,
    PackageTest,
    Scriptlets,
    Setcap,
)


@value
class PackagePart:
    """The main package or a subpackage."""

    name: str
    is_main: bool
    description: str
    url: str
    commit: str
    """A subpackage without its own has the main package's."""
    dependencies: Dependencies
    options: PackageOptions
    scriptlets: Scriptlets
    checks: Checks
    setcap: tuple[Setcap, ...]
    test: PackageTest | None
    cpe: Cpe
    """The main package's."""
    origin: Origin


def parts(definition: PackageDefinition) -> tuple[PackagePart, ...]:
    """The main package, then the subpackages in the order of the file.  Conditions are not looked at: compile first."""
    main = definition.package
    first = PackagePart(
        name=main.name.text,
        is_main=True,
        description=main.description.text,
        url=main.url.text,
        commit=main.commit.text,
        dependencies=main.dependencies,
        options=main.options,
        scriptlets=main.scriptlets,
        checks=main.checks,
        setcap=main.setcap,
        test=definition.test,
        cpe=main.cpe,
        origin=main.origin,
    )
    others = [
        PackagePart(
            name=item.name.text,
            is_main=False,
            description=item.description.text,
            url=item.url.text,
            commit=item.commit.text or main.commit.text,
            dependencies=item.dependencies,
            options=item.options,
            scriptlets=item.scriptlets,
            checks=item.checks,
            setcap=item.setcap,
            test=item.test,
            cpe=main.cpe,
            origin=item.origin,
        )
        for item in definition.subpackages
    ]
    return (first, *others)


def part_named(definition: PackageDefinition, name: str) -> PackagePart | None:
    """The part of this name; None when the definition makes no such package."""
    return next((part for part in parts(definition) if part.name == name), None)
