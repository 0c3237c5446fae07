"""`apkiln apk sign-index`: a signature for an index."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.signing_arguments import add_key_argument, signers

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "apk sign-index"
HELP = "Sign an index file that has no signature; with `--force` also one that has, whose signatures are replaced."
EPILOG = """examples:
  apkiln apk sign-index --signing-key build.rsa packages/x86_64/APKINDEX.tar.gz
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("index", metavar="FILE", help="an `APKINDEX.tar.gz`")
    add_key_argument(parser, "-k", "--signing-key", default="melange.rsa")
    parser.add_argument("-f", "--force", action="store_true", help="replace the signatures that are there")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.repository.resigning import resign_index
    from apkiln.system.files import DiskFiles

    path = Path(context.settings.working_directory) / arguments.index
    found = signers(arguments, context)
    signed = resign_index(path, found, DiskFiles(), canonical_codec(), context.settings.limits, force=arguments.force)
    if context.settings.json:
        context.output.json({"index": arguments.index, "signed": signed, "key": found[0].name})
    elif not signed:
        context.reporter.note(f"`{arguments.index}` is signed already; `--force` signs it anew")
    return 0
