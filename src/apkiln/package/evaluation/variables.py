"""Values of `package.*` and `vars.*`, each resolved after what it refers to (spec package.md §4.2, §4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.package.definition.model import NOWHERE, PackageDefinition, VarTransform
from apkiln.package.evaluation.references import LATER, Later, Substitution

MAXIMUM_CHAIN = 100
"""Variables of which each refers to the next."""

_FIXED_LATER = frozenset(
    (
        "package.srcdir",
        "targets.outdir",
        "targets.destdir",
        "targets.contextdir",
        "targets.subpkgdir",
        "subpkg.name",
        "context.name",
        "build.arch",
        "build.goarch",
        "host.triplet.gnu",
        "host.triplet.rust",
        "cross.triplet.gnu.glibc",
        "cross.triplet.gnu.musl",
        "cross.triplet.rust.glibc",
        "cross.triplet.rust.musl",
    )
)


def is_later(name: str) -> bool:
    """Whether only compiling for one architecture gives the name a value."""
    if name in _FIXED_LATER or name.startswith(("targets.package.", "inputs.")):
        return True
    return name.startswith("options.") and name.endswith(".enabled")


def definition_values(definition: PackageDefinition, substitution: Substitution) -> dict[str, str]:
    """Every `package.*` and `vars.*` by name.  Faults: `variable-cycle`, `bad-regular-expression`, and those of references."""
    return _Resolver(definition, substitution).run()


@dataclass(slots=True)
class _Resolver:
    definition: PackageDefinition
    substitution: Substitution
    written: dict[str, tuple[str, Origin]] = field(default_factory=dict)
    transforms: dict[str, list[int]] = field(default_factory=dict)
    """Variable to the transforms that set it, in order."""
    done: dict[tuple[str, int], str] = field(default_factory=dict)
    """Values by name and the transform that made them, or -1 - the number of transforms that count for a written one."""
    open: list[tuple[str, int]] = field(default_factory=list)

    def run(self) -> dict[str, str]:
        package = self.definition.package
        self.written = {f"vars.{name}": (value.text, value.origin) for name, value in self.definition.variables}
        self.written |= {
            "package.name": (package.name.text, package.name.origin),
            "package.version": (package.version.text, package.version.origin),
            "package.epoch": (str(package.epoch), NOWHERE),
            "package.full-version": ("${{package.version}}-r" + str(package.epoch), package.version.origin),
            "package.description": (package.description.text, package.description.origin),
        }
        for number, transform in enumerate(self.definition.var_transforms):
            self.transforms.setdefault(f"vars.{transform.to.text}", []).append(number)
        all_transforms = len(self.definition.var_transforms)
        names = dict.fromkeys((*self.written, *self.transforms))
        for number, transform in enumerate(self.definition.var_transforms):
            self._value(f"vars.{transform.to.text}", number + 1)
        return {name: self._value(name, all_transforms) for name in names}

    def _value(self, name: str, count: int) -> str:
        """The value of `name` when the first `count` transforms have happened."""
        number = max((number for number in self.transforms.get(name, ()) if number < count), default=-1)
        key = (name, number if number >= 0 else -1 - count)
        if key in self.done:
            return self.done[key]
        if key in self.open:
            return self._cycle(key)
        if len(self.open) >= MAXIMUM_CHAIN:
            self.substitution.fault(f"more than {MAXIMUM_CHAIN} variables refer to each other", "variable-chain", NOWHERE)
            return ""
        self.open.append(key)
        found = self._transformed(number) if number >= 0 else self._expanded(name, count)
        self.open.pop()
        return self.done.setdefault(key, found)

    def _cycle(self, key: tuple[str, int]) -> str:
        names = [name for name, _ in self.open[self.open.index(key) :]]
        origin = next((self.written[name][1] for name in names if name in self.written), NOWHERE)
        chain = " → ".join([*names, key[0]])
        self.substitution.fault(f"variables refer to each other in a circle: {chain}", "variable-cycle", origin)
        return ""

    def _expanded(self, name: str, count: int) -> str:
        text, origin = self.written[name]
        return self.substitution.expand(text, origin, lambda other: self._lookup(other, count), self._names())

    def _lookup(self, name: str, count: int) -> str | Later | None:
        defined = name in self.written or any(number < count for number in self.transforms.get(name, ()))
        if defined:
            return self._value(name, count)
        return LATER if is_later(name) else None

    def _names(self) -> tuple[str, ...]:
        return (*self.written, *self.transforms)

    def _transformed(self, number: int) -> str:
        transform = self.definition.var_transforms[number]
        source = transform.source
        text = self.substitution.expand(source.text, source.origin, lambda name: self._lookup(name, number), self._names())
        return apply_transform(transform, text, self.substitution)


def apply_transform(transform: VarTransform, text: str, substitution: Substitution) -> str:
    """`text` with every match replaced; a fault and an empty text for an expression that is none."""
    from apkiln.formats.re2.matching import Expression
    from apkiln.formats.re2.replacing import replace_all

    try:
        return replace_all(Expression(transform.match.text), transform.replace.text, text)
    except FormatError as error:
        substitution.fault(error.message, error.reason, transform.match.origin)
        return ""


def with_range(values: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """The values inside a ranged subpackage."""
    return {**values, "range.key": key, "range.value": value}
