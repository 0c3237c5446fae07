"""A root that is ready: directories of the tree cache laid over each other, and what must be known of them."""

from __future__ import annotations

import json
from typing import Any

from apkiln.core import canonical_json
from apkiln.core.value import value

RULES = "1"
"""Changes when roots are put together in another way."""
HOME = "home/build"
"""Where the workspace is shown; kept as a directory in every root, as are the next ones."""
CACHE = "var/cache/melange"
MOUNT_POINTS = ("proc", "dev", "sys", "tmp", "run", HOME, CACHE)


@value
class GuestTrees:
    """What the tree cache holds of a root."""

    keys: tuple[str, ...]
    """Trees, the uppermost first."""
    users: tuple[tuple[int, str], ...]
    """Names by number, from its `etc/passwd`."""
    groups: tuple[tuple[int, str], ...]
    shell: str
    """What runs scripts, in words: `/bin/sh`, or `/bin/bash` or `/bin/busybox sh` where that knows no `pipefail`.
    Empty: the root has no shell."""
    loader: bool
    """It has `/sbin/ldconfig`."""


def encode_trees(trees: GuestTrees) -> bytes:
    return canonical_json.encode([trees.keys, trees.users, trees.groups, trees.shell, trees.loader])


def decode_trees(row: bytes) -> GuestTrees:
    keys, users, groups, shell, loader = json.loads(row)
    return GuestTrees(tuple(keys), _names(users), _names(groups), shell, loader)


def _names(rows: list[Any]) -> tuple[tuple[int, str], ...]:
    return tuple((number, name) for number, name in rows)


def names_by_number(account_file: bytes) -> tuple[tuple[int, str], ...]:
    """(number, name) of the lines of `passwd` or `group`, sorted; of several names for one number the first."""
    found: dict[int, str] = {}
    for line in account_file.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] and fields[2].isdecimal():
            found.setdefault(int(fields[2]), fields[0])
    return tuple(sorted(found.items()))
