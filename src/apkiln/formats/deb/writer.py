"""`.deb` files, package lists and release files written: the other half of the readers, for twins and made-up suites."""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Iterable, Sequence
from email.utils import formatdate

from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deb.ar import MAGIC
from apkiln.formats.deb.deb822 import Stanza, write_stanza
from apkiln.formats.deb.md5sums import write_md5sums

Members = Sequence[tuple[Entry, bytes]]


def write_deb(
    fields: Stanza, data: Members, *, scripts: Iterable[tuple[str, bytes]] = (), compression: str = ".xz", mtime: int = 0
) -> bytes:
    """A `.deb` with the control fields, the data members in the order given, and `md5sums` of its files.

    `scripts`: further control files; one named `md5sums` takes the place of ours.  `compression`: ``, `.gz`, `.xz` or `.zst`,
    for both archives.
    """
    rows = tuple((entry.path, _md5(content)) for entry, content in data if entry.type is EntryType.FILE)
    control = {"control": write_stanza(fields), "md5sums": write_md5sums(rows)} | dict(scripts)
    members = [(Entry(name, EntryType.FILE, size=len(control[name]), mtime=mtime), control[name]) for name in sorted(control)]
    return write_ar(
        (
            ("debian-binary", b"2.0\n"),
            (f"control.tar{compression}", compress(tar_writer.archive(members), compression)),
            (f"data.tar{compression}", compress(tar_writer.archive(data, tar_writer.LAYER), compression)),
        )
    )


def write_ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An `ar` archive, members in the order given, owner and times zero."""
    parts = [MAGIC]
    for name, content in members:
        parts += [b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(content)), content]
        parts.append(b"\n" if len(content) % 2 else b"")
    return b"".join(parts)


def compress(content: bytes, compression: str) -> bytes:
    """Content as one stream of a `.deb`'s compression."""
    match compression:
        case "":
            return content
        case ".gz":
            compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
            return compressor.compress(content) + compressor.flush()
        case ".xz":
            return lzma.compress(content, preset=0)
        case ".zst":
            from backports import zstd

            return zstd.compress(content)
        case _:
            raise ValueError(f"unknown compression {compression!r}")


def package_stanza(control: Stanza, deb: bytes, filename: str) -> Stanza:
    """The entry of a `.deb` in a package list."""
    further = (("Filename", filename), ("Size", str(len(deb))), ("SHA256", hashlib.sha256(deb).hexdigest()))
    return Stanza((*control.fields, *further))


def write_package_list(stanzas: Iterable[Stanza]) -> bytes:
    """A `Packages` file."""
    return b"\n".join(write_stanza(stanza) for stanza in stanzas)


def write_release(
    suite: str, lists: Iterable[tuple[str, bytes]], *, date: int, origin: str = "Debian", valid_until: int = 0
) -> bytes:
    """The body of a release file over `lists`, (path, content) each; times in Unix seconds, 0 = not stated."""
    rows = "".join(f"\n{hashlib.sha256(content).hexdigest()} {len(content)} {path}" for path, content in lists)
    fields = [("Origin", origin), ("Label", origin), ("Suite", suite), ("Codename", suite), ("Date", _date(date))]
    if valid_until:
        fields.append(("Valid-Until", _date(valid_until)))
    return write_stanza(Stanza((*fields, ("Components", "main"), ("SHA256", rows))))


def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True).replace("GMT", "UTC")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
