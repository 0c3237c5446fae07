"""What is wrong with a named pipeline before any definition uses it (spec package.md §3.9, §4.7, §6)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.errors import ApkilnError, ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.pipeline_file import PipelineFile
from apkiln.package.definition.model import Condition, Prose, Step
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.evaluation.references import Change, mapped
from apkiln.package.evaluation.variables import is_later

ERROR, WARNING = "error", "warning"
_REFERENCE = pattern(r"\$\{\{\s*([^{}\s]*)\s*\}\}")
_NAME = pattern(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_PACKAGE = frozenset({"name", "version", "full-version", "epoch", "description", "srcdir"})
_FOR_THE_BUILDER = frozenset({"purl-name", "purl-version", "type-hint", "reason"})
"""Inputs that no script uses: bills of materials and people do."""
_MAXIMUM_DEPTH = 50


class PipelineFinding(NamedTuple):
    """One thing that is wrong, or odd."""

    severity: str
    reason: str
    """Stable word, as of errors: `unknown-input`, `unused-input`, `unknown-variable`, `unknown-pipeline`, `pipeline-cycle`,
    `input-name`, `undescribed-input`, `useless-default`, `bad-condition`, and reasons of reading the file."""
    message: str
    origin: Origin


def check_pipeline(file: PipelineFile, library: PipelineLibrary) -> tuple[PipelineFinding, ...]:
    """Findings in the order of their place, errors and warnings; what keeps the file from being read ends the check."""
    found = [_fault(fault) for fault in file.faults]
    found += [PipelineFinding(WARNING, "unknown-key", note.message, note.origin) for note in file.notes]
    if file.step is not None:
        found += _inputs(file.step)
        found += _references(file.step)
        found += _uses(file.step, library, (file.name,))
        found += _conditions(file.step)
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.origin.line, one.origin.column, one.reason)))


def _fault(fault: ApkilnError) -> PipelineFinding:
    return PipelineFinding(ERROR, fault.reason, fault.message, fault.origin)


def _inputs(step: Step) -> Iterator[PipelineFinding]:
    used = {name.removeprefix("inputs.") for name, _ in _named(step) if name.startswith("inputs.")}
    for item in step.inputs:
        if item.name not in used | _FOR_THE_BUILDER:
            message = f"the input `{item.name}` is never used"
            yield PipelineFinding(WARNING, "unused-input", message, item.origin)
        if not _NAME.fullmatch(item.name):
            message = f"`{item.name}` is no good name of an input: small letters, digits and `-`"
            yield PipelineFinding(WARNING, "input-name", message, item.origin)
        if not item.description.strip():
            yield PipelineFinding(WARNING, "undescribed-input", f"the input `{item.name}` has no description", item.origin)
        if item.required and item.default.text:
            message = f"the input `{item.name}` is required and has a default, which is never taken"
            yield PipelineFinding(WARNING, "useless-default", message, item.origin)


def _references(step: Step) -> Iterator[PipelineFinding]:
    declared = [item.name for item in step.inputs]
    for name, origin in _named(step):
        if name.startswith("inputs."):
            wanted = name.removeprefix("inputs.")
            if wanted not in declared:
                guess = nearest(wanted, declared)
                more = f"; did you mean `{guess}`?" if guess else ""
                yield PipelineFinding(ERROR, "unknown-input", f"the input `{wanted}` is not declared{more}", origin)
        elif not _is_known(name):
            yield PipelineFinding(ERROR, "unknown-variable", f"nothing is called `{name}`", origin)


def _is_known(name: str) -> bool:
    """Whether a variable of this name can exist where a pipeline is used."""
    first, _, rest = name.partition(".")
    if first in ("vars", "range"):
        return bool(rest)
    return is_later(name) or (first == "package" and rest in _PACKAGE)


def _named(step: Step) -> list[tuple[str, Origin]]:
    """Every reference in the texts of the file, with its place."""
    found: list[tuple[str, Origin]] = []

    def look(text: str, origin: Origin) -> None:
        found.extend((match[1], origin) for match in _REFERENCE.finditer(text))

    def prose(value: Prose) -> Prose:
        look(*value)
        return value

    def condition(value: Condition) -> Condition:
        look(*value)
        return value

    def text(value: Text) -> Text:
        look(*value)
        return value

    mapped(step, Change(text, prose, condition))
    return found


def _uses(step: Step, library: PipelineLibrary, chain: tuple[str, ...]) -> Iterator[PipelineFinding]:
    """Pipelines that are used and are not there, or lead back here."""
    name, origin = step.uses
    if name and not step.pipeline:
        if name in chain:
            message = "pipelines use each other in a circle: " + " → ".join([*chain[chain.index(name) :], name])
            yield PipelineFinding(ERROR, "pipeline-cycle", message, origin)
            return
        try:
            file = library.find(name, origin)
        except ConfigurationError as error:
            yield _fault(error)
            return
        if len(chain) == 1 and file.step is not None:
            yield from _given(step, file)
        if file.step is not None and len(chain) < _MAXIMUM_DEPTH:
            inner = _uses(file.step, library, (*chain, name))
            yield from (finding._replace(origin=origin) for finding in inner if finding.reason == "pipeline-cycle")
    for one in step.pipeline:
        yield from _uses(one, library, chain)


def _given(step: Step, file: PipelineFile) -> Iterator[PipelineFinding]:
    assert file.step is not None, "looked at before"
    known = {item.name: item for item in file.step.inputs}
    given = dict(step.inputs_given)
    for name, text in given.items():
        if name not in known:
            yield PipelineFinding(ERROR, "unknown-input", f"pipeline `{file.name}` has no input `{name}`", text.origin)
    for name, item in known.items():
        if item.required and not item.default.text and name not in given:
            message = f"pipeline `{file.name}` needs the input `{name}`, unless the pipeline around has one of that name"
            yield PipelineFinding(WARNING, "missing-input", message, step.uses.origin)


def _conditions(step: Step) -> Iterator[PipelineFinding]:
    condition = step.condition
    if condition.text:
        try:
            evaluate(condition._replace(text=_REFERENCE.sub("'x'", condition.text)))
        except ConfigurationError as error:
            yield PipelineFinding(ERROR, error.reason, error.message, condition.origin)
    for one in step.pipeline:
        yield from _conditions(one)
