"""Arguments of every command that runs steps of a definition in the sandbox, and the objects they do it with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from apkiln.cli.source_arguments import add_source_arguments
from apkiln.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.package.building.guest_request import GuestSources
    from apkiln.package.building.steps import StepRun
    from apkiln.package.definition.model import Resources
    from apkiln.system.bubblewrap import BubblewrapSandbox
    from apkiln.system.build_workspace import DirectoryWorkspace
    from apkiln.system.container_sandbox import ContainerSandbox
    from apkiln.system.sandbox import SandboxLimits, SandboxSpec
    from apkiln.system.signer import RsaSigner
    from apkiln.system.trees import DirectoryTrees

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40, "T": 10**12}


def add_root_arguments(parser: argparse.ArgumentParser) -> None:
    """Where packages of the root come from."""
    group = parser.add_argument_group("packages of the root; each may be repeated")
    group.add_argument("-r", "--repository-append", action="append", default=[], metavar="REPO", help="further repository")
    group.add_argument("-k", "--keyring-append", action="append", default=[], metavar="KEY", help="further key to trust")
    group.add_argument("--ignore-signatures", action="store_true", help="take unsigned indexes")


def add_sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    """How steps run."""
    group = parser.add_argument_group("how steps run")
    group.add_argument("--arch", metavar="ARCH", default="", help="apk or OCI name, `host` (default)")
    group.add_argument("--runner", choices=("bubblewrap", "podman", "docker"), default="bubblewrap", help="default: bubblewrap")
    group.add_argument("--root", choices=("overlay", "hardlinks"), default="overlay", help="how the root is put together")
    group.add_argument(
        "--network", choices=("off", "auto", "on"), default="off", help="when steps have the network beside those that say so"
    )
    group.add_argument("--cpu", metavar="N", default="", help="processors, for example 2 or 1.5")
    group.add_argument("--memory", metavar="SIZE", default="", help="memory of all processes, for example 4Gi")
    group.add_argument("--processes", metavar="N", type=int, default=0, help="processes at one time")
    group.add_argument("--timeout", metavar="TIME", default="", help="of all steps together, for example 1h30m")
    group.add_argument("--debug", action="store_true", help="show every command")
    group.add_argument("-i", "--interactive", action="store_true", help="open a shell where a step fails")
    group.add_argument("--workspace-dir", metavar="DIR", default="", help="where workspaces are made (default: in the cache)")
    group.add_argument("--keep-workspace", action="store_true", help="leave the workspace when all is done")
    add_source_arguments(parser)


def add_peer_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of melange's own command line that change nothing here."""
    for flag in (
        "--apk-cache-dir",
        "--cache-source",
        "--cpumodel",
        "--disk",
        "--guest-dir",
        "--log-level",
        "--log-policy",
        "--test-option",
        "--trace",
    ):
        parser.add_argument(flag, action="append", help=argparse.SUPPRESS)
    for flag in ("--rm", "--cleanup", "--fail-on-lint-warning", "--debug-runner"):
        parser.add_argument(flag, nargs="?", const="true", help=argparse.SUPPRESS)


def guest_sources(arguments: argparse.Namespace) -> GuestSources:
    from apkiln.package.building.guest_request import GuestSources

    return GuestSources(tuple(arguments.repository_append), tuple(arguments.keyring_append), arguments.ignore_signatures)


def owners_word() -> str:
    """How a tree cache of this process keeps ids."""
    import os

    return "root" if os.geteuid() == 0 else "user"


def open_trees(context: Context) -> DirectoryTrees:
    from pathlib import Path

    from apkiln.system.trees import DirectoryTrees

    return DirectoryTrees(Path(context.settings.cache_directory, "trees"))


class Runner(NamedTuple):
    """What runs steps, and what belongs to it."""

    sandbox: BubblewrapSandbox | ContainerSandbox
    owners: BubblewrapSandbox
    """Takes over files of other ids."""
    root: str
    """Name of the kind of root."""
    forget: Callable[[str], None] | None = None


def open_runner(arguments: argparse.Namespace, context: Context) -> Runner:
    """What `--runner` and `--root` say.  UsageError `unknown-runner`."""
    from apkiln.system.bubblewrap import BubblewrapSandbox

    environment = context.settings.environment
    bubblewrap = BubblewrapSandbox(environment.get("PATH", "/usr/bin:/bin"))
    if arguments.runner == "docker":
        hint = "use `--runner podman`, or bubblewrap, which needs no daemon"
        raise UsageError("docker cannot run a directory as a root", reason="unknown-runner", hint=hint)
    mapping = bubblewrap.mapping()
    if mapping.is_single:
        context.reporter.note(
            f"{mapping.why_single}: steps have one user id only, and changing owners fails; "
            "install `uidmap` and give this user ids in `/etc/subuid` and `/etc/subgid`"
        )
    if arguments.runner == "podman":
        from apkiln.system.container_sandbox import ContainerSandbox

        container = ContainerSandbox(environment)
        return Runner(container, bubblewrap, "joined", container.forget)
    return Runner(bubblewrap, bubblewrap, arguments.root)


