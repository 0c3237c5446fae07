"""What the commands have in common that build the tree of one architecture without an image around it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.build_arguments import add_build_arguments

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.output import OutputKind


def add_tree_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """`CONFIG OUT` and the flags of every build.  `out`: what OUT is."""
    add_build_arguments(parser)
    parser.add_argument("out", metavar="OUT", help=out)
    group = parser.add_argument_group("output")
    group.add_argument("--build-arch", metavar="ARCH", default="", help="the one architecture (default: this machine's)")
    group.add_argument("--name", metavar="NAME", dest="tag", default="rootfs", help="what bills of materials call the tree")
    group.add_argument("--force", action="store_true", help="replace a file that is there already")
    group.add_argument("--sbom-path", metavar="DIR", help="where bills of materials go (default: none are written)")


def build_tree(kind: OutputKind, arguments: argparse.Namespace, context: Context) -> int:
    """Build the tree and publish it as `kind`; the exit code."""
    from apkiln.cli.image_build import build_to
    from apkiln.image.output import OutputTarget

    arguments.no_arch_suffix = False
    arguments.sbom = arguments.sbom and bool(arguments.sbom_path)
    if arguments.build_arch or not arguments.arch:
        arguments.arch = [arguments.build_arch or "host"]
    return build_to(OutputTarget(kind, arguments.out), arguments, context)
