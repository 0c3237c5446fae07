"""What a path must look like according to whoever answers for it, and the comparison with what is there."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.attributes import attributes_digest
from apkiln.formats.archive.entry import EntryType
from apkiln.image.audit.findings import Violation
from apkiln.image.audit.layered_tree import Found


class Expectation(NamedTuple):
    """Every field that is None is not stated and not compared."""

    answers: str
    """Package (`name-version`) or rule."""
    type: EntryType | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    sha256: bytes | None = None
    """Of a FILE's content."""
    recorded: bytes | None = None
    """20 bytes from the installed database: SHA-1 of content or link target, see `truncated_sha256`; b"" = none recorded."""
    truncated_sha256: bool = False
    target: str | None = None
    """Text of a symlink."""
    joined_with: str | None = None
    """Path that a hard link is another name of."""
    device: tuple[int, int] | None = None
    xattrs: tuple[tuple[str, bytes], ...] | None = None
    attributes: bytes | None = None
    """Digest of the extended attributes as the installed database has it; b"" = there must be none."""
    by_package: bool = False


def compare(path: str, wanted: Expectation, found: Found) -> Iterator[Violation]:
    """Every difference as a violation: `type` (then nothing else), `mode`, `owner`, `size`, `content`, `no-checksum`,
    `link-target`, `device`, `attributes`."""
    package = wanted.answers if wanted.by_package else ""
    entry = found.entry
    if wanted.type is not None and wanted.type is not entry.type:
        yield Violation("type", path, wanted.type.name.lower(), entry.type.name.lower(), package)
        return
    for rule, expected, actual in (*_metadata(wanted, found), *_content(wanted, found)):
        yield Violation(rule, path, expected, actual, package)


def _metadata(wanted: Expectation, found: Found) -> Iterator[tuple[str, str, str]]:
    entry = found.entry
    if wanted.mode is not None and wanted.mode != entry.mode and entry.type is not EntryType.SYMLINK:
        yield "mode", f"{wanted.mode:04o}", f"{entry.mode:04o}"
    uid = entry.uid if wanted.uid is None else wanted.uid
    gid = entry.gid if wanted.gid is None else wanted.gid
    if (uid, gid) != (entry.uid, entry.gid):
        yield "owner", f"{uid}:{gid}", f"{entry.uid}:{entry.gid}"
    if wanted.device is not None and wanted.device != entry.device:
        yield "device", "{}:{}".format(*wanted.device), "{}:{}".format(*entry.device)
    if wanted.xattrs is not None and wanted.xattrs != entry.xattrs:
        yield "attributes", _names(wanted.xattrs), _names(entry.xattrs)
    if wanted.attributes is not None and wanted.attributes != attributes_digest(entry.xattrs):
        yield "attributes", wanted.attributes.hex(), attributes_digest(entry.xattrs).hex()


def _content(wanted: Expectation, found: Found) -> Iterator[tuple[str, str, str]]:
    entry = found.entry
    if wanted.target is not None and wanted.target != entry.target:
        yield "link-target", wanted.target, entry.target
    if wanted.joined_with is not None and wanted.joined_with != found.joined_with:
        yield "link-target", wanted.joined_with, found.joined_with
    if wanted.size is not None and wanted.size != entry.size:
        yield "size", str(wanted.size), str(entry.size)
    if wanted.sha256 is not None and wanted.sha256 != found.sha256:
        yield "content", wanted.sha256.hex(), found.sha256.hex()
    if wanted.recorded is None or entry.type not in (EntryType.FILE, EntryType.SYMLINK):
        return
    actual = found.sha256[:20] if wanted.truncated_sha256 and entry.type is EntryType.FILE else found.sha1
    if not wanted.recorded:
        yield "no-checksum", "a digest in the installed database", ""
    elif wanted.recorded != actual:
        yield "content", wanted.recorded.hex(), actual.hex()


def _names(xattrs: tuple[tuple[str, bytes], ...]) -> str:
    return " ".join(f"{name}={value.hex()}" for name, value in xattrs)
