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
    Subpackage,
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
    return (_main(definition), *(_part(item, definition) for item in definition.subpackages))


def part_named(definition: PackageDefinition, name: str) -> PackagePart | None:
    """The part of this name; None when the definition makes no such package."""
    if definition.package.name.text == name:
        return _main(definition)
    found = next((item for item in definition.subpackages if item.name.text == name), None)
    return None if found is None else _part(found, definition)


def _main(definition: PackageDefinition) -> PackagePart:
    package = definition.package
    return PackagePart(
        name=package.name.text,
        is_main=True,
        description=package.description.text,
        url=package.url.text,
        commit=package.commit.text,
        dependencies=package.dependencies,
        options=package.options,
        scriptlets=package.scriptlets,
        checks=package.checks,
        setcap=package.setcap,
        test=definition.test,
        cpe=package.cpe,
        origin=package.origin,
    )


def _part(item: Subpackage, definition: PackageDefinition) -> PackagePart:
    main = definition.package
    return PackagePart(
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
