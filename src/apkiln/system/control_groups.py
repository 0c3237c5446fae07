"""Bounds on memory, processes and processors of a whole process tree, by control groups where this process may make some.

Each controller is looked for by itself: machines exist where some are of version 1 and others of version 2 (spec platform.md
§1).  Where a controller is missing its bound is not set, and `unbounded` says so.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apkiln.core.value import value

_PERIOD = 100_000
"""Microseconds in which a share of processors is measured."""
_BOUNDS = ("memory", "pids", "cpu")


@value
class TreeLimits:
    """Bounds on a process tree; 0 = none."""

    memory: int = 0
    """Bytes that all processes hold together."""
    processes: int = 0
    cpus: float = 0.0
    """Processors' worth of time, for example 1.5."""

    def of(self, controller: str) -> float:
        return {"memory": self.memory, "pids": self.processes, "cpu": self.cpus}[controller]


class ControlGroup:
    """One group, as a directory for each controller; made by `bounded`."""

    def __init__(self, directories: dict[str, tuple[Path, int]], unbounded: tuple[str, ...]) -> None:
        self._directories = directories
        """Controller → directory and version."""
        self.unbounded = unbounded
        """Controllers whose bound could not be set."""

    @property
    def joining(self) -> tuple[str, ...]:
        """Files in which a process writes `0` to join with all it will start."""
        return tuple(dict.fromkeys(str(directory / "cgroup.procs") for directory, _ in self._directories.values()))

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group because of its bound."""
        place = self._directories.get("memory")
        if place is None:
            return False
        directory, version = place
        name, key = ("memory.oom_control", "oom_kill") if version == 1 else ("memory.events", "oom_kill")
        for line in _read(directory / name).splitlines():
            word, _blank, number = line.partition(" ")
            if word == key:
                return int(number) > 0
        return False

    def peak_memory(self) -> int:
        """Largest number of bytes held at one time; 0 = not known."""
        place = self._directories.get("memory")
        if place is None:
            return 0
        name = "memory.max_usage_in_bytes" if place[1] == 1 else "memory.peak"
        return int(_read(place[0] / name).strip() or 0)


@contextmanager
def bounded(limits: TreeLimits) -> Iterator[ControlGroup]:
    """A group with these bounds; it is removed at the end, when its processes must be gone."""
    wanted = [name for name in _BOUNDS if limits.of(name)]
    made: dict[str, tuple[Path, int]] = {}
    name = f"apkiln-{secrets.token_hex(8)}"
    try:
        for controller, (parent, version) in (_places() if wanted else {}).items():
            if controller in wanted:
                directory = parent / name
                with suppress(OSError):
                    directory.mkdir(exist_ok=True)
                    _set(directory, version, controller, limits)
                    made[controller] = (directory, version)
        yield ControlGroup(made, tuple(controller for controller in wanted if controller not in made))
    finally:
        for directory in {directory for directory, _ in made.values()}:
            _remove(directory)


def _set(directory: Path, version: int, controller: str, limits: TreeLimits) -> None:
    if controller == "memory":
        (directory / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(limits.memory))
        with suppress(OSError):  # swap is often not accounted
            swap, bound = ("memory.memsw.limit_in_bytes", limits.memory) if version == 1 else ("memory.swap.max", 0)
            (directory / swap).write_text(str(bound))
    elif controller == "pids":
        (directory / "pids.max").write_text(str(limits.processes))
    elif version == 1:
        (directory / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (directory / "cpu.cfs_quota_us").write_text(str(int(limits.cpus * _PERIOD)))
    else:
        (directory / "cpu.max").write_text(f"{int(limits.cpus * _PERIOD)} {_PERIOD}")


def _places() -> dict[str, tuple[Path, int]]:
    """Controller → directory in which groups can be made, and the version of the controller."""
    mounts = _mounts()
    found: dict[str, tuple[Path, int]] = {}
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _number, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if controllers:
            for controller in controllers.split(","):
                if controller in mounts:
                    found[controller] = (_existing(mounts[controller], relative), 1)
        elif "" in mounts:
            own = _existing(mounts[""], relative)
            # Beside this process's own group: one that holds processes cannot hand controllers to groups inside it.
            parent = own if own == mounts[""] else own.parent
            for controller in _read(parent / "cgroup.subtree_control").split():
                found.setdefault(controller, (parent, 2))
    return {name: place for name, place in found.items() if os.access(place[0], os.W_OK)}


def _existing(mount: Path, relative: str) -> Path:
    """In a container the path may be that of the host."""
    return mount / relative if (mount / relative).is_dir() else mount


def _mounts() -> dict[str, Path]:
    """Controller of version 1, or "" for version 2 → mount point."""
    found: dict[str, Path] = {}
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        before, _dash, after = line.partition(" - ")
        kind, _source, options = (*after.split(" "), "", "")[:3]
        place = Path(before.split(" ")[4])
        if kind == "cgroup2":
            found.setdefault("", place)
        elif kind == "cgroup":
            for option in options.split(","):
                if option in _BOUNDS:
                    found.setdefault(option, place)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _remove(directory: Path) -> None:
    """The last process may still be on its way out."""
    for _attempt in range(50):
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
