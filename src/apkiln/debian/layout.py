"""The base layout: the links of the merged `/usr` and the account files, which no Debian package ships (spec debian.md §9, §8).

Debian's installer makes the links, and `base-passwd` copies its master files when it is set up.  Here one small generated
package owns them, made from the suite's own `base-passwd`.
"""

from __future__ import annotations

from apkiln.debian.file_tree import FileTree, build_tree
from apkiln.formats.archive.entry import Entry, EntryType

LAYOUT = "debian-base-layout"
"""Name of the generated package."""
LAYOUT_SOURCE = "base-passwd"
"""Package whose master files become `/etc/passwd` and `/etc/group`."""
IDENTITY = "base-files"
"""Package that says which distribution it is; the layout depends on it, so every image has it."""
LAYOUT_REVISION = 1
"""Added to the revision of the layout's version; raise it when the layout of the same source changes."""

_FURTHER = {
    "x86_64": ("lib32", "lib64", "libx32"),
    "x86": ("lib64", "libx32"),
    "ppc64le": ("lib64",),
    "s390x": ("lib32",),
    "loongarch64": ("lib64",),
}
"""Links beside bin, sbin, lib, by apk architecture: those Debian's installer makes."""
_ACCOUNTS = (("usr/share/base-passwd/group.master", "etc/group"), ("usr/share/base-passwd/passwd.master", "etc/passwd"))


def layout_tree(arch: str, source: FileTree | None, newest: int) -> FileTree:
    """Links and account files for an architecture (apk name); without a `source` tree there are no account files."""
    links = ("bin", "lib", "sbin", *_FURTHER.get(arch, ()))
    members = [(Entry(f"usr/{name}", EntryType.DIRECTORY, 0o755, mtime=newest), b"") for name in links]
    # A link of this name is dropped when a Debian package ships it, because it belongs here.
    members += [(Entry(name, EntryType.SYMLINK, 0o777, mtime=newest, target=f"usr/{name}"), b"") for name in links]
    for master, path in _ACCOUNTS:
        content = source.contents.get(master) if source is not None else None
        if content is not None:
            members.append((Entry(path, EntryType.FILE, 0o644, size=len(content), mtime=newest), content))
    return build_tree(members, LAYOUT, newest, keep_root_links=True)


def layout_version(source_version: str) -> str:
    """The layout's version from the apk version of its source; `1-r<n>` without one."""
    label, _, revision = source_version.rpartition("-r")
    return f"{label}-r{int(revision) + LAYOUT_REVISION}" if label else f"1-r{LAYOUT_REVISION}"
