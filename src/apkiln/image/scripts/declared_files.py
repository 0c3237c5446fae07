"""Configuration that packages drop into directories of systemd's programs: which files count, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.image.generated.draft import Draft

_ROOTS = ("usr/lib", "etc")
"""Later ones win: a file of the same name in `/etc` takes the place of the other."""


def declared_lines(draft: Draft, directory: str, suffix: str = ".conf") -> Iterator[str]:
    """The lines of all files of `/usr/lib/<directory>` and `/etc/<directory>`, files by name, comments left out."""
    found = {}
    for root in _ROOTS:
        for path in draft.children(draft.resolve(f"{root}/{directory}")):
            if path.endswith(suffix):
                found[path.rpartition("/")[2]] = path
    for name in sorted(found):
        # A link to /dev/null switches a file off.
        place = draft.file_at(found[name])
        if not place or place.startswith("dev/"):
            continue
        for line in draft.read(place).decode("utf-8", "replace").splitlines():
            if line.strip() and not line.lstrip().startswith(("#", ";")):
                yield line


def split_quoted(line: str) -> list[str]:
    """Fields of a line, in single or double quotes where they hold white space; [] when a quote stays open."""
    import shlex

    try:
        return shlex.split(line)
    except ValueError:
        return []
