"""`apkiln repo backup`: copy served repositories to a directory, or back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.repository.backing_up import Copied, Keeping
    from apkiln.repository.reconciling import Difference

NAME = "repo backup"
HELP = """Copy the ledgers of a repository service and every file they need to a directory, and verify the copy.

May run beside the server.  Run again it copies what is new.  The copy is a SQLite ledger and a directory of files, whatever
the service itself uses.  `--restore` copies it back into a service that has nothing yet, and verifies that."""
EPILOG = """examples:
  apkiln repo backup /var/backups/apkiln
  apkiln repo backup /var/backups/apkiln --restore --config new/service.toml
"""
_DAMAGE = frozenset({"blob-missing", "blob-corrupt", "index-drift", "ledger", "untrusted", "edge-wrong", "unfetchable"})


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="where the copy is")
    parser.add_argument("--restore", action="store_true", help="from DIR into the service")
    parser.add_argument("--config", metavar="FILE", default="service.toml", help="configuration (default: service.toml)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.service_arguments import read_configuration
    from apkiln.repository.backing_up import Keeping, copy_repository
    from apkiln.repository.equipment import Policy
    from apkiln.system.blob_store_directory import DirectoryBlobs
    from apkiln.system.clock import SystemClock
    from apkiln.system.database import open_ledgers
    from apkiln.system.files import DiskFiles
    from apkiln.web.building import open_keeping

    configuration, home = read_configuration(arguments, context)
    place = Path(context.settings.working_directory) / arguments.directory
    DiskFiles().make_directory(place)
    here = Keeping(*open_keeping(configuration, home))
    there = Keeping(open_ledgers(f"sqlite:///{place}/ledger.db"), DirectoryBlobs(place / "blobs", DiskFiles()))
    source, target = (there, here) if arguments.restore else (here, there)
    now = int(SystemClock().now() * 1000)
    copied = [copy_repository(item.name, source, target, Policy(), now) for item in configuration.repository]
    damage = [difference for item in copied for difference in _damage(item.repository, target)]
    _report(copied, damage, context)
    return 10 if damage else 0


def _damage(name: str, target: Keeping) -> list[Difference]:
    """What is wrong with a copy: every byte read, every index made anew."""
    from apkiln.repository.direct import URL, DirectPath
    from apkiln.repository.equipment import Equipment, NamedSigners
    from apkiln.repository.reconciling import compare
    from apkiln.repository.service import RepositoryService
    from apkiln.system.clock import SystemClock

    made: list[RepositoryService] = []
    path = DirectPath(lambda: made[0].state, target.blobs)
    made.append(RepositoryService(name, Equipment(target.ledgers, target.blobs, NamedSigners(()), path, URL, SystemClock())))
    return [difference for difference in compare(made[0], deep=True) if difference.kind in _DAMAGE]


def _report(copied: list[Copied], damage: list[Difference], context: Context) -> None:
    if context.settings.json:
        context.output.json({"repositories": [item._asdict() for item in copied], "damage": [item._asdict() for item in damage]})
        return
    for item in copied:
        context.output.print(
            f"{item.repository}: generation {item.generation}, row {item.head}; {item.rows} rows and {item.blobs} files are new"
        )
    for difference in damage:
        context.output.print(f"{difference.kind:18} {difference.subject}  {difference.detail}".rstrip())
