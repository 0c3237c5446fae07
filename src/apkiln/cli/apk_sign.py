"""`apkiln apk sign`: a new signature for packages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.signing_arguments import add_key_argument, signers

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "apk sign"
HELP = """Sign package files, in the place of the signatures they have.  Each package is read completely and must be sound;
control and data section keep their bytes, and each file is replaced whole."""
EPILOG = """examples:
  apkiln apk sign -k build.rsa packages/x86_64/*.apk
  apkiln melange sign --signing-key local-melange.rsa hello-2.12-r0.apk
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="+", metavar="FILE", help="package files")
    add_key_argument(parser, "-k", "--signing-key", default="local-melange.rsa")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.errors import ApkilnError, FaultGroup
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.repository.resigning import resign_package
    from apkiln.system.files import DiskFiles
    from apkiln.system.parallel import map_in_threads

    here = Path(context.settings.working_directory)
    found, files, codec = signers(arguments, context), DiskFiles(), canonical_codec()

    def sign(name: str) -> ApkilnError | None:
        try:
            resign_package(here / name, found, files, codec, context.settings.limits)
        except ApkilnError as error:
            return error
        return None

    faults = [fault for fault in map_in_threads(sign, arguments.packages, context.settings.jobs) if fault is not None]
    if faults:
        raise FaultGroup(faults)
    key = found[0].name
    if context.settings.json:
        context.output.json({"signed": list(arguments.packages), "key": key})
    else:
        context.reporter.note(f"{len(arguments.packages)} packages signed with `{key}`")
    return 0
