"""Scripts run over a tree, one after the other, in the sandbox; what they leave is told as entries, and nothing else stays."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.faults import faults_named
from apkiln.system.sandbox import Bind, Sandbox, SandboxLimits, SandboxSpec, Stop
from apkiln.system.tree_reader import read_tree
from apkiln.system.tree_writer import DirectoryTreeWriter

PLACE = "/tmp/scripts"
"""Where scripts lie inside; `/tmp` is forgotten."""
_LIMITS = SandboxLimits(seconds=600.0, output=1 * MIB)
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")

TreeItem = tuple[Entry, Iterable[bytes]]


class ScriptCall(NamedTuple):
    """One script to run as root of the tree, from `/`."""

    name: str
    """File name, a single component."""
    text: bytes
    """Begins with its own `#!` line."""
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """All of it."""


class ScriptEnd(NamedTuple):
    """How one script ended."""

    exit_code: int
    """As a shell shows it; 137 also when it took too long or wrote too much."""
    output: tuple[str, ...] = ()
    """The last lines that it printed."""


class ChangedPath(NamedTuple):
    """A path that a script made or changed."""

    entry: Entry
    """As it is now; a hard link to an earlier path of the same run may be one."""
    content: bytes = b""
    owned: bool = True
    """False: the machine could not give files to others, so the owner in `entry` says nothing."""


class ScriptRuns(NamedTuple):
    """What a series of scripts did."""

    ends: tuple[ScriptEnd, ...]
    """One for each script that ran: the first that fails is the last."""
    changed: tuple[ChangedPath, ...] = ()
    """Parents first; directories also where only something below them changed."""
    removed: tuple[str, ...] = ()


class ScriptMachine(Protocol):
    """Where scripts can be run."""

    def run(self, tree: Iterable[TreeItem], calls: Sequence[ScriptCall]) -> ScriptRuns:
        """Run the scripts in order over `tree` (parents first), without network and with nothing else of the machine.

        Each sees what the ones before left.  Raises what the sandbox raises, and EnvironmentFault of the disk.
        """


class SandboxedScripts:
    """See `ScriptMachine`; the tree lies in a temporary directory while scripts run."""

    def __init__(self, sandbox: Sandbox, temporary_directory: str = "") -> None:
        self._sandbox = sandbox
        self._temporary = temporary_directory or None

    def run(self, tree: Iterable[TreeItem], calls: Sequence[ScriptCall]) -> ScriptRuns:
        with self._room() as room:
            self._fill(room / "root", tree)
            for call in calls:
                script = room / "scripts" / call.name
                script.write_bytes(call.text)
                script.chmod(0o755)
            ends: list[ScriptEnd] = []
            for call in calls:
                ends.append(self._call(room, call))
                if ends[-1].exit_code:
                    break
            changed, removed = _changes(room / "kept" / "upper", room / "root")
            return ScriptRuns(tuple(ends), changed, removed)

    def _call(self, room: Path, call: ScriptCall) -> ScriptEnd:
        spec = SandboxSpec(
            root=str(room / "root"),
            command=(f"{PLACE}/{call.name}", *call.arguments),
            environment=call.environment,
            binds=(Bind(str(room / "scripts"), PLACE),),
            limits=_LIMITS,
            kept=str(room / "kept"),
        )
        result = self._sandbox.run(spec)
        lines = (result.stdout + result.stderr).decode("utf-8", "replace").splitlines()
        said = () if result.stop is Stop.EXITED else (f"it was killed: {result.stop.value}",)
        return ScriptEnd(result.exit_code, (*lines[-5:], *said))

    @contextmanager
    def _room(self) -> Iterator[Path]:
        with faults_named(self._temporary or "temporary directory", "create"):
            room = Path(tempfile.mkdtemp(prefix="apkiln-scripts-", dir=self._temporary))
        try:
            for name in ("root", "scripts", "kept"):
                (room / name).mkdir(mode=0o755)
                (room / name).chmod(0o755)
            room.chmod(0o755)
            yield room
        finally:
            _remove(room)

    def _fill(self, root: Path, tree: Iterable[TreeItem]) -> None:
        writer = DirectoryTreeWriter(root)
        try:
            for entry, content in tree:
                writer.add(entry, content)
            writer.finish()
        finally:
            writer.close()


def _changes(upper: Path, root: Path) -> tuple[tuple[ChangedPath, ...], tuple[str, ...]]:
    """What the upper directory of an overlay says: entries, whiteouts (devices 0:0), directories made anew (opaque)."""
    if not upper.is_dir():
        return (), ()
    as_root = os.geteuid() == 0
    changed: list[ChangedPath] = []
    removed: list[str] = []
    for entry, chunks in read_tree(upper):
        if entry.type is EntryType.CHARACTER and entry.device == (0, 0):
            removed.append(entry.path)
            continue
        if entry.type is EntryType.DIRECTORY and _is_opaque(upper / entry.path):
            removed += _gone(root / entry.path, upper / entry.path, entry.path)
        changed.append(ChangedPath(entry, b"".join(chunks), as_root))
    return tuple(changed), tuple(removed)


def _is_opaque(directory: Path) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name) == b"y":
                return True
        except OSError:
            continue
    return False


def _gone(below: Path, above: Path, path: str) -> list[str]:
    """What the lower directory had and the one made anew has not."""
    if below.is_symlink() or not below.is_dir():
        return []
    return [f"{path}/{name}" for name in sorted(os.listdir(below)) if not os.path.lexists(above / name)]


def _remove(room: Path) -> None:
    """Directories are opened for their owner before the walk enters them: the one in which an overlay worked has no mode, and
    scripts may leave others."""
    for directory, names, _files in os.walk(room):
        for name in names:
            place = os.path.join(directory, name)
            mode = os.lstat(place).st_mode
            if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o700 != 0o700:
                os.chmod(place, 0o700)
    shutil.rmtree(room)
