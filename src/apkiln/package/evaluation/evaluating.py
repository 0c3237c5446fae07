"""A definition with everything replaced that is the same for all architectures (spec package.md §4.1, P1-P8).

Ranges are expanded, defaults filled in, options applied; references to what only one architecture knows stay in the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import (
    NOWHERE,
    BuildOption,
    PackageDefinition,
    Subpackage,
    Verbatim,
)
from apkiln.package.evaluation import defaults
from apkiln.package.evaluation.ranges import RangedSubpackage, expanded
from apkiln.package.evaluation.references import LATER, Later, Substitution
from apkiln.package.evaluation.validation import validate
from apkiln.package.evaluation.variables import definition_values, is_later, with_range

_Part = TypeVar("_Part")


class EvaluationSettings(NamedTuple):
    """What the command line adds to a definition."""

    variables: tuple[tuple[str, str], ...] = ()
    """From `--vars-file`; they win over the definition's."""
    options: tuple[str, ...] = ()
    """Names of build options."""
    commit: str = ""
    """Commit of the definition, where it names none."""
    environment: tuple[tuple[str, str], ...] = ()
    """From `--env-file`; the definition's win over them."""


NO_SETTINGS = EvaluationSettings()


class Evaluated(NamedTuple):
    """An evaluated definition and the variables it was made with."""

    definition: PackageDefinition
    values: Mapping[str, str]
    """`package.*` and `vars.*`; references of later phases stand in them as written."""
    chosen: tuple[str, ...]
    """Build options that are on."""


def evaluate(
    definition: PackageDefinition,
    substitution: Substitution,
    settings: EvaluationSettings = NO_SETTINGS,
) -> Evaluated:
    """Faults, with their places, go to `substitution.faults`: those of references and variables, `undefined-range`,
    `unknown-option`, `duplicate-name`, `bad-package-name`, `bad-priority`, `bad-value`; remarks to `substitution.notes`.
    """
    definition = _with_options(_with_variables(definition, settings.variables), settings.options, substitution)
    values = definition_values(definition, substitution)
    evaluator = _Evaluator(substitution, values)
    made = definition._replace(
        package=evaluator.part(definition.package),
        environment=evaluator.part(definition.environment),
        pipeline=evaluator.part(definition.pipeline),
        subpackages=tuple(_subpackage(item, evaluator) for item in expanded(definition, substitution)),
        data=(),
        update=evaluator.part(definition.update),
        test=evaluator.part(definition.test),
    )
    made = defaults.completed(made, settings.commit, settings.environment)
    validate(made, substitution)
    return Evaluated(made, values, settings.options)


class _Evaluator(NamedTuple):
    """Replaces what this phase knows."""

    substitution: Substitution
    values: Mapping[str, str]

    def part(self, part: _Part) -> _Part:
        return self.substitution.replaced(part, self._lookup, self.values)

    def _lookup(self, name: str) -> str | Later | None:
        value = self.values.get(name)
        if value is not None:
            return value
        return LATER if is_later(name) else None


def _subpackage(ranged: RangedSubpackage, evaluator: _Evaluator) -> Subpackage:
    if ranged.item is None:
        return evaluator.part(ranged.subpackage)
    key, value = ranged.item
    inside = evaluator._replace(values=with_range(evaluator.values, key, evaluator.part(value).text))
    return inside.part(ranged.subpackage)


def _with_variables(definition: PackageDefinition, given: tuple[tuple[str, str], ...]) -> PackageDefinition:
    if not given:
        return definition
    merged = dict(definition.variables) | {name: Verbatim(text, NOWHERE) for name, text in given}
    return definition._replace(variables=tuple(sorted(merged.items())))


def _with_options(definition: PackageDefinition, names: tuple[str, ...], substitution: Substitution) -> PackageDefinition:
    known = {option.name: option for option in definition.options}
    for name in names:
        if name not in known:
            guess = nearest(name, known)
            hint = f"did you mean `{guess}`?" if guess else "known: " + (", ".join(known) or "none")
            message = f"the definition has no build option `{name}`"
            substitution.faults.add(ConfigurationError(message, reason="unknown-option", hint=hint))
        else:
            definition = _with_option(definition, known[name])
    return definition


def _with_option(definition: PackageDefinition, option: BuildOption) -> PackageDefinition:
    contents = definition.environment.contents
    packages = (*contents.packages, *(Text(name, NOWHERE) for name in option.add))
    kept = tuple(package for package in packages if package.text not in option.remove)
    environment = definition.environment._replace(contents=contents._replace(packages=kept))
    variables = dict(definition.variables) | dict(option.variables)
    return definition._replace(environment=environment, variables=tuple(sorted(variables.items())))
