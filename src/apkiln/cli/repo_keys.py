"""`apkiln repo keys`: which keys a repository publishes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo keys"
HELP = """List the public keys of a repository, and whether their private halves are at hand."""
EPILOG = """examples:
  apkiln repo keys os
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the repository")


def run(arguments: argparse.Namespace, context: Context) -> int:
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
