"""Directories and device nodes every image has, and the fixed files of apk's own directory (spec image.md §5.1, steps 2, 6, 15).

They have the lowest priority: what a package ships at the same path stays, so a package's `proc` symlink is possible.
"""

from __future__ import annotations

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft

DIRECTORIES = (
    ("dev", 0o755),
    ("etc", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("etc/apk", 0o755),
    ("etc/apk/keys", 0o755),
    ("usr/lib/apk/db", 0o755),
    ("usr/lib/apk/exec", 0o755),
    ("var/cache/apk", 0o755),
    ("var/cache/misc", 0o755),
)
DEVICES = (
    ("dev/console", (5, 1), 0o620),
    ("dev/null", (1, 3), 0o666),
    ("dev/random", (1, 8), 0o666),
    ("dev/urandom", (1, 9), 0o666),
    ("dev/zero", (1, 5), 0o666),
)
DATABASE = "usr/lib/apk/db"
"""Where the installed database lies; `lib/apk` leads there."""
_LINK = "lib/apk"
_OLD_DATABASE = "lib/apk/db"
OWN_DATABASE = "usr/share/apkiln/database"
"""Where it lies in images of imported packages, which scanners are to know by their own distribution's data alone."""
_FOREIGN_DATA = "var/lib/dpkg/status.d"
_CLIENTS = ("usr/sbin/apk", "usr/bin/apk", "sbin/apk")


def base_directories(draft: Draft) -> None:
    """Rule `base-directories`: each directory that no package ships."""
    database = database_directory(draft)
    for path, mode in (*DIRECTORIES, (database, 0o755)):
        if database != DATABASE and path.startswith("usr/lib/apk/"):
            continue
        place = draft.resolve(path)
        if place and not draft.exists(place):
            draft.put("base-directories", Entry(place, EntryType.DIRECTORY, mode))


def database_directory(draft: Draft) -> str:
    """Where the database is: `usr/lib/apk/db`, with two exceptions.

    A base image may have a real directory `lib/apk/db` with one.  An image of imported packages has it where scanners do not
    look, or they would tell of every package twice, once by a version that nobody's advisories know (spec debian.md §10);
    unless it has `apk` itself, which looks in one place only.
    """
    if draft.packages.peek(f"{_OLD_DATABASE}/installed") is not None:
        return _OLD_DATABASE
    usual = (f"{DATABASE}/installed", *_CLIENTS)
    hidden = draft.packages.peek(_FOREIGN_DATA) is not None and all(draft.packages.peek(path) is None for path in usual)
    return OWN_DATABASE if hidden else DATABASE


def device_nodes(draft: Draft) -> None:
    """Rule `device-nodes`: the five nodes, unless a package ships the path."""
    for path, device, mode in DEVICES:
        if not draft.exists(path):
            draft.put("device-nodes", Entry(path, EntryType.CHARACTER, mode, device=device))


def database_link(draft: Draft) -> None:
    """Rule `apk-database-link`: `/lib/apk` → `../usr/lib/apk`, where apk-tools looks, unless `/lib` is `usr/lib` already.

    Empty directories that packages ship there give way: they exist behind the link.  Raises ConflictError
    (`directory-not-empty`) when packages put files below `/lib/apk`.
    """
    if draft.resolve(_LINK) == "usr/lib/apk" or database_directory(draft) != DATABASE:
        return
    place = draft.resolve_parent(_LINK)
    entry = draft.entry(place)
    link = Entry(place, EntryType.SYMLINK, 0o777, target="../usr/lib/apk")
    if entry is not None and entry.type is EntryType.DIRECTORY:
        draft.put_over_directories("apk-database-link", link)
    else:
        draft.put("apk-database-link", link)
