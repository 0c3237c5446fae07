"""What a linter says about a package."""

from __future__ import annotations

from typing import TypeAlias

from apkiln.core.named_tuple import NamedTuple

Row: TypeAlias = tuple[tuple[str, "str | int | tuple[str, ...]"], ...]
"""Facts by name, in order."""


class Finding(NamedTuple):
    """One linter's finding about one package."""

    linter: str
    message: str
    required: bool = False
    """The package is refused."""
    explain: str = ""
    """What to do about it."""
    paths: tuple[str, ...] = ()
    """Sorted."""
    rows_name: str = ""
    """What `rows` are called in results; empty = there are paths only."""
    rows: tuple[Row, ...] = ()
    totals: Row = ()
