"""Scripts of installed packages: `lib/apk/db/scripts.tar`, or `scripts.tar.gz` (spec apk.md §4)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from io import BytesIO

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.control import SCRIPTS
from apkiln.formats.apk.dependency import identity_digest
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import LABELS
from apkiln.formats.archive.tar_writer import archive
from apkiln.formats.gzip import CHUNK, GzipMembers

_NAME = re.compile(r"([^/]+)\.(X1[0-9a-f]{40}|Q1[A-Za-z0-9+/]{27}=)\.([a-z-]+)")


class InstalledScript(NamedTuple):
    """One script."""

    package: str
    """`name-version`."""
    identity: bytes
    """Of the package, 20 bytes."""
    kind: str
    """`post-install` …"""
    text: bytes
    mtime: int = 0
    """The package's build date."""


def read_scripts(
    content: bytes, installed: Container[bytes] | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[InstalledScript, ...]:
    """Scripts in archive order, from a tar or a gzipped one; both forms of entry names are read.

    `installed`: identities of the installed packages.  FormatError: reasons of `GzipMembers` and `TarReader`, and
    `scripts-name`, `scripts-type`, `scripts-too-large`, `scripts-twice`, `scripts-unknown-package`.
    """
    stream = BytesIO(content)
    gzipped = content.startswith(b"\x1f\x8b")
    members = GzipMembers(stream, limits)
    chunks = members.member("scripts", limits.index_decompressed) if gzipped else iter(lambda: stream.read(CHUNK), b"")
    reader = TarReader(chunks, LABELS, limits, section="scripts")
    found: dict[tuple[bytes, str], InstalledScript] = {}
    for entry in reader:
        script = _script(reader, entry, limits)
        if installed is not None and script.identity not in installed:
            raise reader.fault(f"`{script.package}` is not installed", "scripts-unknown-package")
        if (script.identity, script.kind) in found:
            raise reader.fault(f"`{script.package}` has two scripts `{script.kind}`", "scripts-twice")
        found[script.identity, script.kind] = script
    if gzipped:
        members.require_end()
    return tuple(found.values())


def _script(reader: TarReader, entry: Entry, limits: Limits) -> InstalledScript:
    match = _NAME.fullmatch(entry.path)
    identity = identity_digest(match[2]) if match else None
    if match is None or identity is None or match[3] not in SCRIPTS:
        raise reader.fault(f"`{entry.path}` is not the name of a script", "scripts-name")
    if entry.type is not EntryType.FILE:
        raise reader.fault("a script is a regular file", "scripts-type")
    if entry.size > limits.script:
        raise reader.fault(f"a script is larger than {limits.script} bytes", "scripts-too-large")
    return InstalledScript(match[1], identity, match[3], b"".join(reader.content()), entry.mtime)


def write_scripts(scripts: Iterable[InstalledScript]) -> bytes:
    """`scripts.tar` in the given order, entries `<name>-<version>.X1<hex>.<kind>` with mode 0755.

    FormatError `scripts-name` for a package or kind that cannot be part of such a name."""
    members = []
    for script in scripts:
        path = f"{script.package}.X1{script.identity.hex()}.{script.kind}"
        if not _NAME.fullmatch(path) or script.kind not in SCRIPTS:
            origin = Origin(package=script.package)
            raise FormatError(f"{path!r} is not the name of a script", reason="scripts-name", origin=origin)
        members.append((Entry(path, EntryType.FILE, 0o755, size=len(script.text), mtime=script.mtime), script.text))
    return archive(members)
