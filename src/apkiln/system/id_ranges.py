"""Which user and group ids a sandbox may have inside, and which ids of the machine they are (spec package.md §9.3)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value

MANY = 65_536
"""Ids inside: 0 to 65,535."""


class IdRange(NamedTuple):
    """`length` ids from `inside` on are the machine's ids from `outside` on."""

    inside: int
    outside: int
    length: int


@value
class IdMapping:
    """How ids inside and outside belong together."""

    users: tuple[IdRange, ...]
    groups: tuple[IdRange, ...]
    programs: tuple[str, str] = ("", "")
    """`newuidmap` and `newgidmap`; empty = the mapping may be written without them."""
    why_single: str = ""
    """Why there is one id only; empty when there are many."""

    @property
    def is_single(self) -> bool:
        return bool(self.why_single)


def subordinate_range(text: str, names: tuple[str, ...]) -> tuple[int, int] | None:
    """First id and count of the first range of at least 65,535 ids that `/etc/subuid` gives to one of `names`."""
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in names and fields[1].isdecimal() and fields[2].isdecimal():
            first, count = int(fields[1]), int(fields[2])
            if count >= MANY - 1:
                return first, count
    return None


def machine_mapping(search_path: str) -> IdMapping:
    """The mapping for this process: as root every id is itself; otherwise root inside is the caller, and the others come from
    `/etc/subuid` and `/etc/subgid`.  Where that is not possible the only id inside is the caller's, as root."""
    if os.geteuid() == 0:
        counts = [_own_count(path) for path in ("/proc/self/uid_map", "/proc/self/gid_map")]
        why = "the ids of this container are limited to one" if min(counts) == 1 else ""
        return IdMapping((IdRange(0, 0, counts[0]),), (IdRange(0, 0, counts[1]),), why_single=why)
    programs = tuple(shutil.which(name, path=search_path) or "" for name in ("newuidmap", "newgidmap"))
    ranges = [_own_range(path) for path in ("/etc/subuid", "/etc/subgid")]
    if all(programs) and all(ranges):
        uids, gids = (_mapped(own, found) for own, found in zip((os.geteuid(), os.getegid()), ranges, strict=True) if found)
        return IdMapping(uids, gids, (programs[0], programs[1]))
    why = "`newuidmap` was not found" if not all(programs) else "`/etc/subuid` and `/etc/subgid` give this user no 65,536 ids"
    return IdMapping((IdRange(0, os.geteuid(), 1),), (IdRange(0, os.getegid(), 1),), why_single=why)


def _mapped(own: int, found: tuple[int, int]) -> tuple[IdRange, ...]:
    return IdRange(0, own, 1), IdRange(1, found[0], MANY - 1)


def _own_range(path: str) -> tuple[int, int] | None:
    try:
        text = Path(path).read_text()
    except OSError:
        return None
    return subordinate_range(text, (str(os.geteuid()), _user_name()))


def _own_count(path: str) -> int:
    """How many ids, from 0 on, this process's own namespace has."""
    for line in Path(path).read_text().splitlines():
        inside, _outside, count = map(int, line.split())
        if inside == 0:
            return min(count, MANY)
    return 1


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
