"""A `.deb` by itself: its files after usr-merge, and what it says of itself that has a meaning elsewhere."""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from apkiln.core.arch import from_debian
from apkiln.core.limits import Limits
from apkiln.debian.conversion import unpack
from apkiln.debian.file_tree import FileTree
from apkiln.formats.apk.version import is_valid
from apkiln.formats.deb.copyright import spdx_expression
from apkiln.formats.deb.version import parse_version

_RELEASE = re.compile(r"(\d+)")


class StandaloneDeb(NamedTuple):
    """What a `.deb` tells without its archive."""

    name: str
    version: str
    """The upstream version; empty when apk cannot read it."""
    epoch: int
    """The number that the Debian revision begins with."""
    arch: str
    """apk name; empty for packages of all architectures."""
    description: str
    url: str
    licence: str
    newest: int
    """Newest time in its control member, Unix seconds."""
    tree: FileTree
    left_out: tuple[str, ...]
    """Maintainer scripts, which are not taken over."""


def read_standalone(stream: BinaryIO, source: str, limits: Limits) -> StandaloneDeb:
    """Read and check a `.deb`.  Relations are left out: their names belong to Debian.  Raises what `unpack` raises."""
    unpacked = unpack(stream, source, limits)
    fields = unpacked.control.fields
    version = parse_version(fields.get("Version"))
    revision = _RELEASE.match(version.revision)
    arch = from_debian(fields.get("Architecture"))
    name = fields.get("Package")
    licence = unpacked.tree.contents.get(f"usr/share/doc/{name}/copyright")
    scripts = ("preinst", "postinst", "prerm", "postrm", "config", "triggers")
    return StandaloneDeb(
        name=name,
        version=version.upstream if is_valid(version.upstream) else "",
        epoch=int(revision[1]) if revision else 0,
        arch=arch.apk if arch is not None else "",
        description=fields.get("Description").partition("\n")[0].strip(),
        url=fields.get("Homepage").strip(),
        licence=spdx_expression(licence) if licence is not None else "",
        newest=unpacked.control.newest,
        tree=unpacked.tree,
        left_out=tuple(script for script in scripts if unpacked.control.file(script) is not None),
    )
