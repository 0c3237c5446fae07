"""`apkiln image load`: put an image into podman or docker."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image load"
HELP = """Load an image into podman or docker, through the engine's own `load` command.

PLACE is an OCI layout, an OCI archive, a docker archive, or `registry:HOST/NAME[:TAG][@DIGEST]`.  Of several
architectures the one of this machine is taken.  The image keeps the name that it has in PLACE unless `--tag` gives one.
Every blob of an OCI image is compared with its digest on the way."""
EPILOG = """examples:
  apkiln image load out/
  apkiln image load app.tar --engine docker
  apkiln image load out/ --tag app:latest --arch aarch64
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="PLACE", help="OCI layout, OCI archive, docker archive or `registry:…`")
    parser.add_argument("--engine", choices=("podman", "docker"), default="", help="default: podman, else docker")
    parser.add_argument("--tag", metavar="REFERENCE", default="", help="name that the image gets")
    parser.add_argument("--arch", metavar="ARCH", default="", help="which image of several (default: this machine's)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from os import uname

    from apkiln.cli.places import open_named_place
    from apkiln.core.arch import Arch
    from apkiln.formats.oci.reference import parse_reference
    from apkiln.image.loading import load_image, plan_load_place
    from apkiln.system.process import SystemRunner

    settings = context.settings
    place = open_named_place(arguments.place, context)
    reference = parse_reference(arguments.tag) if arguments.tag else None
    plan = plan_load_place(place, settings.limits, Arch.parse(arguments.arch or uname().machine), reference)
    engine = load_image(plan, SystemRunner(), settings.environment, arguments.engine)
    if settings.json:
        context.output.json({"names": list(plan.names), "arch": plan.arch.apk, "engine": engine})
    else:
        for name in plan.names:
            context.output.print(name)
    return 0
