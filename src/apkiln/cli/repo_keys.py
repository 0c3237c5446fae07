"""`apkiln repo keys`: which keys a repository publishes, and their rotation."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.service_arguments import add_service_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.repository.ledger.actions import KeyChange
    from apkiln.repository.service import RepositoryService

NAME = "repo keys"
HELP = """List the public keys of a repository directory, or list and change those of a served repository.

A rotation: `--add` publishes a new key that signs nothing yet; `--package` brings it to those who install the keyring
package; `--promote` lets it sign beside the old one, which begins to retire; `--retire` ends the old one's signing;
`--revoke` takes it out of the keyring for ever.  Every change waits for a second person.

A key that leaked is revoked at once: `--revoke OLD --promote NEW` in one step, and `--since` names what it signed."""
EPILOG = """examples:
  apkiln repo keys os
  apkiln repo keys --repository os/musl
  apkiln repo keys --add os-2027.rsa.pub --reason "yearly rotation"
  apkiln repo keys --package example-keyring --reason "yearly rotation"
  apkiln repo keys --promote os-2027.rsa.pub --reason "yearly rotation"
  apkiln repo keys --revoke os-2026.rsa.pub --promote os-2027.rsa.pub --since 2026-11-20T00:00:00Z --reason "leaked"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", help="a repository directory; without it, a served repository")
    parser.add_argument("--add", metavar="FILE", action="append", default=[], help="publish a public key")
    parser.add_argument("--promote", metavar="NAME", default="", help="let a published key sign; the active ones begin to retire")
    parser.add_argument("--retire", metavar="NAME", action="append", default=[], help="let a key sign no more")
    parser.add_argument("--revoke", metavar="NAME", action="append", default=[], help="take a key out of the keyring for ever")
    parser.add_argument("--package", metavar="NAME", default="", help="publish the keyring as a package of this name")
    parser.add_argument("--since", metavar="TIME", default="", help="name the transactions that a revoked key signed since then")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why; needed for every change")
    add_service_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.directory is not None:
        return _list_directory(arguments, context)
    from apkiln.cli.service_arguments import author_of, open_named_service, report_transaction
    from apkiln.core.errors import UsageError
    from apkiln.repository.ledger.actions import Manifest

    service = open_named_service(arguments, context)
    changes = _changes(arguments, service, context)
    if not changes and not arguments.package:
        return _list_service(service, context)
    if not arguments.reason:
        raise UsageError("a change of keys needs `--reason`", reason="missing-reason")
    author = author_of(context, arguments.reason)
    if changes:
        code = report_transaction(service, service.run(author, Manifest(keys=changes)), context)
        _name_signed(arguments, service, context)
        return code
    from apkiln.repository.keyring import publish_keyring

    return report_transaction(service, publish_keyring(service, author, arguments.package), context)


def _changes(arguments: argparse.Namespace, service: RepositoryService, context: Context) -> tuple[KeyChange, ...]:
    from pathlib import Path

    from apkiln.repository.ledger.actions import KeyChange
    from apkiln.repository.rotation import promotion
    from apkiln.system.files import DiskFiles

    here, limit = Path(context.settings.working_directory), context.settings.limits.document
    added = [
        KeyChange(Path(name).name, "staged", DiskFiles().read(here / name, limit).decode("ascii", "replace"))
        for name in arguments.add
    ]
    promoted = promotion(service.state, arguments.promote) if arguments.promote else ()
    revoked = set(arguments.revoke)
    return (
        *added,
        *(change for change in promoted if change.name not in revoked),
        *(KeyChange(name, "retired") for name in arguments.retire),
        *(KeyChange(name, "revoked") for name in arguments.revoke),
    )


def _name_signed(arguments: argparse.Namespace, service: RepositoryService, context: Context) -> None:
    from datetime import datetime

    from apkiln.core.errors import UsageError
    from apkiln.repository.rotation import signed_since

    if not arguments.since:
        return
    try:
        since = int(datetime.fromisoformat(arguments.since).timestamp())
    except ValueError as error:
        raise UsageError(f"`{arguments.since}` is not a time", reason="bad-time", hint="2026-11-20T00:00:00Z") from error
    for name in arguments.revoke:
        numbers = ", ".join(map(str, signed_since(service.state, name, since))) or "none"
        context.reporter.note(f"transactions signed by {name} since {arguments.since}: {numbers}")


def _list_service(service: RepositoryService, context: Context) -> int:
    from apkiln.repository.rotation import key_uses

    uses = key_uses(service.state)
    if context.settings.json:
        context.output.json([item._asdict() for item in uses])
        return 0
    for item in uses:
        context.output.print(f"{item.name}  {item.state:8}  {item.bits} bits  {item.fingerprint}  signed {item.generations}")
    return 0


def _list_directory(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.repository.signing import published_keys
    from apkiln.system.files import DiskFiles

    found = published_keys(Path(context.settings.working_directory) / arguments.directory, DiskFiles())
    if context.settings.json:
        context.output.json(
            [
                {
                    "name": item.key.name,
                    "kind": item.key.kind,
                    "bits": item.key.bits,
                    "fingerprint": str(item.key.fingerprint),
                    "privateKey": None if item.private is None else str(item.private),
                }
                for item in found
            ]
        )
        return 0
    for item in found:
        held = "private half at hand" if item.private else "public half only"
        context.output.print(f"{item.key.name}  {item.key.kind} {item.key.bits}  {item.key.fingerprint}  {held}")
    return 0
