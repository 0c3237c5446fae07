"""Where candidates come from: one interface over a list of records and over a memory-mapped table."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.protocol import Protocol
from apkiln.formats.apk.index_names import mentioned_name, provided_names
from apkiln.formats.apk.records import IndexRecord

__all__ = ["PackageSource", "RecordList", "canonical_records", "mentioned_name", "provided_names"]


class PackageSource(Protocol):
    """The records of one index, found by name.  Numbers are positions in the index, so ascending order is record order."""

    def record(self, number: int) -> IndexRecord:
        """The record at a position.  Cost: one parse at most."""

    def providers(self, name: str) -> Sequence[int]:
        """Records named `name` or providing it, ascending, each once."""

    def reverse_install_if(self, name: str) -> Sequence[int]:
        """Records whose install_if mentions `name` (also as `!name`), ascending, each once."""


class RecordList:
    """A source over records in memory.  Building it looks at every record once."""

    def __init__(self, records: Sequence[IndexRecord]) -> None:
        self._records = records
        self._providers: dict[str, list[int]] = {}
        self._install_if: dict[str, list[int]] = {}
        for number, record in enumerate(records):
            for name in dict.fromkeys(provided_names(record)) if record.provides else (record.name,):
                self._providers.setdefault(name, []).append(number)
            if record.install_if:
                for name in dict.fromkeys(map(mentioned_name, record.install_if.split())):
                    self._install_if.setdefault(name, []).append(number)

    def record(self, number: int) -> IndexRecord:
        return self._records[number]

    def providers(self, name: str) -> Sequence[int]:
        return self._providers.get(name, ())

    def reverse_install_if(self, name: str) -> Sequence[int]:
        return self._install_if.get(name, ())


def canonical_records(records: Sequence[IndexRecord]) -> list[IndexRecord]:
    """Records in canonical order (§10.7): name bytewise, then version, then identity."""
    from apkiln.formats.apk.version import sort_key

    return sorted(records, key=lambda record: (record.name.encode(), sort_key(record.version), record.version, record.identity))
