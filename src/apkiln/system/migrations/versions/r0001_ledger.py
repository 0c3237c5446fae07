"""The ledger, what it binds for ever, and triggers that let neither be rewritten."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = ("ledger", "claim")


def upgrade() -> None:
    """Make tables and triggers."""
    op.create_table(
        "ledger",
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
    op.create_table(
        "claim",
        sql.Column("repository", sql.Text, primary_key=True),
        sql.Column("kind", sql.Text, primary_key=True),
        sql.Column("name", sql.Text, primary_key=True),
        sql.Column("value", sql.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _forbid_on_postgresql()
    else:
        _forbid_on_sqlite()


def _forbid_on_sqlite() -> None:
    for table in _TABLES:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )


def _forbid_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION append_only() RETURNS trigger AS $$ "
        "BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$ LANGUAGE plpgsql"
    )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )


def downgrade() -> None:
    """There is nothing before the first migration."""
    raise NotImplementedError("a ledger is never taken apart; restore a backup instead")
