"""What the three commands on apk files share: opening a file and telling packages from indexes."""

from __future__ import annotations

import os

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from apkiln.cli.context import Context
    from apkiln.formats.apk.keys import Keyring

PACKAGE, INDEX = "package", "index"
_KEY_LIMIT = 64 * 1024


def open_file(name: str, context: Context) -> BinaryIO:
    """A seekable reader.  Raises UnavailableError (`missing-file`, `is-directory`), EnvironmentFault (`no-permission`)."""
    from apkiln.system.reading import open_file as open_for_reading

    return open_for_reading(os.path.join(context.settings.working_directory, name))


def kind_of(name: str, stream: BinaryIO, context: Context) -> str:
    """`package` or `index`, by what is inside; the stream is at offset 0 before and after.

    FormatError `unknown-file`, `format-v3`; faults of the first headers are left to the real reader, which decides by name.
    """
    from apkiln.formats.apk.control import SCRIPTS
    from apkiln.formats.archive.tar_reader import TarReader
    from apkiln.formats.archive.tar_rules import COMPAT
    from apkiln.formats.gzip import GzipMembers

    start = stream.read(4)
    stream.seek(0)
    origin = Origin(source=name)
    if start[:3] == b"ADB":
        raise FormatError("this is a file of apk format version 3", reason="format-v3", origin=origin)
    if start[:2] != b"\x1f\x8b":
        if len(start) > 1 and start[1:2] == b":":
            return INDEX
        raise FormatError("this is neither an apk package nor an index", reason="unknown-file", origin=origin)
    limits = context.settings.limits
    members = GzipMembers(stream, limits)
    try:
        for _ in range(2):
            reader = TarReader(members.member("", limits.data_decompressed), COMPAT, limits)
            entry = reader.next_entry()
            while entry is not None and entry.path.startswith(".SIGN."):
                entry = reader.next_entry()
            if entry is not None:
                known = {".PKGINFO", *(f".{script}" for script in SCRIPTS)}
                return INDEX if entry.path in ("APKINDEX", "DESCRIPTION") else PACKAGE if entry.path in known else _by_name(name)
    except FormatError:
        pass
    finally:
        stream.seek(0)
    return _by_name(name)


def _by_name(name: str) -> str:
    return INDEX if "APKINDEX" in name else PACKAGE


def read_keyring(names: list[str], context: Context) -> Keyring:
    """The keys in these files; each is named like its file.  FormatErrors of `parse_public_key`."""
    from pathlib import Path

    from apkiln.formats.apk.keys import Keyring, parse_public_key
    from apkiln.system.files import DiskFiles

    files = DiskFiles()
    paths = [Path(context.settings.working_directory, name) for name in names]
    return Keyring.of(parse_public_key(path.name, files.read(path, _KEY_LIMIT)) for path in paths)
