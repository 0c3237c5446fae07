"""Ledgers in SQLite (WAL, for one machine) or PostgreSQL (for several), one schema by SQLAlchemy Core and Alembic."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError, UsageError
from apkiln.core.origin import Origin
from apkiln.system.ledger_store import Claim, StoredRow, taken

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

METADATA = sql.MetaData()
LEDGER = sql.Table(
    "ledger",
    METADATA,
    sql.Column("repository", sql.Text, primary_key=True),
    sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("at", sql.BigInteger, nullable=False),
    sql.Column("actor", sql.Text, nullable=False),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("previous", sql.Text, nullable=False),
    sql.Column("hash", sql.Text, nullable=False),
    sql.Column("text", sql.LargeBinary, nullable=False),
    sql.UniqueConstraint("repository", "previous", name="ledger_one_successor"),
)
CLAIM = sql.Table(
    "claim",
    METADATA,
    sql.Column("repository", sql.Text, primary_key=True),
    sql.Column("kind", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)
_BATCH = 1000
_BUSY_SECONDS = 30
_MIGRATING = threading.Lock()
"""Alembic keeps what it works on in globals."""


class DatabaseLedgers:
    """See `LedgerStore`.  Rows can be neither changed nor deleted: triggers of the schema refuse it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._place = engine.url.render_as_string(hide_password=True)

    def repositories(self) -> tuple[str, ...]:
        with self._connected() as connection:
            found = connection.execute(sql.select(LEDGER.c.repository).distinct())
            return tuple(sorted(row[0] for row in found))

    def rows(self, repository: str, after: int = 0) -> Iterator[StoredRow]:
        while True:
            batch = self._batch(repository, after)
            yield from batch
            if len(batch) < _BATCH:
                return
            after = batch[-1].number

    def _batch(self, repository: str, after: int) -> list[StoredRow]:
        columns = [LEDGER.c[name] for name in StoredRow._fields]
        wanted = sql.select(*columns).where(LEDGER.c.repository == repository, LEDGER.c.number > after)
        with self._connected() as connection:
            found = connection.execute(wanted.order_by(LEDGER.c.number).limit(_BATCH))
            return [StoredRow._make((*row[:-1], bytes(row[-1]))) for row in found]

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        try:
            with self._connected() as connection, connection.begin():
                self._claim(connection, repository, claims)
                connection.execute(sql.insert(LEDGER), [{"repository": repository, **row._asdict()} for row in rows])
        except IntegrityError:
            return False
        return True

    def _claim(self, connection: Connection, repository: str, claims: Sequence[Claim]) -> None:
        for start in range(0, len(claims), _BATCH):
            part = claims[start : start + _BATCH]
            keys = [(claim.kind, claim.name) for claim in part]
            where = sql.tuple_(CLAIM.c.kind, CLAIM.c.name).in_(keys)
            found = connection.execute(
                sql.select(CLAIM.c.kind, CLAIM.c.name, CLAIM.c.value).where(CLAIM.c.repository == repository, where)
            )
            known = {(kind, name): value for kind, name, value in found}
            for claim in part:
                if known.get((claim.kind, claim.name), claim.value) != claim.value:
                    raise taken(repository, claim)
            new = [claim for claim in part if (claim.kind, claim.name) not in known]
            if new:
                connection.execute(sql.insert(CLAIM), [{"repository": repository, **claim._asdict()} for claim in new])

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise _fault(error, self._place) from error

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()


def open_ledgers(url: str, busy_seconds: float = _BUSY_SECONDS) -> DatabaseLedgers:
    """The database at `sqlite:///PATH` or `postgresql://…`, its schema brought up to date; `busy_seconds` is how long to wait
    for another writer.

    UsageError `bad-database-url`, UnavailableError `database-unavailable`, EnvironmentFault `database-too-new` (a later
    version of the product migrated it).
    """
    engine = _engine(url, busy_seconds)
    with ExitStack() as unfinished:
        unfinished.callback(engine.dispose)
        try:
            migrate(engine)
        except DBAPIError as error:
            raise _fault(error, engine.url.render_as_string(hide_password=True)) from error
        unfinished.pop_all()
    return DatabaseLedgers(engine)


def _engine(url: str, busy_seconds: float) -> Engine:
    try:
        parsed = sql.make_url(url)
    except sql.exc.ArgumentError as error:
        raise _bad_url() from error
    if parsed.get_backend_name() == "postgresql":
        return sql.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise _bad_url()
    engine = sql.create_engine(parsed, connect_args={"timeout": busy_seconds})
    sql.event.listen(engine, "connect", _configure_sqlite)
    return engine


def _bad_url() -> UsageError:
    return UsageError(
        "a database is `sqlite:///PATH` or `postgresql://HOST/NAME`",
        reason="bad-database-url",
        hint="for example sqlite:////var/lib/apkiln/ledger.db",
    )


def _configure_sqlite(connection: Any, _: object) -> None:
    """WAL, and every commit on the disk before it returns."""
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def migrate(engine: Engine) -> None:
    """Run the migrations that the database has not seen; concurrent starts wait for each other."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    configuration = Config()
    configuration.set_main_option("script_location", str(files("apkiln.system") / "migrations"))
    with _MIGRATING, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sql.text("SELECT pg_advisory_xact_lock(7221463)"))
        configuration.attributes["connection"] = connection
        try:
            command.upgrade(configuration, "head")
        except CommandError as error:
            raise EnvironmentFault(
                f"the database was made by a later version: {error}",
                reason="database-too-new",
                hint="run the version that migrated it, or a later one",
            ) from error


def _fault(error: DBAPIError, place: str) -> ApkilnError:
    text = str(error.orig).splitlines()[0] if error.orig is not None else str(error)
    origin = Origin(source=place)
    if re.search(r"disk is full|No space left", text):
        return EnvironmentFault(f"no space left to write to `{place}`", reason="no-space", origin=origin)
    reason = "database-busy" if re.search(r"locked|deadlock", text) else "database-unavailable"
    transient = isinstance(error, OperationalError)
    return UnavailableError(f"database `{place}`: {text}", reason=reason, origin=origin, retriable=transient)
