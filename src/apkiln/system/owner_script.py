"""Tells of, and takes over, a tree whose files belong to ids of a user namespace.  Started inside that namespace as a script
of its own; imports nothing of the product.

Arguments: `take` DIR…: for every path below, and the directories themselves, one JSON line `[path, mode, uid, gid, {xattr:
hex}]`, then the path belongs to id 0, which may read and change it.  `give` UID GID DIR…: everything belongs to these ids.
"""

from __future__ import annotations

import json
import os
import stat
import sys


def main(words: list[str]) -> None:
    """See the module."""
    if words[0] == "give":
        user, group = int(words[1]), int(words[2])
        for directory in words[3:]:
            _give(directory, user, group)
    else:
        for directory in words[1:]:
            _take(directory)


def _give(path: str, user: int, group: int) -> None:
    status = os.lstat(path)
    if (status.st_uid, status.st_gid) != (user, group):
        os.chown(path, user, group, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        for name in os.listdir(path):
            _give(os.path.join(path, name), user, group)


def _take(path: str) -> None:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    row = [path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, _attributes(path)]
    sys.stdout.write(json.dumps(row) + "\n")
    if (status.st_uid, status.st_gid) != (0, 0):
        os.chown(path, 0, 0, follow_symlinks=False)
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        wanted = stat.S_IMODE(status.st_mode) & 0o777 | (0o700 if kind == stat.S_IFDIR else 0o600)
        if wanted != stat.S_IMODE(os.lstat(path).st_mode):
            os.chmod(path, wanted)
    if kind == stat.S_IFDIR:
        for name in sorted(os.listdir(path)):
            _take(os.path.join(path, name))


def _attributes(path: str) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}
    except OSError:
        return {}


if __name__ == "__main__":
    main(sys.argv[1:])
