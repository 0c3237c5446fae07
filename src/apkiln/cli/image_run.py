"""`apkiln image run`: start an image in a sandbox, without a container engine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.running import RunRequest
    from apkiln.system.sandbox import Bind

NAME = "image run"
HELP = """Run an image in a sandbox, without a container engine and without root's rights.

PLACE is an OCI layout, an OCI archive or a docker archive (`docker save`, `podman save`).  Its layers are unpacked once
into the cache, every digest checked, and its command is started there: no network, a fresh `/tmp`, nothing of the
host's files.  What it writes is forgotten.  Needs bubblewrap.  The exit code of the command is passed on."""
TAKES_COMMAND = True
"""Words after `--` are the command's."""
EPILOG = """What follows `--` takes the place of the image's own arguments.

examples:
  apkiln image run out/
  apkiln image run image.tar --arch x86_64 -- /bin/sh -c 'ls /'
  apkiln image run out/ --entrypoint /usr/bin/python3 -- -c 'print(1)'
  apkiln image run out/ --bind "$PWD:/work" --workdir /work -- make
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="PLACE", help="OCI layout, OCI archive, docker archive or `registry:HOST/NAME[:TAG]`")
    parser.add_argument("--arch", metavar="ARCH", help="which image of several (default: this machine's architecture)")
    parser.add_argument("--entrypoint", metavar="PROGRAM", help="start this instead of the image's entrypoint")
    parser.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="set a variable; may be repeated")
    parser.add_argument("--user", metavar="USER[:GROUP]", default="", help="run as this user of the image")
    parser.add_argument("--workdir", metavar="DIR", default="", help="directory to start in")
    parser.add_argument("--network", action="store_true", help="share the host's network")
    parser.add_argument("--read-only", action="store_true", help="the root cannot be written to (`/tmp` can)")
    parser.add_argument(
        "--bind", metavar="HOST:PATH[:rw]", action="append", default=[], help="show a host path inside; may be repeated"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=0.0, help="kill it after this time")


def run(arguments: argparse.Namespace, context: Context) -> int:
    import os
    from pathlib import Path

    from apkiln.cli.places import open_named_place
    from apkiln.core.arch import Arch
    from apkiln.image.running import run_image, unpacked
    from apkiln.image.stored import choose_image, stored_images
    from apkiln.system.bubblewrap import BubblewrapSandbox
    from apkiln.system.sandbox import Stop
    from apkiln.system.trees import DirectoryTrees

    settings = context.settings
    place = open_named_place(arguments.place, context)
    images = stored_images(place, settings.limits)
    wanted = Arch.parse(arguments.arch or os.uname().machine)
    image = choose_image(images, None if len(images) == 1 and not arguments.arch else wanted, place.name)
    trees = DirectoryTrees(Path(settings.cache_directory, "trees"))
    key = unpacked(place, image, trees, settings.limits, "root" if os.geteuid() == 0 else "user")
    sandbox = BubblewrapSandbox(settings.environment.get("PATH", "/usr/bin:/bin"))
    result = run_image(trees, key, image, _request(arguments, settings.working_directory), sandbox)
    if result.stop is Stop.TIMED_OUT:
        context.reporter.note(f"killed after {arguments.timeout:g} seconds")
    return result.exit_code


def _request(arguments: argparse.Namespace, working_directory: str) -> RunRequest:
    import sys

    from apkiln.image.running import RunRequest
    from apkiln.system.sandbox import RootAccess, SandboxLimits, Streams

    return RunRequest(
        arguments=arguments.command,
        entrypoint=(arguments.entrypoint,) if arguments.entrypoint else None,
        environment=tuple(_pair(text) for text in arguments.env),
        user=arguments.user,
        working_directory=arguments.workdir,
        access=RootAccess.READ_ONLY if arguments.read_only else RootAccess.PRIVATE,
        network=arguments.network,
        binds=tuple(_bind(text, working_directory) for text in arguments.bind),
        streams=Streams.TERMINAL if sys.stdin.isatty() else Streams.INHERIT,
        limits=SandboxLimits(seconds=arguments.timeout),
    )


def _pair(text: str) -> tuple[str, str]:
    from apkiln.core.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"`{text}` is no variable", reason="bad-arguments", hint="write NAME=VALUE")
    return name, value


def _bind(text: str, working_directory: str) -> Bind:
    import os

    from apkiln.core.errors import UsageError
    from apkiln.system.sandbox import Bind

    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[1].startswith("/") or parts[2:] not in ([], ["rw"], ["ro"]):
        raise UsageError(f"`{text}` shows no path", reason="bad-arguments", hint="write HOST:/PATH or HOST:/PATH:rw")
    return Bind(os.path.join(working_directory, parts[0]), parts[1], parts[2:] == ["rw"])
