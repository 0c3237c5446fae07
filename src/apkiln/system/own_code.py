"""Which code of the product is running, for results that are kept beyond it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import apkiln


def code_state(folders: Iterable[str]) -> str:
    """Names, sizes and times of change of the files below some folders of the product: other code has another state, as long
    as it is in files.  Cost: one look at each file, some 3 µs."""
    root = os.path.dirname(apkiln.__file__)
    found: list[str] = []
    pending = [os.path.join(root, folder) for folder in folders]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.name == "__pycache__":
                        continue
                    if entry.is_dir():
                        pending.append(entry.path)
                    else:
                        status = entry.stat()
                        found.append(f"{entry.path[len(root) :]} {status.st_size} {status.st_mtime_ns}")
        except OSError:
            continue  # not in files of its own: the version of the product tells it from others
    return "\n".join(sorted(found))
