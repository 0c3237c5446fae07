"""Steps with their pipelines loaded and everything replaced (spec package.md §4.1 C1, §4.7, §4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apkiln.core.errors import ConfigurationError
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.compilation.inputs import resolve_inputs, shown_inputs
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.pipeline_file import PipelineFile
from apkiln.package.compilation.scope import Scope
from apkiln.package.definition.model import NO_CONDITION, NO_TEXT, Condition, Pairs, Prefetch, Step
from apkiln.package.evaluation.conditions import evaluate
from apkiln.package.evaluation.defaults import inherited
from apkiln.package.evaluation.references import Substitution

MAXIMUM_STEPS = 100_000
"""Steps of one definition with all pipelines loaded."""
MAXIMUM_DEPTH = 80
"""Steps and pipelines inside each other."""


@dataclass(slots=True)
class StepCompiler:
    """Compiles the steps of one definition for one architecture."""

    library: PipelineLibrary
    substitution: Substitution
    count: int = 0
    """Steps so far."""
    seen: set[str] = field(default_factory=set)
    """Pipelines whose faults and remarks were passed on."""

    def steps(self, steps: Sequence[Step], scope: Scope, needs: list[Text], *, active: bool = True) -> tuple[Step, ...]:
        """The steps resolved; what those that will run need is appended to `needs`.

        Faults: `unknown-pipeline`, `pipeline-cycle`, those of inputs, references and conditions, and those of pipeline files.
        Raises ConfigurationError `too-many-steps`, `pipeline-too-deep`, `text-too-large`.
        """
        return tuple(self._step(step, scope, needs, (), 0, active) for step in steps)

    def _step(self, step: Step, scope: Scope, needs: list[Text], chain: tuple[str, ...], depth: int, active: bool) -> Step:
        self._count(step, depth)
        named = bool(step.uses.text) and not step.pipeline
        file = self._file(step, chain) if named else None
        given = step.inputs_given
        if step.inputs and not named:
            scope = scope.with_inputs(resolve_inputs(step.inputs, step, scope, self.substitution))
        step = self._own(step, scope)
        if named and file is None:
            return step._replace(inputs=(), needs=())
        if file is not None and file.step is not None:
            chain = (*chain, file.name)
            values = resolve_inputs(file.step.inputs, step._replace(inputs_given=given), scope, self.substitution)
            scope = scope.with_inputs(values)
            below = self._own(file.step, scope)
            step = _overlaid(step, below)._replace(inputs_given=shown_inputs(below.inputs, values, given))
        else:
            step = step._replace(inputs_given=tuple((name, self._text(text, scope)) for name, text in given))
        active = active and self._holds(step.condition)
        if active:
            needs += step.needs
        inner = (inherited(one, step.working_directory, step.environment) for one in step.pipeline)
        children = tuple(self._step(one, scope, needs, chain, depth + 1, active) for one in inner)
        return step._replace(pipeline=children, inputs=(), needs=())

    def _count(self, step: Step, depth: int) -> None:
        self.count += 1
        if self.count > MAXIMUM_STEPS:
            message = f"pipelines make more than {MAXIMUM_STEPS} steps"
            raise ConfigurationError(message, reason="too-many-steps", origin=step.origin)
        if depth > MAXIMUM_DEPTH:
            message = f"steps are nested deeper than {MAXIMUM_DEPTH}"
            raise ConfigurationError(message, reason="pipeline-too-deep", origin=step.origin)

    def _file(self, step: Step, chain: tuple[str, ...]) -> PipelineFile | None:
        name, origin = step.uses
        if name in chain:
            message = "pipelines use each other in a circle: " + " → ".join([*chain[chain.index(name) :], name])
            self.substitution.fault(message, "pipeline-cycle", origin)
            return None
        try:
            file = self.library.find(name, origin)
        except ConfigurationError as error:
            self.substitution.faults.add(error)
            return None
        if name not in self.seen:
            self.seen.add(name)
            self.substitution.sources.texts.setdefault(file.source, file.text)
            self.substitution.notes += file.notes
            for fault in file.faults:
                self.substitution.faults.add(fault)
        return file if file.step is not None else None

    def _own(self, step: Step, scope: Scope) -> Step:
        """The step's own fields replaced; inputs, and the steps inside, are left."""
        return step._replace(
            condition=self._condition(step.condition, scope),
            name=self.substitution.prose(step.name, scope.lookup),
            runs=self._text(step.runs, scope),
            needs=tuple(self._text(item, scope) for item in step.needs),
            working_directory=self._text(step.working_directory, scope),
            environment=tuple((name, self._text(text, scope)) for name, text in step.environment),
            prefetch=tuple(Prefetch(one.kind, self._text(one.lock, scope), self._text(one.root, scope)) for one in step.prefetch),
        )

    def _text(self, text: Text, scope: Scope) -> Text:
        return self.substitution.text(text, scope.lookup, scope)

    def _condition(self, condition: Condition, scope: Scope) -> Condition:
        return self.substitution.condition(condition, scope.lookup, scope)

    def _holds(self, condition: Condition) -> bool:
        return holds(condition, self.substitution)


def holds(condition: Condition, substitution: Substitution) -> bool:
    """The truth of a condition; one that cannot be read is a fault, and true."""
    try:
        return evaluate(condition)
    except ConfigurationError as error:
        # A reference that is left was reported when it could not be replaced.
        if "${{" not in condition.text:
            substitution.fault(error.message, error.reason, error.origin)
        return True


def _overlaid(step: Step, file: Step) -> Step:
    """A calling step with what the pipeline file says put over it; the caller's name always stays.

    A script of the file itself becomes the first step inside, so that the result is a definition again.
    """
    works = file.runs.text or (file.uses.text and not file.pipeline)
    own = Step(uses=file.uses, inputs_given=file.inputs_given, runs=file.runs, origin=file.origin) if works else None
    return step._replace(
        condition=file.condition if file.condition != NO_CONDITION else step.condition,
        label=file.label or step.label,
        pipeline=(own, *file.pipeline) if own is not None else file.pipeline,
        needs=file.needs or step.needs,
        required_steps=file.required_steps if file.required_steps is not None else step.required_steps,
        working_directory=file.working_directory if file.working_directory != NO_TEXT else step.working_directory,
        environment=_merged(step.environment, file.environment),
        network=step.network or file.network,
        prefetch=(*step.prefetch, *file.prefetch),
    )


def _merged(outer: Pairs, inner: Pairs) -> Pairs:
    return tuple(sorted((dict(outer) | dict(inner)).items(), key=lambda pair: pair[0])) if inner else outer
