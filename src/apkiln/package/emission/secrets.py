"""Environment variables that would publish a secret with the definition (spec package.md §10.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import PackageDefinition, Step

_SUSPECT = re.compile(r"TOKEN|SECRET|PASSWORD|(?:^|_)KEY$", re.IGNORECASE)


def check_secrets(definition: PackageDefinition, faults: FaultCollector) -> None:
    """A fault ConfigurationError `secret-in-environment` for each variable that is named like a secret and whose value came
    from outside the definition.  What stands in the definition is no secret: tests have many a `PGPASSWORD: postgres`."""
    for name, value in _variables(definition):
        if value.text and not value.origin.line and _SUSPECT.search(name):
            faults.add(
                ConfigurationError(
                    f"variable `{name}` looks like a secret, and its value would stand in every package",
                    reason="secret-in-environment",
                    origin=value.origin,
                    hint="hand it over by another way, or build with `--allow-env-secrets`",
                )
            )


def _variables(definition: PackageDefinition) -> Iterator[tuple[str, Text]]:
    tests = [definition.test, *(item.test for item in definition.subpackages)]
    yield from definition.environment.environment
    for steps in (definition.pipeline, *(item.pipeline for item in definition.subpackages)):
        yield from _of_steps(steps)
    for test in tests:
        if test is not None:
            yield from test.environment.environment
            yield from _of_steps(test.pipeline)


def _of_steps(steps: tuple[Step, ...]) -> Iterator[tuple[str, Text]]:
    for step in steps:
        yield from step.environment
        yield from _of_steps(step.pipeline)
