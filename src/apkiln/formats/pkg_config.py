"""The `.pc` files of pkg-config: variables, fields, module lists (spec package.md §13.2, 4)."""

from __future__ import annotations

import re

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern

MAXIMUM_TEXT = 1 << 20
"""Characters of one expanded field."""
_LINE = pattern(r"\s*([A-Za-z0-9_.]+)\s*([:=])\s*(.*?)\s*")
_REFERENCE = pattern(r"\$\$|\$\{([^}]*)\}")
_UNKNOWN = pattern(r"\$\{([^}]*)\}")
_OPERATOR = pattern(r"[<>=!]+")


class PkgConfig(NamedTuple):
    """The fields of one file by name, with variables replaced."""

    fields: tuple[tuple[str, str], ...]
    """In file order; of a repeated field the last counts."""

    def field(self, name: str) -> str:
        return dict(self.fields).get(name, "")

    def modules(self, name: str) -> tuple[str, ...]:
        """The module names of a field such as `Requires`, without constraints, in order."""
        words = _OPERATOR.sub(lambda found: f" {found[0]} ", self.field(name).replace(",", " ")).split()
        found: list[str] = []
        position = 0
        while position < len(words):
            found.append(words[position])
            constrained = position + 1 < len(words) and _OPERATOR.fullmatch(words[position + 1])
            position += 3 if constrained else 1
        return tuple(found)


def parse_pkg_config(text: str) -> PkgConfig:
    """Read a file; lines that are neither field nor variable are passed over, as pkg-config does.

    A variable that is not defined before stays as it is written.  FormatError `bad-pkg-config`: such a one in a field that
    names modules; a text that grows beyond `MAXIMUM_TEXT`.
    """
    variables: dict[str, str] = {"pcfiledir": "", "pc_sysrootdir": "/"}
    fields: dict[str, str] = {}
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        found = _LINE.fullmatch(line.partition("#")[0])
        if found is None:
            continue
        expanded = _expanded(found[3], variables)
        is_field = found[2] == ":"
        (fields if is_field else variables)[found[1]] = expanded
        if is_field and found[1].startswith("Requires") and (unknown := _UNKNOWN.search(expanded)):
            raise FormatError(f"variable `{unknown[1]}` is not defined", reason="bad-pkg-config")
    return PkgConfig(tuple(fields.items()))


def _expanded(text: str, variables: dict[str, str]) -> str:
    """Variables are expanded when they are read, so no reference can be a circle."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    expanded = _REFERENCE.sub(value, text)
    if len(expanded) > MAXIMUM_TEXT:
        raise FormatError(f"a line grows beyond {MAXIMUM_TEXT} characters", reason="bad-pkg-config")
    return expanded
