"""Debian versions to apk versions such that order is kept in both directions (spec debian.md §4.2, §4.3).

Per package name an append-only list of rows in Debian order.  A new version gets a place between its neighbours; rows that
exist never change, so a version that was published keeps its apk version for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from apkiln.core.errors import InputError
from apkiln.core.origin import Origin
from apkiln.debian.label import version_label
from apkiln.formats.apk import version as apk_version
from apkiln.formats.deb.version import SortKey, sort_key

STRIDE = 100
"""Distance of neighbouring revisions: room for versions that come between them later."""

PACKAGE = "package"
ANCHOR = "anchor"


class LedgerRow(NamedTuple):
    """One version of one name.  Never changes once written."""

    name: str
    version: str
    """The Debian version, in the spelling first seen."""
    kind: str
    """`package`, or `anchor` for a version only named in a relation."""
    label: str
    """Readable part, with the lead in front."""
    revision: int
    lead: int = 0
    """First component put before labels after the order of labels broke; 0 = none."""

    @property
    def apk_version(self) -> str:
        return f"{self.label}-r{self.revision}"


class VersionGapError(InputError):
    """No revision number is left between two neighbours (`version-gap`)."""


@dataclass(slots=True)
class _History:
    keys: list[SortKey] = field(default_factory=list)
    rows: list[LedgerRow] = field(default_factory=list)


class Ledger:
    """All histories of one repository.  Grows by `assign` and `seed`; `rows` is the value to keep."""

    def __init__(self, rows: Iterable[LedgerRow] = ()) -> None:
        self._names: dict[str, _History] = {}
        for row in rows:
            self._restore(row)

    def assign(self, name: str, version: str, kind: str = PACKAGE) -> str:
        """The apk version of a Debian version, new or known.

        Raises FormatError (`version-syntax`) and VersionGapError (`version-gap`).
        """
        history = self._names.setdefault(name, _History())
        key = sort_key(version)
        index = bisect_left(history.keys, key)
        if index < len(history.keys) and history.keys[index] == key:
            return history.rows[index].apk_version
        row = _place(name, version, kind, history.rows, index)
        _check(row, history.rows, index)
        history.keys.insert(index, key)
        history.rows.insert(index, row)
        return row.apk_version

    def seed(self, name: str, kinds: Mapping[str, str]) -> None:
        """Assign many versions (version → kind) of a name from the lowest up, which gives the most natural labels.

        Of Debian-equal spellings the first in text order is the one that is written down.
        """
        for version in sorted(sorted(kinds), key=sort_key):
            self.assign(name, version, kinds[version])

    def rows(self) -> tuple[LedgerRow, ...]:
        """Every row, by name, then in Debian order."""
        return tuple(row for name in sorted(self._names) for row in self._names[name].rows)

    def _restore(self, row: LedgerRow) -> None:
        history = self._names.setdefault(row.name, _History())
        key = sort_key(row.version)
        index = bisect_left(history.keys, key)
        if index < len(history.keys) and history.keys[index] == key:
            raise InputError(f"`{row.name}` has version `{row.version}` twice", reason="ledger-order", origin=_origin(row))
        _check(row, history.rows, index)
        history.keys.insert(index, key)
        history.rows.insert(index, row)


def _place(name: str, version: str, kind: str, rows: list[LedgerRow], index: int) -> LedgerRow:
    """The row of a new version between `rows[index - 1]` and `rows[index]`: the table of §4.2, case by case."""
    left = rows[index - 1] if index else None
    right = rows[index] if index < len(rows) else None
    lead = (left or right or _NO_ROW).lead
    plain = version_label(version)
    label = f"{lead}.{plain}" if lead else plain
    above = 1 if left is None else apk_version.compare(label, left.label)
    below = -1 if right is None else apk_version.compare(label, right.label)
    if above > 0 and below < 0:
        return LedgerRow(name, version, kind, label, STRIDE, lead)
    if (above < 0 or below > 0) and right is None:
        lead = 1 + max(int(_first_component(row.label)) for row in rows)
        return LedgerRow(name, version, kind, f"{lead}.{plain}", STRIDE, lead)
    # From here the row shares its label with a neighbour: with the one it equals, else (order broken) with a borrowed one.
    if above == 0 or (above < 0 or below > 0):
        return _beside(name, version, kind, left, right)
    assert right is not None and below == 0
    return _under(name, version, kind, left, right)


def _beside(name: str, version: str, kind: str, left: LedgerRow | None, right: LedgerRow | None) -> LedgerRow:
    """A row with the label of its left neighbour, or of the right one when there is no left."""
    if left is None:
        assert right is not None
        return _under(name, version, kind, left, right)
    if right is None or apk_version.compare(left.label, right.label) < 0:
        return LedgerRow(name, version, kind, left.label, left.revision + STRIDE, left.lead)
    if right.revision - left.revision < 2:
        raise _gap(name, version, left, right)
    return LedgerRow(name, version, kind, left.label, (left.revision + right.revision) // 2, left.lead)


def _under(name: str, version: str, kind: str, left: LedgerRow | None, right: LedgerRow) -> LedgerRow:
    """A row with the label of its right neighbour and a lower revision."""
    if right.revision < 1:
        raise _gap(name, version, left, right)
    return LedgerRow(name, version, kind, right.label, (right.revision - 1) // 2, right.lead)


def _check(row: LedgerRow, rows: list[LedgerRow], index: int) -> None:
    """Invariants (a) and (d): a row that would break the order is never taken in, whatever placed it."""
    if index and apk_version.compare(rows[index - 1].apk_version, row.apk_version) >= 0:
        raise _gap(row.name, row.version, rows[index - 1], None)
    if index < len(rows) and apk_version.compare(row.apk_version, rows[index].apk_version) >= 0:
        raise _gap(row.name, row.version, None, rows[index])
    if not apk_version.is_valid(row.apk_version):
        raise InputError(f"`{row.apk_version}` is not an apk version", reason="ledger-version", origin=_origin(row))


def _gap(name: str, version: str, left: LedgerRow | None, right: LedgerRow | None) -> VersionGapError:
    between = " and ".join(f"`{row.apk_version}`" for row in (left, right) if row is not None)
    return VersionGapError(
        f"no apk version is left for `{version}` beside {between}",
        reason="version-gap",
        origin=Origin(package=name),
        hint="import this version into a repository of its own",
    )


def _origin(row: LedgerRow) -> Origin:
    return Origin(package=f"{row.name}-{row.apk_version}")


def _first_component(label: str) -> str:
    digits = ""
    for char in label:
        if not char.isdigit():
            break
        digits += char
    return digits


_NO_ROW = LedgerRow("", "", "", "", 0)
