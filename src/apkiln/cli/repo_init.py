"""`apkiln repo init`: an empty signed repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "repo init"
HELP = """Make an empty repository: a directory with a public key and a signed index for each architecture.

The private key goes to `keys/` beside the directory, never inside it, so that a server that shows the directory does not
show the key."""
EPILOG = """examples:
  apkiln repo init os --arch x86_64 --arch aarch64
  apkiln repo init os --key ~/keys/build.rsa
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the repository; must be absent or empty")
    parser.add_argument(
        "--arch",
        metavar="ARCH",
        action="append",
        default=[],
        help="write an empty index for it; may be repeated (packages add more)",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--key", metavar="FILE", help="sign with this private key instead of making one")
    choice.add_argument(
        "--key-name", metavar="NAME", default="", help="file name of the new key (default: made of directory and key)"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.arch import Arch
    from apkiln.repository.initialising import initialise
    from apkiln.system.files import DiskFiles

    here = Path(context.settings.working_directory)
    made = initialise(
        here / arguments.directory,
        DiskFiles(),
        key_name=arguments.key_name,
        private_key=here / arguments.key if arguments.key else None,
        architectures=[Arch.parse(name).apk for word in arguments.arch for name in word.split(",")],
    )
    if context.settings.json:
        context.output.json(
            {
                "directory": str(made.directory),
                "publicKey": str(made.directory / made.key_name),
                "privateKey": str(made.private_key),
                "architectures": list(made.architectures),
            }
        )
        return 0
    context.output.print(f"repository   {made.directory}")
    context.output.print(f"public key   {made.directory / made.key_name}")
    context.output.print(f"private key  {made.private_key}")
    return 0
