from __future__ import annotations

import hashlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.apk.index_names import Postings, mentioned_postings, provided_postings
from apkiln.formats.apk.index_table import VERSION, IndexTable, write_table
from apkiln.formats.apk.index_text import format_record
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.source import RecordList, mentioned_name, provided_names

LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["a", "b", "so:c.so.1", "cmd:d", "é", "", "/bin/sh", "long-" * 30])
RECORDS = st.lists(
    st.builds(
        IndexRecord,
        name=NAMES,
        version=LINES,
        arch=LINES,
        identity=st.binary(min_size=20, max_size=32),
        size=st.integers(0, 2**63 - 1),
        installed_size=st.integers(0, 2**63 - 1),
        description=LINES,
        build_date=st.integers(0, 2**40),
        provider_priority=st.integers(0, 2**32),
        maintainer=LINES,
        url=LINES,
        license=LINES,
        origin=LINES,
        commit=LINES,
        replaces=st.just(""),
        replaces_priority=st.just(0),
        repository_tag=st.just(""),
        flags=st.just(""),
        depends=LINES,
        provides=st.lists(NAMES.map(lambda name: f"{name}=1"), max_size=4).map(" ".join),
        install_if=st.lists(NAMES.map(lambda name: f"!{name}<2"), max_size=3).map(" ".join),
    ),
    max_size=12,
)


def table_of(records: list[IndexRecord]) -> IndexTable:
    """Built name by name, as the words of `IndexTable` have it."""
    blocks = [f"{format_record(record)}\n".encode("utf-8", "surrogateescape") for record in records]
    provided = [(name, number) for number, record in enumerate(records) for name in provided_names(record)]
    mentioned = [(mentioned_name(item), number) for number, record in enumerate(records) for item in record.install_if.split()]
    begins = [sum(map(len, blocks[:number])) for number in range(len(blocks))]
    return IndexTable(write_table(b"".join(blocks), begins, postings(provided), postings(mentioned)))


def postings(pairs: list[tuple[str, int]]) -> Postings:
    return Postings([name.encode("utf-8", "surrogateescape") for name, _ in pairs], [number for _, number in pairs])


@given(RECORDS)
def test_records_come_back(records: list[IndexRecord]) -> None:
    table = table_of(records)
    assert len(table) == len(records)
    assert list(table) == records
    assert [table[number] for number in reversed(range(len(records)))] == records[::-1]
    assert table == table_of(records)


@given(RECORDS, LINES)
def test_names_are_found_as_in_a_list(records: list[IndexRecord], other: str) -> None:
    table, plain = table_of(records), RecordList(records)
    mentioned = {
        name for record in records for name in (*provided_names(record), *map(mentioned_name, record.install_if.split()))
    }
    for name in mentioned | {other, "a", ""}:
        assert list(table.providers(name)) == list(plain.providers(name))
        assert list(table.reverse_install_if(name)) == list(plain.reverse_install_if(name))


def test_many_names_are_all_found() -> None:
    records = [IndexRecord(f"n{number}", "1", "x", bytes(20), 1, 1) for number in range(5000)]
    table = table_of(records)
    assert all(list(table.providers(f"n{number}")) == [number] for number in range(5000))
    assert list(table.providers("absent")) == []


def test_text_that_is_not_utf8_survives() -> None:
    record = IndexRecord("a", "1", "x", bytes(20), 1, 1, description=b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert list(table_of([record])) == [record]


@given(RECORDS, st.data())
def test_a_cut_table_is_refused(records: list[IndexRecord], data: st.DataObject) -> None:
    whole = table_of(records).data
    with pytest.raises(FormatError) as caught:
        IndexTable(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert caught.value.reason == "index-table"


def test_foreign_bytes_and_positions_are_refused() -> None:
    with pytest.raises(FormatError):
        IndexTable(b"something else, long enough to hold a header")
    for position in (-1, 0, 5):
        with pytest.raises(IndexError):
            table_of([])[position]


ITEMS = st.text(st.sampled_from("ab:.=1!<>~@é \t\u2003\x1c\x85\udcff"), max_size=14)


@given(st.lists(st.tuples(st.text("abé", max_size=3), ITEMS, ITEMS), max_size=8))
def test_names_of_many_are_those_of_each(rows: list[tuple[str, str, str]]) -> None:
    """White space of any kind, and items of any shape."""
    names, provides, install_if = ([row[at].encode("utf-8", "surrogateescape") for row in rows] for at in range(3))
    records = [IndexRecord(name, "1", "x", bytes(20), 1, 1, provides=items, install_if=also) for name, items, also in rows]
    provided = [(name, number) for number, record in enumerate(records) for name in provided_names(record)]
    mentioned = [(mentioned_name(item), number) for number, row in enumerate(rows) for item in row[2].split()]
    assert pairs_of(provided_postings(names, provides)) == sorted(provided)
    assert pairs_of(mentioned_postings(install_if)) == sorted(mentioned)


def pairs_of(found: Postings) -> list[tuple[str, int]]:
    names = [name.decode("utf-8", "surrogateescape") for name in found.names]
    return sorted(zip(names, found.numbers, strict=True))


def test_names_of_one_key_are_kept_apart() -> None:
    """Two of 100,000 names nearly always have the same 30 bits of CRC-32; these are such."""
    keys: dict[int, str] = {}
    for number in range(200_000):
        name = hashlib.sha256(b"%d" % number).hexdigest()[:12]
        other = keys.setdefault(zlib.crc32(name.encode()) >> 2, name)
        if other != name:
            break
    else:
        raise AssertionError("no two names have one key")
    records = [
        IndexRecord(name, "1", "x", bytes(20), 1, 1, provides=f"{alias}=1", install_if=alias)
        for name, alias in ((other, "z"), (name, "z"), ("a", other), ("b", name), ("c", f"{name} {other} {name}"))
    ]
    table = table_of(records)
    assert (list(table.providers(other)), list(table.providers(name))) == ([0, 2, 4], [1, 3, 4])
    assert (list(table.reverse_install_if(other)), list(table.reverse_install_if(name))) == ([2, 4], [3, 4])


@given(st.lists(st.tuples(NAMES, st.integers(0, 2**32 - 1)), max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_postings_does_not_matter(pairs: list[tuple[str, int]], shuffled: random.Random) -> None:
    other = list(pairs)
    shuffled.shuffle(other)
    assert write_table(b"", [], postings(pairs), postings(pairs)) == write_table(b"", [], postings(other), postings(pairs))


def test_the_bytes_are_what_they_are() -> None:
    """A change of these bytes asks for a new `VERSION`."""
    records = [IndexRecord(f"p{number}", "1", "x", bytes(20), 1, 1, provides="a=1", install_if="b") for number in range(3)]
    digest = hashlib.sha256(table_of(records).data).hexdigest()
    assert (VERSION, digest[:16]) == ("3", "d897d10d0d136e73")
