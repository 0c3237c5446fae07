"""Perl, Python and Ruby modules need the interpreter of the version they were installed for (spec package.md §13.2, 5 to 7)."""

from __future__ import annotations

import re

from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import EntryType
from apkiln.package.analysis.generators.relations import Relations, Scene

_PERL = pattern(r"(?:usr/)?lib/perl([0-9][^/]*)/[^/]*_perl")
_PYTHON = pattern(r"(?:.*/)?python([^/]+)/site-packages")
_RUBY = pattern(r"(?:usr/)?lib/ruby/gems/([0-9])\.([0-9])\.[0-9]/gems")


def perl(scene: Scene, relations: Relations) -> None:
    """`perl~N` for modules below `lib/perlN`, unless `perl` is declared."""
    found = _first(scene, "/perl", _PERL)
    if found is not None and not scene.declares(lambda item: item == "perl"):
        relations.depends.add(f"perl~{found[1]}")


def python(scene: Scene, relations: Relations) -> None:
    """`python-X.Y-base` for the last `site-packages` of the walk, unless some python is declared."""
    version = ""
    for entry in scene.tree.entries:
        if (
            entry.path.endswith("/site-packages")
            and entry.type is EntryType.DIRECTORY
            and (found := _PYTHON.fullmatch(entry.path))
        ):
            version = found[1]
    if version and not scene.declares(lambda item: item.startswith("python")):
        relations.depends.add(f"python-{version}-base")


def ruby(scene: Scene, relations: Relations) -> None:
    """`ruby-A.B` for gems, unless some ruby is declared."""
    found = _first(scene, "/ruby/gems/", _RUBY)
    if found is not None and not scene.declares(lambda item: item == "ruby" or item.startswith("ruby-")):
        relations.depends.add(f"ruby-{found[1]}.{found[2]}")


def _first(scene: Scene, mark: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """The first path of the walk that matches; `mark` stands in all that do."""
    return next((match for entry in scene.tree.entries if mark in entry.path and (match := pattern.fullmatch(entry.path))), None)
