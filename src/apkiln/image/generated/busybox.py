"""Links for the applets of busybox (spec image.md §5.1 step 14).

A package's own list `/etc/busybox-paths.d/<package>` decides; without one the links that a usual build of busybox makes.
"""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft

RULE = "busybox-links"
BINARY = "bin/busybox"
LISTS = "etc/busybox-paths.d"
_TARGET = "/bin/busybox"


def busybox_links(draft: Draft, package_names: Iterable[str]) -> None:
    """Rule `busybox-links`: only when `/bin/busybox` exists; paths that exist already are kept.

    `package_names`: installed packages that are busybox or provide it; the first with a list decides.  Missing directories
    and the links get the time of the busybox file, so nothing here depends on the moment of the build.
    """
    place = draft.file_at(BINARY)
    if not place:
        return
    entry = draft.entry(place)
    mtime = entry.mtime if entry is not None else 0
    for wanted in _wanted(draft, package_names):
        path = draft.resolve_parent(wanted)
        if not draft.exists(path) and path != place:
            _make_parents(draft, path, mtime)
            draft.put(RULE, Entry(path, EntryType.SYMLINK, 0o777, mtime=mtime, target=_TARGET))


def is_busybox(name: str, provides: str) -> bool:
    """Whether a package counts as busybox: by name, or by a provided name that holds the word."""
    return name == "busybox" or "busybox" in provides


def _wanted(draft: Draft, package_names: Iterable[str]) -> tuple[str, ...]:
    for name in package_names:
        path = f"{LISTS}/{name}"
        if draft.file_at(path):
            lines = draft.read(path).decode("utf-8", "replace").splitlines()
            return tuple(text for text in (line.strip().strip("/") for line in lines) if text)
    from apkiln.image.generated.busybox_applets import APPLETS

    return APPLETS


def _make_parents(draft: Draft, path: str, mtime: int) -> None:
    parts = path.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        directory = "/".join(parts[:depth])
        if not draft.exists(directory):
            draft.put(RULE, Entry(directory, EntryType.DIRECTORY, 0o755, mtime=mtime))
