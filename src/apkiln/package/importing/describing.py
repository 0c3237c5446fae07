"""A definition for a tree that is there already: no steps, only what the package says of itself."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import FaultCollector, UsageError
from apkiln.core.value import value
from apkiln.formats.apk.version import is_valid
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition import forms
from apkiln.package.definition.model import NOWHERE, Copyright, Dependencies, Package, PackageDefinition, Prose


@value
class Description:
    """What is told of a package beside its files."""

    name: str
    version: str
    """Without the release number."""
    epoch: int = 0
    description: str = ""
    url: str = ""
    licences: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


def definition_for(description: Description) -> PackageDefinition:
    """The definition.  UsageError `bad-name`, `bad-version`, `bad-dependency`, all faults together."""
    faults = FaultCollector.empty()
    wrong = forms.package_name(description.name)
    if wrong:
        faults.add(UsageError(wrong, reason="bad-name", hint="name the package with `--name`"))
    if not is_valid(description.version):
        message = f"`{description.version}` is no version that apk understands"
        faults.add(UsageError(message, reason="bad-version", hint="give one with `--version`, for example `1.2.3`"))
    for item in (*description.depends, *description.provides, *description.replaces):
        wrong = forms.dependency(item)
        if wrong:
            faults.add(UsageError(wrong, reason="bad-dependency"))
    faults.raise_if_any()
    return PackageDefinition(
        Package(
            name=Text(description.name, NOWHERE),
            version=Text(description.version, NOWHERE),
            epoch=description.epoch,
            description=Prose(description.description, NOWHERE),
            url=Text(description.url, NOWHERE),
            copyright=tuple(Copyright(Text(item, NOWHERE)) for item in description.licences),
            dependencies=Dependencies(_texts(description.depends), _texts(description.provides), _texts(description.replaces)),
        )
    )


def _texts(items: Iterable[str]) -> tuple[Text, ...]:
    return tuple(Text(item, NOWHERE) for item in items)
