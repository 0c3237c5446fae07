"""The form of a resolved definition that is shown and goes into packages: scripts without comments (spec package.md §8.1)."""

from __future__ import annotations

from apkiln.package.compilation.scripts import without_comments
from apkiln.package.definition.model import PackageDefinition, PackageTest, Step


def embedded(definition: PackageDefinition) -> PackageDefinition:
    """The definition with comments taken out of the scripts of its steps; doing it again changes nothing."""
    subpackages = tuple(item._replace(pipeline=_steps(item.pipeline), test=_test(item.test)) for item in definition.subpackages)
    return definition._replace(pipeline=_steps(definition.pipeline), subpackages=subpackages, test=_test(definition.test))


def _test(test: PackageTest | None) -> PackageTest | None:
    return None if test is None else test._replace(pipeline=_steps(test.pipeline))


def _steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(_step(step) for step in steps)


def _step(step: Step) -> Step:
    return step._replace(runs=step.runs._replace(text=without_comments(step.runs.text)), pipeline=_steps(step.pipeline))
