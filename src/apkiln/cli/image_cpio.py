"""`apkiln image cpio`: a cpio archive in `newc` form, which the kernel takes as initial RAM file system."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.tree_arguments import add_tree_arguments, build_tree

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image cpio"
HELP = """Build the tree of a definition as a cpio archive in `newc` form, which the kernel takes as initial RAM file system.

Owners, modes, times and hard links are those of the image.  The same definition gives the same bytes on every machine."""
EPILOG = """examples:
  apkiln image cpio image.yaml initramfs.cpio.gz --build-arch x86_64
  apkiln image cpio image.yaml initramfs.cpio.gz --locked --sbom-path sboms
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_tree_arguments(parser, "cpio archive; `.gz` and `.zst` are compressed")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.output import OutputKind

    return build_tree(OutputKind.CPIO, arguments, context)
