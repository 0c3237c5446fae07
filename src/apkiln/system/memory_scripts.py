"""The twin of `system.script_sandbox`: scripts are Python functions, named by their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from apkiln.formats.archive.entry import Entry
from apkiln.system.script_sandbox import ChangedPath, ScriptCall, ScriptEnd, ScriptRuns, TreeItem

Contents = dict[str, tuple[Entry, bytes]]


class MemoryScripts:
    """See `ScriptMachine`.  A script gets the tree by path, changes it, and says how it ended; `calls` are remembered."""

    def __init__(self, programs: Mapping[bytes, Callable[[Contents, ScriptCall], ScriptEnd]]) -> None:
        self._programs = dict(programs)
        self.calls: list[ScriptCall] = []

    def run(self, tree: Iterable[TreeItem], calls: Sequence[ScriptCall]) -> ScriptRuns:
        before = {entry.path: (entry, b"".join(content)) for entry, content in tree}
        after = dict(before)
        ends: list[ScriptEnd] = []
        for call in calls:
            self.calls.append(call)
            ends.append(self._programs[call.text](after, call))
            if ends[-1].exit_code:
                break
        changed = [ChangedPath(*item) for path, item in sorted(after.items()) if before.get(path) != item]
        return ScriptRuns(tuple(ends), tuple(changed), tuple(sorted(before.keys() - after.keys())))
