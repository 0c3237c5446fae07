"""The dependency language of apk (spec apk.md §9): `[!]name[@tag][op version]`."""

from __future__ import annotations

from typing import NamedTuple


class Dependency(NamedTuple):
    """One parsed item.  Its canonical text is `str(item)`."""

    name: str
    operator: str = ""
    """"" (any version) or one of `=` `<` `<=` `>` `>=` `~` `<~` `>~` `><` (canonical spellings; `><` = identity pin)."""
    version: str = ""
    """Source text of the version, or of the identity (`Q1…`) for `><`; empty when `operator` is empty."""
    conflict: bool = False
    """True for `!name…`: must not be satisfied."""
    tag: str = ""
    """Repository tag without `@`; only in world and on command lines."""

    def __str__(self) -> str:
        tag = f"@{self.tag}" if self.tag else ""
        return f"{'!' if self.conflict else ''}{self.name}{tag}{self.operator}{self.version}"
