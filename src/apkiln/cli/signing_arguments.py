"""The private key of commands that sign, as melange's command line names it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.system.signer import RsaSigner


def add_key_argument(parser: argparse.ArgumentParser, *flags: str, default: str) -> None:
    shown = f" (default: {default})" if default else ""
    parser.add_argument(*flags, dest="signing_key", metavar="FILE", default=default, help=f"private key to sign with{shown}")
    parser.add_argument("--key-name", metavar="NAME", default="", help="file name of the public key (default: FILE.pub)")


def signers(arguments: argparse.Namespace, context: Context) -> tuple[RsaSigner, ...]:
    """The key; none when no file is named.  Raises what `load_signer` raises."""
    from pathlib import Path

    from apkiln.system.files import DiskFiles
    from apkiln.system.signer import load_signer

    if not arguments.signing_key:
        return ()
    path = Path(context.settings.working_directory) / arguments.signing_key
    return (load_signer(path, DiskFiles(), arguments.key_name or f"{path.name}.pub"),)
