"""The contract on the twin and on SQLite, and what only a database does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger_contract import LedgerContract, row

from apkiln.core.errors import ApkilnError, EnvironmentFault
from apkiln.system.database import DatabaseLedgers, open_ledgers
from apkiln.system.ledger_store import Claim, MemoryLedgers


class TestMemory(LedgerContract):
    @pytest.fixture
    def ledgers(self) -> MemoryLedgers:
        return MemoryLedgers()


class TestSqlite(LedgerContract):
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> Iterator[DatabaseLedgers]:
        opened = open_ledgers(f"sqlite:///{tmp_path}/ledger.db")
        yield opened
        opened.close()


def test_rows_cannot_be_rewritten(tmp_path: Path) -> None:
    ledgers = open_ledgers(f"sqlite:///{tmp_path}/ledger.db")
    ledgers.append("os", [row(1)], [Claim("version", "a", "1")])
    ledgers.close()
    raw = sqlite3.connect(tmp_path / "ledger.db")
    for statement in ("UPDATE ledger SET actor = 'x'", "DELETE FROM ledger", "DELETE FROM claim", "UPDATE claim SET value = ''"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(statement)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_a_ledger_survives_reopening_and_knows_its_migration(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    for number in (1, 2):
        ledgers = open_ledgers(url)
        assert ledgers.append("os", [row(number)])
        ledgers.close()
    raw = sqlite3.connect(tmp_path / "ledger.db")
    assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(EnvironmentFault) as caught:
        open_ledgers(url)
    assert caught.value.reason == "database-too-new"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://x/y", "bad-database-url"),
        ("nonsense", "bad-database-url"),
        ("sqlite://", "bad-database-url"),
        ("sqlite:////nonexistent/place/x.db", "database-unavailable"),
    ],
)
def test_bad_places(url: str, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        open_ledgers(url)
    assert caught.value.reason == reason


def test_a_database_that_somebody_else_locked(tmp_path: Path) -> None:
    """The writer is told to come again, reading goes on, and afterwards everything works."""

    ledgers = open_ledgers(f"sqlite:///{tmp_path}/ledger.db", busy_seconds=0.1)
    assert ledgers.append("os", [row(1)])
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ApkilnError) as caught:
        ledgers.append("os", [row(2)])
    assert (caught.value.reason, caught.value.retriable) == ("database-busy", True)
    assert list(ledgers.rows("os")) == [row(1)]
    other.execute("ROLLBACK")
    other.close()
    assert ledgers.append("os", [row(2)])
    ledgers.close()
