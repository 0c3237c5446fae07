"""Where files may lie (spec package.md §14)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import EntryType
from apkiln.package.analysis.linters.scene import SBOM, LintScene, Report, listed

_INDEX = "usr/share/info/dir"
_MERGED = ("bin", "sbin", "usr/sbin", "lib", "lib64")
_BELOW_MERGED = tuple(f"{name}/" for name in _MERGED)
_TEMPORARY = ("tmp/", "var/tmp/", "var/run/", "run/")
_PACKED = r"(?:\.(?:gz|bz2|xz|zst|lzma|Z|lz4))?"
_MANUAL = pattern(r"usr/(?:share/|local/share/)?man/man[0-9][^/]*/[^/]+\.[0-9][^/]*")
_INFORMATION = pattern(rf"usr/(?:local/)?share/info/(?:dir|[^/]+\.info(?:-[0-9]+)?{_PACKED})")
_READ_ME = pattern(r"(?:README|READ\.ME|TODO|CREDITS)|.+\.(?:md|doc|docx|rst|[0-9][a-z])")


def dev(scene: LintScene) -> Iterator[Report]:
    return listed(scene.below("dev/"), "has files below `/dev`, which the system makes")


def info_directory(scene: LintScene) -> Iterator[Report]:
    found = [path for path in scene.files if path == _INDEX or path.startswith(f"{_INDEX}/")]
    return listed(found, "has the common directory of info pages, which every such package would have")


def temporary(scene: LintScene) -> Iterator[Report]:
    """`tmp`, `var/tmp`, `var/run`, `run`: what is there at run time hides what a package put there."""
    announced = any(entry.path.startswith("usr/lib/tmpfiles.d/") for entry in scene.tree.entries)

    def is_wrong(path: str, is_directory: bool) -> bool:
        if not path.startswith(_TEMPORARY):
            return False
        if path.startswith("var/run/"):
            return True
        if path.startswith("run/"):
            return not (is_directory and announced)
        return not is_directory

    found = (entry.path for entry in scene.tree.entries if is_wrong(entry.path, entry.type is EntryType.DIRECTORY))
    return listed(found, "writes to directories of temporary files")


def merged_usr(scene: LintScene) -> Iterator[Report]:
    """The old places may only be links."""
    found = (
        entry.path
        for entry in scene.tree.entries
        if entry.path.startswith(_BELOW_MERGED) or (entry.path in _MERGED and entry.type is not EntryType.SYMLINK)
    )
    return listed(found, "has paths that belong below `/usr/bin` and `/usr/lib`")


def empty_variable(scene: LintScene) -> Iterator[Report]:
    return listed(scene.below("var/empty/"), "has files in `/var/empty`")


def opt(scene: LintScene) -> Iterator[Report]:
    return _local(scene, "opt/")


def srv(scene: LintScene) -> Iterator[Report]:
    return _local(scene, "srv/")


def usr_local(scene: LintScene) -> Iterator[Report]:
    return _local(scene, "usr/local/")


def _local(scene: LintScene, directory: str) -> Iterator[Report]:
    if not scene.is_one_of("-compat"):
        yield from listed(scene.below(directory), f"has files below `/{directory.rstrip('/')}`, which is the administrator's")


def manual_pages(scene: LintScene) -> Iterator[Report]:
    if not scene.is_one_of("-doc"):
        found = [*scene.matching(_MANUAL, "usr/"), *scene.matching(_INFORMATION, "usr/")]
        yield from listed(found, "has manual or info pages and is no documentation package")


def documentation(scene: LintScene) -> Iterator[Report]:
    if not scene.is_one_of("-doc"):
        found = [path for path in scene.files if _READ_ME.fullmatch(path.rpartition("/")[2])]
        yield from listed(found, "has documentation and is no documentation package")


def bills(scene: LintScene) -> Iterator[Report]:
    found = [path for path in scene.below(SBOM) if not path.endswith(".spdx.json")]
    return listed(found, f"has files in `/{SBOM}` that are no SPDX documents")


def empty(scene: LintScene) -> Iterator[Report]:
    """A package without files is right when it exists for its relations."""
    dependencies = scene.part.dependencies
    is_meta = dependencies.runtime or dependencies.provides or scene.part.options.no_provides
    if not is_meta and all(path.startswith(SBOM) for path in scene.files):
        yield Report("has no files")


def file_conflict(scene: LintScene) -> Iterator[Report]:
    """Packages of one build that could not be installed together, although nothing says so."""
    own = set(scene.files)
    for sibling in scene.siblings:
        if sibling.package <= scene.name or own.isdisjoint(sibling.others):
            continue
        if not _is_apart(scene, sibling.package):
            yield from listed(own.intersection(sibling.others), f"has files that `{sibling.package}` has, too")


def _is_apart(scene: LintScene, other: str) -> bool:
    """Whether the two packages are made for not being installed together, or one takes over from the other."""
    from apkiln.package.definition.parts import part_named

    part = part_named(scene.definition, other)
    if part is None:
        return False
    pairs = ((scene.part, part), (part, scene.part))
    for one, two in pairs:
        names = {two.name, *(_bare(item.text) for item in two.dependencies.provides)}
        if any(_bare(item.text) in names for item in one.dependencies.replaces):
            return True
        if any(item.text.startswith("!") and _bare(item.text[1:]) in names for item in one.dependencies.runtime):
            return True
    versioned = [{_bare(item.text) for item in side.dependencies.provides if "=" in item.text} for side in (scene.part, part)]
    return bool(versioned[0] & versioned[1])


def _bare(item: str) -> str:
    return re.split(r"[=<>~@]", item, maxsplit=1)[0]


def case_collision(scene: LintScene) -> Iterator[Report]:
    seen: dict[str, str] = {}
    found: set[str] = set()
    for entry in scene.tree.entries:
        other = seen.setdefault(entry.path.casefold(), entry.path)
        if other != entry.path:
            found |= {other, entry.path}
    return listed(found, "has paths that differ in capitals only")
