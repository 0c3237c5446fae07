"""What every store of ledgers must do; run on the twin, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from apkiln.core.errors import ConflictError
from apkiln.system.ledger_store import Claim, LedgerStore, StoredRow


def row(number: int, text: bytes = b"{}", writer: str = "") -> StoredRow:
    return StoredRow(number, number, "actor", "opened", f"{number - 1}", f"{number}{writer}", text)


class LedgerContract:
    """Subclasses have a fixture `ledgers`."""

    def test_rows_come_back_in_order(self, ledgers: LedgerStore) -> None:
        assert ledgers.repositories() == ()
        assert list(ledgers.rows("os")) == []
        assert ledgers.append("os", [row(1), row(2, b"\x00\xff")])
        assert ledgers.append("os", [row(3)])
        assert ledgers.append("other", [row(1)])
        assert list(ledgers.rows("os")) == [row(1), row(2, b"\x00\xff"), row(3)]
        assert list(ledgers.rows("os", 2)) == [row(3)]
        assert ledgers.repositories() == ("os", "other")

    def test_a_number_is_taken_once_and_all_or_nothing(self, ledgers: LedgerStore) -> None:
        assert ledgers.append("os", [row(1)])
        assert not ledgers.append("os", [row(1, b"other")])
        assert ledgers.append("os", [row(2)])
        assert not ledgers.append("os", [row(2, b"a"), row(3, b"b")], [Claim("version", "x", "1")])
        assert list(ledgers.rows("os")) == [row(1), row(2)]
        assert ledgers.append("os", [row(3)], [Claim("version", "x", "2")]), "the claim was not kept"

    def test_claims_bind_for_ever(self, ledgers: LedgerStore) -> None:
        assert ledgers.append("os", [row(1)], [Claim("version", "a", "1"), Claim("version", "b", "1")])
        with pytest.raises(ConflictError) as caught:
            ledgers.append("os", [row(2)], [Claim("version", "c", "1"), Claim("version", "a", "2")])
        assert caught.value.reason == "claim-taken"
        assert list(ledgers.rows("os")) == [row(1)]
        assert ledgers.append("os", [row(2)], [Claim("version", "a", "1"), Claim("generation", "a", "2")])
        assert ledgers.append("other", [row(1)], [Claim("version", "a", "2")])

    def test_many_rows(self, ledgers: LedgerStore) -> None:
        rows = [row(number) for number in range(1, 2502)]
        assert ledgers.append("os", rows, [Claim("version", str(number), "x") for number in range(2500)])
        assert list(ledgers.rows("os")) == rows

    def test_of_several_writers_one_wins_each_number(self, ledgers: LedgerStore) -> None:
        won: list[int] = []

        def write(writer: int) -> None:
            for _ in range(12):
                while True:
                    number = sum(1 for _ in ledgers.rows("os")) + 1
                    if ledgers.append("os", [row(number, writer=f"-{writer}")]):
                        won.append(number)
                        break

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == list(range(1, 49))
        assert [item.number for item in ledgers.rows("os")] == list(range(1, 49))