def emulator_of(arch: Arch, context: Context) -> str:
    """What makes programs of `arch` run here; empty = nothing is needed.  EnvironmentFault `no-emulator`."""
    import os

    from apkiln.system.emulation import emulator_for

    return emulator_for(arch.apk, os.uname().machine, context.settings.environment.get("PATH", "/usr/bin:/bin"))


def workspaces(arguments: argparse.Namespace, context: Context, runner: Runner) -> Callable[[], DirectoryWorkspace]:
    """A function that makes one workspace."""
    import os
    from pathlib import Path

    from apkiln.system.build_workspace import DirectoryWorkspace

    settings = context.settings
    given = arguments.workspace_dir
    parent = Path(settings.working_directory, given) if given else Path(settings.cache_directory, "builds")
    change = None if os.geteuid() == 0 else runner.owners.change_owners
    return lambda: DirectoryWorkspace.create(parent, change, runner.forget)


def limits_of(arguments: argparse.Namespace, resources: Resources, timeout: str) -> SandboxLimits:
    """What the flags say, else what the definition says.  Raises UsageError `bad-size`, `bad-duration`."""
    from apkiln.package.definition.forms import duration, nanoseconds
    from apkiln.system.sandbox import SandboxLimits

    memory, cpu = arguments.memory or resources.memory.text, arguments.cpu or resources.cpu.text
    time = arguments.timeout or timeout
    if duration(time):
        raise UsageError(f"`{time}` is no duration", reason="bad-duration", hint="write for example `90s` or `1h30m`")
    return SandboxLimits(
        seconds=nanoseconds(time) / 1e9,
        output=1 << 20,
        open_files=0,
        scratch=0,
        tree_memory=parse_size(memory) if memory else 0,
        tree_processes=arguments.processes,
        cpus=_number(cpu) if cpu else 0.0,
    )


def parse_size(text: str) -> int:
    """Bytes of `4Gi`, `500M`, `1048576`.  Raises UsageError `bad-size`."""
    import re

    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?)?B?", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"`{text}` is no size", reason="bad-size", hint="write for example `4Gi` or `500M`")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def _number(text: str) -> float:
    try:
        return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        raise UsageError(
            f"`{text}` is no number of processors", reason="bad-size", hint="write for example `2` or `500m`"
        ) from None


def shell_on_failure(
    arguments: argparse.Namespace, context: Context, runner: Runner
) -> Callable[[SandboxSpec, StepRun], bool] | None:
    """With `--interactive`: what opens a shell in the state a step left; exit code 0 of it goes on with the next step."""
    if not arguments.interactive:
        return None
    from dataclasses import replace

    from apkiln.package.building.session import step_name
    from apkiln.system.sandbox import Streams

    def open_shell(spec: SandboxSpec, step: StepRun) -> bool:
        context.reporter.note(f"{step_name(step)} failed; this is a shell in its place: `exit 0` goes on, `exit 1` gives up")
        variables = {**dict(spec.environment), "HISTFILE": "/home/build/.ash_history"}
        variables["TERM"] = context.settings.environment.get("TERM", "xterm-256color")
        # The fragment is the first thing in the shell's history.
        command = (spec.command[0], "-c", 'printf "%s\\n" "$1" > "$HISTFILE"; exec "$0" -i', spec.command[0], step.fragment)
        shell = replace(
            spec,
            command=command,
            environment=tuple(sorted(variables.items())),
            streams=Streams.TERMINAL,
            working_directory=step.directory,
        )
        return runner.sandbox.run(shell).exit_code == 0

    return open_shell


def line_teller(context: Context, name: str) -> Callable[[str], None]:
    """Writes a line of a build to the error stream, marked with the name of the package; nothing when quiet."""
    stream = context.error_stream
    if context.settings.verbosity < 0:
        return lambda _: None

    def tell(line: str) -> None:
        stream.write(f"{name} | {line}\n")
        stream.flush()

    return tell


def resolver_file() -> str:
    """The machine's `resolv.conf`."""
    import os

    return "/etc/resolv.conf" if os.path.exists("/etc/resolv.conf") else ""


def signer_of(path: str, directory: Path) -> tuple[RsaSigner, ...]:
    """The signer of a private key file; none for an empty path."""
    if not path:
        return ()
    from apkiln.system.files import DiskFiles
    from apkiln.system.signer import load_signer

    return (load_signer(directory / path, DiskFiles()),)
