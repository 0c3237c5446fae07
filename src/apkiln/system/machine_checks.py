"""What of a machine builds of packages rely on: each thing tried or looked for, with what to do where it is not there
(spec package.md §9.6)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.limits import GIB, MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.system.bubblewrap import BubblewrapSandbox
from apkiln.system.control_groups import TreeLimits, bounded
from apkiln.system.emulation import emulator_for
from apkiln.system.sandbox import Ids, SandboxSpec

PRIVATE_EMULATORS = (6, 7)
"""The first Linux whose user namespaces have tables of binary formats of their own."""
_ROOM = 2 * GIB
"""Free bytes below which a build of any size is at risk."""
_LIMITS = {"memory": "--memory", "pids": "--processes", "cpu": "--cpu"}


class State(Enum):
    """How a thing is."""

    GOOD = "good"
    LIMITED = "limited"
    """Builds work without it, with less."""
    REFUSED = "refused"
    """No build works."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    """What is there, or is not."""
    advice: str = ""
    """What to do about it."""


def examine(sandbox: BubblewrapSandbox, search_path: str, cache: Path, architectures: tuple[str, ...] = ()) -> tuple[Check, ...]:
    """Everything, in the order in which a build would meet it.  `architectures`: those wanted beside the machine's own."""
    return (
        *_sandbox(sandbox),
        *_control_groups(),
        *(_emulator(name, search_path) for name in architectures),
        _podman(search_path),
        *_programs(search_path),
        _room(cache),
    )


def _sandbox(sandbox: BubblewrapSandbox) -> Iterator[Check]:
    """Program, namespaces, overlay, ids and the filter of system calls, by an attempt."""
    try:
        abilities = sandbox.probe()
    except ApkilnError as error:
        yield Check("sandbox", State.REFUSED, str(error).splitlines()[0], error.hint)
        return
    who = "for ordinary users" if abilities.rootless else "for root"
    yield Check("sandbox", State.GOOD, f"bubblewrap {abilities.version}, {who}")
    if abilities.overlay:
        yield Check("overlay", State.GOOD, "roots are laid over each other")
    else:
        yield Check("overlay", State.LIMITED, "the kernel refuses overlay mounts", "build with `--root hardlinks`")
    mapping = sandbox.mapping()
    if mapping.is_single:
        ranges = "`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`"
        advice = f"install `uidmap`, and give this user ids of its own: {ranges}"
        yield Check("ids", State.LIMITED, f"one id only, owners cannot be changed: {mapping.why_single}", advice)
    else:
        yield Check("ids", State.GOOD, f"{sum(part.length for part in mapping.users)} ids")
    yield _filter(sandbox)


def _filter(sandbox: BubblewrapSandbox) -> Check:
    """A run as builds do it, of a program that is not there."""
    with tempfile.TemporaryDirectory() as empty:
        Path(empty).chmod(0o755)
        try:
            sandbox.run(SandboxSpec(empty, ("/none",), ids=Ids.MANY, filtered=True))
        except UnavailableError:
            return Check("system calls", State.GOOD, "filtered")
        except ApkilnError as error:
            return Check("system calls", State.REFUSED, str(error).splitlines()[0], error.hint)
    return Check("system calls", State.GOOD, "filtered")


def _control_groups() -> Iterator[Check]:
    with bounded(TreeLimits(64 * MIB, 64, 1.0)) as group:
        missing = group.unbounded
    if not missing:
        yield Check("limits", State.GOOD, "memory, processes and processors can be limited")
        return
    flags = ", ".join(f"`{_LIMITS[name]}`" for name in missing)
    advice = "run as root, or in a group that systemd delegates: `systemd-run --user --scope -p Delegate=yes apkiln …`"
    yield Check("limits", State.LIMITED, f"no control group for {', '.join(missing)}: {flags} has no effect", advice)


def _emulator(architecture: str, search_path: str) -> Check:
    name, release = f"architecture {architecture}", os.uname().release
    try:
        line = emulator_for(architecture, os.uname().machine, search_path)
    except ApkilnError as error:
        return Check(name, State.LIMITED, str(error).splitlines()[0], error.hint)
    if line and _kernel(release) < PRIVATE_EMULATORS:
        return Check(name, State.LIMITED, f"Linux {release} has no private emulators", "update Linux to 6.7 or newer")
    return Check(name, State.GOOD, "emulated" if line else "runs by itself")


def _kernel(release: str) -> tuple[int, ...]:
    parts = release.split("-")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _podman(search_path: str) -> Check:
    path = shutil.which("podman", path=search_path)
    if path is None:
        return Check("podman", State.LIMITED, "not found: `--runner podman` is not there", "install `podman`, if you want it")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return Check("podman", State.GOOD, version.rpartition(" ")[2].strip())


def _programs(search_path: str) -> Iterator[Check]:
    for program, used in (("git", "`git-checkout` steps"), ("gpgv", "signatures of Debian's archives and of upstream")):
        if shutil.which(program, path=search_path) is None:
            yield Check(program, State.LIMITED, f"not found: needed for {used}", f"install `{program}`")
        else:
            yield Check(program, State.GOOD, "found")


def _room(cache: Path) -> Check:
    place = next(path for path in (cache, *cache.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    text = f"{free / GIB:.1f} GiB free for `{cache}`"
    if not os.access(place, os.W_OK):
        return Check("disk", State.REFUSED, f"`{place}` cannot be written to", "name another cache with `--cache-dir`")
    return Check("disk", State.GOOD, text) if free >= _ROOM else Check("disk", State.LIMITED, text, "`apkiln cache clean`")
