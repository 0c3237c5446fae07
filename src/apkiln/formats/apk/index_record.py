"""Records of an index that was checked before: their lines as values (spec apk.md §3)."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Mapping
from operator import methodcaller

from apkiln.core.pattern import pattern
from apkiln.formats.apk.records import IndexRecord

_BLOCKS = pattern(
    r"C:Q1(.*+)\nP:(.*+)\nV:(.*+)\nA:(.*+)\nS:(.*+)\nI:(.*+)\nT:(.*+)\nU:(.*+)\nL:(.*+)"
    r"(?:\no:(.*+))?(?:\nm:(.*+))?(?:\nt:(.*+))?(?:\nc:(.*+))?(?:\nk:(.*+))?(?:\nD:(.*+))?(?:\np:(.*+))?(?:\ni:(.*+))?"
    r"(?:\n\n++|\n?\Z)|(.++(?:\n.++)*+)"
)
"""A record with its lines as writers of indexes put them, or any other: one match instead of twenty steps."""
_new_record = IndexRecord._make
_groups = methodcaller("groups", "")


def read_records(text: str) -> list[IndexRecord]:
    """The records whose lines these are, with empty lines between them.  Nothing is checked: lines that `index_text` would
    refuse give anything, KeyError or ValueError.  Cost: some 3 µs a record."""
    return [
        _new_record((
            name, version, arch, a2b_base64(identity), int(size or 0), int(installed or 0), description, url, licence, origin,
            maintainer, int(date or 0), commit, int(priority or 0), depends, provides, install_if, "", 0, "", "",
        ))
        if not other
        else record_of_fields(dict([line.split(":", 1) for line in other.split("\n")]))
        for (identity, name, version, arch, size, installed, description, url, licence, origin, maintainer, date, commit,
             priority, depends, provides, install_if, other) in map(_groups, _BLOCKS.finditer(text))
    ]  # fmt: skip


def record_of_fields(fields: Mapping[str, str]) -> IndexRecord:
    """The record of good fields by letter; those that an index does not have are passed over."""
    get, identity = fields.get, fields["C"]
    return IndexRecord(
        fields["P"], fields["V"], fields["A"],
        bytes.fromhex(identity[2:]) if identity.startswith("X1") else a2b_base64(identity[2:]),
        int(get("S") or 0), int(get("I") or 0), get("T", ""), get("U", ""), get("L", ""), get("o", ""), get("m", ""),
        int(get("t") or 0), get("c", ""), int(get("k") or 0), get("D", ""), get("p", ""), get("i", ""),
    )  # fmt: skip
