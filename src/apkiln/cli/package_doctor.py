"""`apkiln package doctor`: whether this machine can build packages, and what to do where it cannot."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "package doctor"
HELP = """Try what builds of packages need of this machine: the sandbox, overlay mounts, ids, limits, emulators, programs, disk.

Prints what is there and what to do about what is not.  Exit code 9 when no build would work; what is only limited is told."""
EPILOG = """examples:
  apkiln package doctor
  apkiln package doctor --arch aarch64 --arch riscv64
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="architecture to build for; may be repeated")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.cli.exit_codes import exit_code
    from apkiln.core.arch import Arch
    from apkiln.core.errors import EnvironmentFault
    from apkiln.system.bubblewrap import BubblewrapSandbox
    from apkiln.system.machine_checks import State, examine

    search_path = context.settings.environment.get("PATH", "/usr/bin:/bin")
    names = tuple(Arch.parse(name).apk for name in arguments.arch)
    checks = examine(BubblewrapSandbox(search_path), search_path, Path(context.settings.cache_directory), names)
    if context.settings.json:
        context.output.json(
            [{"name": item.name, "state": item.state.value, "found": item.found, "advice": item.advice} for item in checks]
        )
    else:
        for item in checks:
            context.output.print(f"{item.state.value:8} {item.name}: {item.found}")
            if item.advice:
                context.output.print(f"         {item.advice}")
    refused = any(item.state is State.REFUSED for item in checks)
    return exit_code(EnvironmentFault("", reason="machine-refuses")) if refused else 0
