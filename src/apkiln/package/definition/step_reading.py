"""Steps of a pipeline, as definitions and pipeline files both write them (spec package.md §3.9)."""

from __future__ import annotations

from dataclasses import dataclass

from apkiln.core.errors import FaultCollector
from apkiln.formats.yamlnode.reader import Fields, Text, Value
from apkiln.package.definition import keys
from apkiln.package.definition.model import (
    NO_CONDITION,
    NO_PROSE,
    NO_TEXT,
    NO_VERBATIM,
    Condition,
    Input,
    Pairs,
    Prefetch,
    Prose,
    Step,
    Verbatim,
)


@dataclass(frozen=True, slots=True)
class StepReader:
    """Reads steps; `lenient` accepts a `description`, as steps of pipeline files have it."""

    faults: FaultCollector
    lenient: bool = False

    def steps(self, fields: Fields) -> tuple[Step, ...]:
        """The steps under `pipeline`."""
        known = keys.names("pipeline-file" if self.lenient else "step")
        return tuple(self.step(item.fields(known)) for item in sections_of(fields, "pipeline"))

    def step(self, fields: Fields) -> Step:
        """One step from its fields, with the faults of combinations that mean nothing (`useless-key`)."""
        self._check(fields)
        needs, assertions = fields.get("needs"), fields.get("assertions")
        return Step(
            condition=condition_of(fields),
            name=prose_of(fields, "name"),
            label=fields.text("label"),
            uses=verbatim_of(fields, "uses"),
            inputs_given=self._given(fields),
            runs=text_of(fields, "runs"),
            pipeline=self.steps(fields),
            inputs=self._inputs(fields),
            needs=() if needs is None else texts_of(needs.fields(keys.names("needs")), "packages"),
            required_steps=None if assertions is None else self._required_steps(assertions),
            working_directory=text_of(fields, "working-directory"),
            environment=pairs_of(fields, "environment"),
            network=fields.boolean("network"),
            prefetch=tuple(self._prefetch(item) for item in sections_of(fields, "prefetch")),
            origin=fields.origin,
        )

    def _check(self, fields: Fields) -> None:
        uses, runs, given = fields.get("uses"), fields.get("runs"), fields.get("with")
        if uses is not None and runs is not None:
            runs.fault(f"`{fields.whole.path}` has both `uses` and `runs`", "useless-key", "put `runs` into a step of its own")
        elif uses is None and given is not None and given.members():
            hint = "inputs belong to a step with `uses`"
            given.fault(f"`{fields.whole.path}` has `with` but no `uses`", "useless-key", hint)

    def _given(self, fields: Fields) -> Pairs:
        value = fields.get("with")
        members = () if value is None else value.members()
        return tuple(sorted(((key, self._input_text(item)) for key, item in members), key=lambda pair: pair[0]))

    def _input_text(self, value: Value) -> Text:
        """A text, or a list of texts that is joined by line feeds."""
        if value.is_sequence:
            return Text("\n".join(item.text() for item in value.items()), value.origin)
        return Text(value.text(), value.origin)

    def _inputs(self, fields: Fields) -> tuple[Input, ...]:
        value = fields.get("inputs")
        return () if value is None else tuple(self._input(name, item) for name, item in value.members())

    def _input(self, name: str, value: Value) -> Input:
        fields = value.fields(keys.names("input"))
        default = text_of(fields, "default")
        return Input(name, fields.text("description"), default, fields.boolean("required"), value.origin)

    def _required_steps(self, value: Value) -> int | None:
        fields = value.fields(keys.names("assertions"))
        return fields.integer("required-steps") if fields.get("required-steps") is not None else None

    def _prefetch(self, value: Value) -> Prefetch:
        fields = value.fields(keys.names("prefetch"))
        kind = fields.choice("kind", keys.choices("prefetch", "kind"))
        if fields.get("kind") is None:
            value.fault(f"`{value.path}` needs `kind`", "missing-key")
        return Prefetch(kind, text_of(fields, "lock"), text_of(fields, "root"))


def text_of(fields: Fields, key: str) -> Text:
    """The member with its place; nothing when it is absent or null."""
    value = fields.get(key)
    return NO_TEXT if value is None else Text(value.text(), value.origin)


def texts_of(fields: Fields, key: str) -> tuple[Text, ...]:
    """The items of a list; null items are dropped."""
    return tuple(Text(item.text(), item.origin) for item in fields.items(key) if not item.is_null)


def sections_of(fields: Fields, key: str) -> tuple[Value, ...]:
    """The items of a list of mappings; null items are dropped."""
    return tuple(item for item in fields.items(key) if not item.is_null)


def verbatim_of(fields: Fields, key: str) -> Verbatim:
    value = fields.get(key)
    return NO_VERBATIM if value is None else Verbatim(value.text(), value.origin)


def prose_of(fields: Fields, key: str) -> Prose:
    value = fields.get(key)
    return NO_PROSE if value is None else Prose(value.text(), value.origin)


def condition_of(fields: Fields) -> Condition:
    value = fields.get("if")
    return NO_CONDITION if value is None else Condition(value.text(), value.origin)


def pairs_of(fields: Fields, key: str) -> Pairs:
    """A mapping of texts, sorted by key."""
    value = fields.get(key)
    members = () if value is None else value.members()
    return tuple(sorted(((name, Text(item.text(), item.origin)) for name, item in members), key=lambda pair: pair[0]))
