from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.apk.index_table import IndexTable, write_table
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
    providers: dict[str, list[int]] = {}
    install_if: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        for name in dict.fromkeys(provided_names(record)):
            providers.setdefault(name, []).append(number)
        for name in dict.fromkeys(map(mentioned_name, record.install_if.split())):
            install_if.setdefault(name, []).append(number)
    return IndexTable(write_table(records, providers, install_if))


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
