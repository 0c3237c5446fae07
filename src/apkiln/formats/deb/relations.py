"""Relations between packages: `a (>= 1) | b:any [amd64], c` (Debian Policy 7.1)."""

from __future__ import annotations

import re

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.deb import version as deb_version

MAXIMUM_LENGTH = 1 << 20
"""Characters of one relation field."""

_ITEM = re.compile(
    r"""\s*(?P<name>[A-Za-z0-9][A-Za-z0-9+.-]*)
    (?::(?P<qualifier>[a-z0-9-]+))?
    \s*(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?
    \s*(?:\[(?P<architectures>[^\]]*)\])?
    \s*(?P<profiles>(?:<[^>]*>\s*)*)\s*""",
    re.VERBOSE,
)
_LEGACY = {"<": "<=", ">": ">="}


class Relation(NamedTuple):
    """One alternative of one group."""

    name: str
    operator: str = ""
    """`<<` `<=` `=` `>=` `>>` or "" (any version)."""
    version: str = ""
    qualifier: str = ""
    """Text after `:`, for example `any` or an architecture; empty when absent."""
    architectures: tuple[str, ...] = ()
    """Items of `[…]`, each perhaps with a leading `!`; empty = all."""

    def __str__(self) -> str:
        qualifier = f":{self.qualifier}" if self.qualifier else ""
        wanted = f" ({self.operator} {self.version})" if self.operator else ""
        return f"{self.name}{qualifier}{wanted}"

    def allows(self, candidate: str) -> bool:
        """Whether a package (or versioned provide) of this name with version `candidate` satisfies the relation."""
        return deb_version.matches(candidate, self.operator, self.version)

    def applies_to(self, architecture: str) -> bool:
        """Whether the `[…]` list admits the Debian architecture name."""
        if not self.architectures:
            return True
        negative = [item[1:] for item in self.architectures if item.startswith("!")]
        if negative:
            return architecture not in negative
        return bool({architecture, "any", f"linux-{architecture}", "linux-any"} & set(self.architectures))


Group = tuple[Relation, ...]
"""Alternatives in source order; any one of them satisfies the group."""


def parse_relations(text: str, architecture: str = "") -> tuple[Group, ...]:
    """Groups of a dependency field in source order; empty text gives none.

    With `architecture`, alternatives for other architectures are left out (and groups that become empty).  The obsolete
    operators `<` and `>` mean `<=` and `>=`, as in dpkg.  Raises FormatError (`relation-syntax`, `version-syntax`).
    """
    if len(text) > MAXIMUM_LENGTH:
        raise FormatError("a relation field is longer than the limit", reason="limit-relation-field")
    groups = (_parse_group(part) for part in text.split(",") if part.strip())
    if not architecture:
        return tuple(groups)
    kept = (tuple(item for item in group if item.applies_to(architecture)) for group in groups)
    return tuple(group for group in kept if group)


def group_text(group: Group) -> str:
    """The canonical spelling of a group, used as its key in locks and overrides."""
    return " | ".join(str(relation) for relation in group)


def _parse_group(text: str) -> Group:
    return tuple(_parse_item(part) for part in text.split("|"))


def _parse_item(text: str) -> Relation:
    found = _ITEM.fullmatch(text)
    if found is None:
        raise FormatError(f"`{text.strip()[:120]}` is not a package relation", reason="relation-syntax")
    operator = found["operator"] or ""
    version = found["version"] or ""
    if version:
        deb_version.parse_version(version)
    return Relation(
        found["name"],
        _LEGACY.get(operator, operator),
        version,
        found["qualifier"] or "",
        tuple((found["architectures"] or "").split()),
    )
