"""What files and links hold (spec package.md §14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.archive.path import resolve_target
from apkiln.package.analysis.facts import BUILD_PATH, PLAIN_TEXT
from apkiln.package.analysis.linters.scene import LintScene, Report, listed

_LICENCE_NAME = pattern(
    r"(?i)(?:un)?licen[cs]e(?:[-._].*)?|copying(?:[-.].*)?|.+-(?:licen[cs]e|copying)(?:\..*)?|(?:copyright|ofl|patents)(?:\..*)?"
)
_OF_THE_SYSTEM = ("dev/", "proc/", "run/", "sys/", "tmp/", "var/run/")
_UNITS = ("B", "kB", "MB", "GB", "TB")


def duplicates(scene: LintScene) -> Iterator[Report]:
    """Copies under one name; names of one file are no copies."""
    groups: defaultdict[tuple[str, bytes, int], list[str]] = defaultdict(list)
    for entry, facts in scene.tree.examined():
        name = entry.path.rpartition("/")[2]
        if facts.sha256 and entry.type is EntryType.FILE and not _LICENCE_NAME.fullmatch(name):
            groups[name, facts.sha256, entry.size].append(entry.path)
    found = [(name, size, sorted(paths)) for (name, _, size), paths in groups.items() if len(paths) > 1]
    found.sort(key=lambda group: (-group[1] * (len(group[2]) - 1), group[0], group[2]))
    wasted = sum(size * (len(paths) - 1) for _, size, paths in found)
    rows = tuple(
        (
            ("basename", name),
            ("count", len(paths)),
            ("size_bytes", size),
            ("size", human(size)),
            ("wasted_bytes", size * (len(paths) - 1)),
            ("wasted_size", human(size * (len(paths) - 1))),
            ("paths", tuple(paths)),
        )
        for name, size, paths in found
    )
    if found:
        totals = (("total_duplicate_sets", len(found)), ("total_wasted_bytes", wasted), ("total_wasted_size", human(wasted)))
        paths = tuple(sorted(path for group in found for path in group[2]))
        yield Report(f"has copies of files that take {human(wasted)}", paths, "duplicates", rows, totals)


def human(size: int) -> str:
    """A size for people, in the largest unit that fits: below 10 with one decimal, else whole."""
    unit = 0
    while size >= 1000 ** (unit + 1) and unit < len(_UNITS) - 1:
        unit += 1
    tenths = (size * 10 * 2 // 1000**unit + 1) // 2
    if unit == 0 or tenths >= 100:
        return f"{(tenths + 5) // 10} {_UNITS[unit]}"
    return f"{tenths // 10}.{tenths % 10} {_UNITS[unit]}"


def dangling_links(scene: LintScene) -> Iterator[Report]:
    """Links to what neither this package nor another one of the build has; what a running system makes is left out."""

    def dangles(path: str, target: str) -> bool:
        place = resolve_target(path, target)
        if place is None:
            return True
        if not place or f"{place}/".startswith(_OF_THE_SYSTEM) or scene.tree.resolve(path) is not None:
            return False
        return all(tree.resolve(place) is None for tree in scene.siblings)

    found = (entry.path for entry in scene.tree.entries if entry.type is EntryType.SYMLINK and dangles(entry.path, entry.target))
    return listed(found, "has links to what none of the packages of the build has")


def absolute_links(scene: LintScene) -> Iterator[Report]:
    found = (entry.path for entry in scene.tree.entries if entry.type is EntryType.SYMLINK and entry.target.startswith("/"))
    return listed(found, "has links with absolute targets")


def build_paths(scene: LintScene) -> Iterator[Report]:
    found = (entry.path for entry, facts in scene.tree.examined() if BUILD_PATH in facts.marks)
    return listed(found, "has files that name the directory they were built in")


def missing_first_lines(scene: LintScene) -> Iterator[Report]:
    found = (entry.path for entry, facts in scene.tree.examined() if PLAIN_TEXT in facts.marks)
    return listed(found, "has executable texts that do not say by what they are executed")
