"""`apkiln key generate`: a new key pair for signing packages and indexes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "key generate"
HELP = """Make an RSA key pair: the private half in NAME, which only its owner may read, the public half in NAME.pub."""
EPILOG = """examples:
  apkiln key generate
  apkiln key generate build.rsa --key-size 3072
  apkiln melange keygen
"""
_SMALLEST = 2048
_LARGEST = 16384


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", default="melange.rsa", metavar="NAME", help="file of the private key (default: %(default)s)"
    )
    parser.add_argument("--key-size", type=int, default=4096, metavar="BITS", help="default: %(default)s")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.errors import ConflictError, UsageError
    from apkiln.core.origin import Origin
    from apkiln.formats.apk.keys import is_key_name
    from apkiln.system.files import DiskFiles
    from apkiln.system.signer import generate_key_pair, write_key_pair

    if not _SMALLEST <= arguments.key_size <= _LARGEST:
        message = f"a key has {_SMALLEST} to {_LARGEST} bits, not {arguments.key_size}"
        raise UsageError(message, reason="bad-key-size")
    private = Path(context.settings.working_directory) / arguments.name
    public = private.with_name(f"{private.name}.pub")
    if not is_key_name(public.name):
        raise UsageError(f"`{public.name}` cannot name a key", reason="bad-key-name")
    files = DiskFiles()
    for path in (private, public):
        if not arguments.force and files.status(path) is not None:
            raise ConflictError(
                f"`{path}` exists already", reason="output-exists", origin=Origin(str(path)), hint="`--force` replaces it"
            )
    pair = generate_key_pair(public.name, arguments.key_size, pkcs1=True)
    write_key_pair(pair, private, public, files, replace=arguments.force)
    if context.settings.json:
        context.output.json({"privateKey": str(private), "publicKey": str(public), "bits": arguments.key_size})
    else:
        context.output.print(f"private key  {private}")
        context.output.print(f"public key   {public}")
    return 0
