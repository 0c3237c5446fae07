"""Scripts that no rule replaces, run in the sandbox; what they leave in the tree is answered for by rule `package-scripts`.

They run after everything that rules replaced, in the order of an installation, over the tree as it then is, with the links,
devices and library cache that a running program needs.  The environment is fixed, the clock is not: everything is run twice,
and an image is made only of what came out the same both times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.effects import ScriptReport, State
from apkiln.system.script_sandbox import ChangedPath, ScriptCall, ScriptEnd, ScriptMachine, ScriptRuns, TreeItem

RULE = "package-scripts"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_FORGOTTEN = ("proc", "dev", "tmp", "run", "sys")
"""Directories whose content is no part of an image."""

ShowTree = Callable[[], Iterable[TreeItem]]
"""The tree as scripts are to see it."""


class UncoveredScript(NamedTuple):
    """A script that is to run."""

    report: ScriptReport
    text: bytes
    arguments: tuple[str, ...]


class ScriptRoom(NamedTuple):
    """What running takes."""

    machine: ScriptMachine
    epoch: int
    """Unix seconds, given as SOURCE_DATE_EPOCH."""


def run_scripts(draft: Draft, scripts: tuple[UncoveredScript, ...], show: ShowTree, room: ScriptRoom) -> tuple[ScriptReport, ...]:
    """Run `scripts` and write what they leave into `draft`; their reports say that they ran.

    Raises ConfigurationError: `script-failed` (with the last lines it printed), `script-not-reproducible` (paths that came out
    differently), `script-removes-path` (what a package ships cannot go); and what the machine raises.
    """
    calls = [_call(number, script, room.epoch) for number, script in enumerate(scripts)]
    runs = room.machine.run(show(), calls)
    _check_ends(scripts, runs)
    again = room.machine.run(show(), calls)
    _check_ends(scripts, again)
    found = _Changes(draft, runs)
    _compare(found, _Changes(draft, again), scripts)
    found.write()
    return tuple(script.report._replace(state=State.RAN, why="", line=0) for script in scripts)


def _call(number: int, script: UncoveredScript, epoch: int) -> ScriptCall:
    name, kind = script.report.package, script.report.kind
    environment = {
        "APK_PACKAGE": name,
        "APK_SCRIPT": kind,
        "HOME": "/root",
        "LC_ALL": "C",
        "PATH": _PATH,
        "SOURCE_DATE_EPOCH": str(epoch),
        "TZ": "UTC",
    }
    return ScriptCall(f"{number}.{name}.{kind}", script.text, script.arguments, tuple(sorted(environment.items())))


def _check_ends(scripts: tuple[UncoveredScript, ...], runs: ScriptRuns) -> None:
    for script, end in zip(scripts, runs.ends, strict=False):
        if end.exit_code:
            raise _failed(script, end)


def _failed(script: UncoveredScript, end: ScriptEnd) -> ConfigurationError:
    package, kind = script.report.package, script.report.kind
    message = f"the {kind} script of {package} ended with exit code {end.exit_code} in the sandbox"
    origin = Origin(kind, package=package)
    hint = "`--scripts=report` builds without it and only tells of it"
    return ConfigurationError(message, reason="script-failed", origin=origin, details=end.output, hint=hint)


class _Changes:
    """What a run changed, without what an image does not keep and what is as it was.  Times are left out: rules write 0."""

    def __init__(self, draft: Draft, runs: ScriptRuns) -> None:
        self._draft = draft
        self.items = {item.entry.path: item for item in map(self._owned, runs.changed) if self._counts(item)}
        self.removed = tuple(path for path in runs.removed if not _is_forgotten(path) and draft.exists(path))

    def described(self) -> Mapping[str, object]:
        return self.items | dict.fromkeys(self.removed)

    def write(self) -> None:
        """Into the draft.  Raises ConfigurationError `script-removes-path`."""
        self._refuse_removals()
        for path in self.removed:
            self._draft.forget(path)
        for path, item in self.items.items():
            present = self._draft.entry(path)
            if present is not None and _same_but_metadata(present, item, self._content(path, present)):
                metadata = {"mode": item.entry.mode, "uid": item.entry.uid, "gid": item.entry.gid}
                self._draft.change(RULE, path, **metadata)
            else:
                self._draft.put(RULE, item.entry, item.content)

    def _refuse_removals(self) -> None:
        faults = FaultCollector.empty()
        for path in self.removed:
            package = self._draft.packages.package(path) if self._draft.packages.entry(path) is not None else ""
            if package:
                message = f"a script removed `/{path}`, which its package's record would still name"
                faults.add(ConfigurationError(message, reason="script-removes-path", origin=Origin(package=package, member=path)))
        faults.raise_if_any()

    def _owned(self, item: ChangedPath) -> ChangedPath:
        """The change with a time of 0 and, where the machine cannot tell owners, the owner it had."""
        entry = item.entry._replace(mtime=0, xattrs=())
        if not item.owned:
            present = self._draft.entry(entry.path)
            entry = entry._replace(uid=present.uid if present else 0, gid=present.gid if present else 0)
        if entry.type is EntryType.SYMLINK:
            entry = entry._replace(mode=0o777)
        return ChangedPath(entry, item.content)

    def _counts(self, item: ChangedPath) -> bool:
        entry = item.entry
        if _is_forgotten(entry.path) or entry.type in (EntryType.CHARACTER, EntryType.BLOCK, EntryType.FIFO):
            return False
        present = self._draft.entry(entry.path)
        if present is None or (present.mode, present.uid, present.gid) != (entry.mode, entry.uid, entry.gid):
            return True
        return not _same_but_metadata(present, item, self._content(entry.path, present))

    def _content(self, path: str, present: Entry) -> bytes:
        return self._draft.read(path) if present.type in (EntryType.FILE, EntryType.HARDLINK) else b""


def _same_but_metadata(present: Entry, item: ChangedPath, content: bytes) -> bool:
    entry = item.entry
    if entry.type in (EntryType.FILE, EntryType.HARDLINK) and present.type in (EntryType.FILE, EntryType.HARDLINK):
        return entry.type is EntryType.HARDLINK or content == item.content
    return (present.type, present.target) == (entry.type, entry.target)


def _compare(first: _Changes, second: _Changes, scripts: tuple[UncoveredScript, ...]) -> None:
    one, other = first.described(), second.described()
    differing = [path for path in sorted(one.keys() | other.keys()) if one.get(path, ()) != other.get(path, ())]
    if differing:
        names = ", ".join(dict.fromkeys(script.report.package for script in scripts))
        message = f"the scripts of {names} do not leave the same twice"
        details = [f"/{path}" for path in differing[:10]]
        hint = "have the package ship what its script makes, or build with `--scripts=report`"
        raise ConfigurationError(message, reason="script-not-reproducible", details=details, hint=hint)


def _is_forgotten(path: str) -> bool:
    return path in _FORGOTTEN or path.startswith(tuple(f"{name}/" for name in _FORGOTTEN))


def tree_items(entries: Iterable[Entry], content: Callable[[str], Iterator[bytes]]) -> Iterator[TreeItem]:
    """Entries of a finished tree with their contents."""
    for entry in entries:
        yield entry, content(entry.path) if entry.type is EntryType.FILE else ()
