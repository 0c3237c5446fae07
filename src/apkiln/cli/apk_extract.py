"""`apkiln apk extract`: a verified package unpacked into a directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from apkiln.cli.apk_files import open_file, read_keyring
from apkiln.core.errors import ApkilnError, ConflictError, VerificationError
from apkiln.core.origin import Origin

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.formats.apk.contents import PackageContents

NAME = "apk extract"
HELP = """Unpack a package.  It is verified to its last byte before anything is written; nothing is ever written through a
symlink or outside of the directory.  Device nodes are left out; owners are set when running as root."""
EPILOG = """examples:
  apkiln apk extract hello-2.12-r0.apk -C hello
  apkiln apk extract --key keys/wolfi-signing.rsa.pub hello-2.12-r0.apk -C hello
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="package")
    parser.add_argument("-C", "--directory", required=True, metavar="DIR", help="where to unpack; made when absent, else empty")
    parser.add_argument("--key", action="append", default=[], metavar="FILE", help="trusted public key: require a signature")


def run(arguments: argparse.Namespace, context: Context) -> int:
    try:
        contents = _extract(arguments, context)
    except ApkilnError as error:
        error.located(Origin(source=arguments.file))
        raise
    if context.settings.json:
        value = {"package": contents.info.name_version, "directory": arguments.directory, "paths": len(contents.entries)}
        context.output.json(value)
    else:
        context.output.print(f"{contents.info.name_version}: {len(contents.entries)} paths in {arguments.directory}")
    return 0


def _extract(arguments: argparse.Namespace, context: Context) -> PackageContents:
    from apkiln.formats.apk.package import read_package
    from apkiln.system.files import DiskFiles
    from apkiln.system.tree_writer import DirectoryTreeWriter

    limits = context.settings.limits
    keyring = read_keyring(arguments.key, context) if arguments.key else None
    with open_file(arguments.file, context) as stream:
        verified = read_package(stream, limits, keyring=keyring)
        stream.seek(0)
        directory = Path(context.settings.working_directory, arguments.directory).resolve()
        files = DiskFiles()
        files.make_directory(directory)
        if files.list(directory):
            message = f"the directory `{arguments.directory}` is not empty"
            raise ConflictError(message, reason="output-exists", hint="name an empty or a new directory")
        writer = DirectoryTreeWriter(directory)
        try:
            # The file is read a second time, so it is verified a second time.
            written = read_package(stream, limits, receiver=writer)
            writer.finish()
        finally:
            writer.close()
    if written.sha256 != verified.sha256:
        raise VerificationError("the file changed while it was read", reason="input-changed")
    if writer.skipped:
        context.reporter.note(f"{writer.skipped} device nodes and fifos were left out")
    return written
