"""Which tests a definition has, and what each runs in.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.value import value
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.building.steps import StepRun, step_runs
from apkiln.package.definition.model import NOWHERE, Contents, Environment, PackageDefinition, PackageTest


@value
class PlannedTest:
    """The test of one package."""

    package: str
    steps: tuple[StepRun, ...]
    environment: Environment
    """Packages, repositories and accounts of its root; variables of the build's environment with the test's over them."""


def planned_tests(definition: PackageDefinition, instead: str = "") -> tuple[PlannedTest, ...]:
    """Those of the main package and of subpackages that have steps to run, in the order of the file.

    `instead`: package that is put into the root of the main test in place of the main package.  Raises what `step_runs` raises.
    """
    return tuple(_tests(definition, instead))


def _tests(definition: PackageDefinition, instead: str) -> Iterator[PlannedTest]:
    name = definition.package.name.text
    if definition.test is not None:
        test = definition.test
        if instead:
            test = test._replace(environment=_renamed(test.environment, name, instead))
        yield from _planned(instead or name, test, definition.environment)
    for subpackage in definition.subpackages:
        if subpackage.test is not None:
            yield from _planned(subpackage.name.text, subpackage.test, definition.environment)


def _planned(package: str, test: PackageTest, build: Environment) -> Iterator[PlannedTest]:
    steps = step_runs(test.pipeline)
    if steps:
        yield PlannedTest(package, steps, _environment(test.environment, build))


def _environment(own: Environment, build: Environment) -> Environment:
    variables = dict(build.environment) | dict(own.environment)
    contents, outer = own.contents, build.contents
    merged = contents._replace(
        repositories=_once(contents.repositories, outer.repositories),
        build_repositories=_once(contents.build_repositories, outer.build_repositories),
        keyring=_once(contents.keyring, outer.keyring),
    )
    return own._replace(contents=merged, environment=tuple(sorted(variables.items(), key=lambda pair: pair[0])))


def _once(first: tuple[Text, ...], second: tuple[Text, ...]) -> tuple[Text, ...]:
    found: dict[str, Text] = {}
    for item in (*first, *second):
        found.setdefault(item.text, item)
    return tuple(found.values())


def _renamed(environment: Environment, name: str, instead: str) -> Environment:
    names = {item.text: item for item in environment.contents.packages if item.text != name}
    names[instead] = Text(instead, NOWHERE)
    return environment._replace(contents=environment.contents._replace(packages=tuple(names[key] for key in sorted(names))))


def pinned(test: PlannedTest, packages: tuple[str, ...]) -> PlannedTest:
    """The test with exactly these packages (`NAME=VERSION`) in its root."""
    contents: Contents = test.environment.contents._replace(packages=tuple(Text(item, NOWHERE) for item in packages))
    return PlannedTest(test.package, test.steps, test.environment._replace(contents=contents))
