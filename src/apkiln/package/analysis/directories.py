"""Whether a path lies in one of a set of directories."""

from __future__ import annotations

from collections.abc import Iterable


def lies_in(path: str, directories: Iterable[str]) -> bool:
    """Whether `path` lies directly in one of them; a directory ending in `/...` counts at any depth below it."""
    above = path.rpartition("/")[0]
    for directory in directories:
        if directory.endswith("/..."):
            if path.startswith(directory[:-3]):
                return True
        elif above == directory.rstrip("/"):
            return True
    return False
