"""`apkiln image minirootfs`: a tar archive of the whole tree."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.tree_arguments import add_tree_arguments, build_tree

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image minirootfs"
HELP = """Build the tree of a definition as a tar archive of the whole tree.

Owners, modes, times and hard links are those of the image.  The same definition gives the same bytes on every machine."""
EPILOG = """examples:
  apkiln image minirootfs image.yaml rootfs.tar.gz --build-arch x86_64
  apkiln image minirootfs image.yaml rootfs.tar.gz --locked --sbom-path sboms
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_tree_arguments(parser, "tar archive; `.tar.gz` and `.tar.zst` are compressed")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.output import OutputKind

    return build_tree(OutputKind.ROOT_FILE_SYSTEM, arguments, context)
