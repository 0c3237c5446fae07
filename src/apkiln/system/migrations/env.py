"""What Alembic runs: migrations on the connection that `system.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from apkiln.system.database import METADATA


def run() -> None:
    """All migrations up to the revision that was asked for, in one transaction of the caller."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
    context.run_migrations()


run()
