"""Values of a pipeline's inputs, from the step that uses it and the pipeline around that step (spec package.md §4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.compilation.scope import Scope
from apkiln.package.definition.model import Input, Pairs, Step
from apkiln.package.evaluation.references import Later, Substitution

_DIGESTS = {"expected-sha256": (64,), "expected-sha512": (128,), "expected-commit": (40, 64)}
"""Hex digits an input of this name must have."""
_HEXADECIMAL = pattern(r"[0-9a-fA-F]+")
MAXIMUM_CHAIN = 50
"""Inputs of which each refers to the next."""


def resolve_inputs(declared: tuple[Input, ...], step: Step, scope: Scope, substitution: Substitution) -> dict[str, str]:
    """Every input that is visible inside the pipeline: the declared ones and those of the pipeline around.

    A declared input has the value given to it, else its default; an empty given value counts as none.  A value from around
    is seen where no input of that name is declared, and as `${{inputs.x}}` inside the value of `x` itself; any other name
    means the new value.  Faults: `unknown-input`, `missing-input`, `bad-digest`, `input-cycle`, at the `with` entry or at
    `uses`.
    """
    return _Resolver(declared, step, scope, substitution).run()


def shown_inputs(declared: tuple[Input, ...], values: Mapping[str, str], given: Pairs = ()) -> Pairs:
    """The declared inputs whose value is not their default as written: what the resolved document keeps under `with`.  Each
    has the place where it was `given`, else where it is declared."""
    places = {name: text.origin for name, text in given}
    shown = (item for item in declared if values[item.name] != item.default.text)
    found = ((item.name, Text(values[item.name], places.get(item.name, item.origin))) for item in shown)
    return tuple(sorted(found, key=lambda pair: pair[0]))


@dataclass(slots=True)
class _Resolver:
    declared: tuple[Input, ...]
    step: Step
    scope: Scope
    substitution: Substitution
    written: dict[str, Text] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def run(self) -> dict[str, str]:
        given = dict(self.step.inputs_given)
        names = [item.name for item in self.declared]
        for name, value in given.items():
            if name not in names:
                self._unknown(name, value.origin, names)
        for item in self.declared:
            self._choose(item, given)
        values = dict(self.scope.inputs)
        for item in self.declared:
            values[item.name] = self._value(item.name)
            self._check(item.name, values[item.name])
        return values

    def _unknown(self, name: str, origin: Origin, names: list[str]) -> None:
        guess = nearest(name, names)
        hint = f"did you mean `{guess}`?" if guess else "it takes " + (", ".join(f"`{one}`" for one in sorted(names)) or "none")
        message = f"pipeline `{self.step.uses.text}` has no input `{name}`"
        self.substitution.fault(message, "unknown-input", origin, name, hint)

    def _choose(self, item: Input, given: Mapping[str, Text]) -> None:
        """Fill `written`."""
        value = given.get(item.name)
        if value is not None and value.text:
            self.written[item.name] = value
            return
        self.written[item.name] = item.default
        if item.required and not item.default.text:
            origin = value.origin if value is not None else self.step.uses.origin if self.step.uses.text else item.origin
            whose = f"pipeline `{self.step.uses.text}`" if self.step.uses.text else "the step"
            message = f"{whose} needs the input `{item.name}`"
            self.substitution.fault(message, "missing-input", origin)

    def _value(self, name: str) -> str:
        if name in self.done:
            return self.done[name]
        text = self.written[name]
        if name in self.open or len(self.open) >= MAXIMUM_CHAIN:
            chain = " → ".join([*self.open[-5:], name])
            self.substitution.fault(f"inputs refer to each other in a circle: {chain}", "input-cycle", text.origin)
            return ""
        self.open.append(name)
        found = self.substitution.text(text, lambda other: self._lookup(name, other), self.scope)
        self.open.pop()
        return self.done.setdefault(name, found.text)

    def _lookup(self, inside: str, name: str) -> str | Later | None:
        other = name.removeprefix("inputs.")
        if other == name:
            return self.scope.lookup(name)
        if other == inside and other in self.scope.inputs:
            return self.scope.inputs[other]
        if other in self.written:
            return self._value(other)
        return self.scope.inputs.get(other)

    def _check(self, name: str, value: str) -> None:
        lengths = _DIGESTS.get(name)
        if not lengths or not value or (len(value) in lengths and _HEXADECIMAL.fullmatch(value)):
            return
        origin = dict(self.step.inputs_given).get(name, self.step.uses).origin
        wanted = " or ".join(map(str, lengths))
        self.substitution.fault(f"`{name}`: `{value[:140]}` has not {wanted} hexadecimal digits", "bad-digest", origin)
