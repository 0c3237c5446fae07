"""An apk v2 package read once, from first to last byte, with every check (spec apk.md §2, §12)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk import signature
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.control import ControlSection, check_data_hash, control_section
from apkiln.formats.apk.identity import check_control, check_size
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.payload import CHECKSUM
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.archive.structure import Structure
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import Report
from apkiln.formats.gzip import GzipMembers, Hasher


class ContentSink(Protocol):
    """Receives the data section of a package while it is read, in archive order.

    What arrives is verified only when `read_package` returns: a sink keeps it apart until then and drops it when the reader
    raises.  `entry` is called for every path, directories included; `content` follows with the chunks of a FILE (each at
    most 1 MiB, none for an empty file), which together have `entry.size` bytes.
    """

    def entry(self, entry: Entry) -> None: ...

    def content(self, chunk: bytes) -> None: ...


class ContentReceiver(Protocol):
    """The same for those who would rather pull, such as writers of directory trees.

    `add` is called for every path in archive order; `content` gives the chunks of a FILE and nothing otherwise, and may be
    left unread.  Nothing is verified before `read_package` returns.
    """

    def add(self, entry: Entry, content: Iterator[bytes]) -> None: ...


def read_package(
    stream: BinaryIO,
    limits: Limits = DEFAULT_LIMITS,
    policy: PackagePolicy = STRICT,
    sink: ContentSink | None = None,
    expected: IndexRecord | None = None,
    keyring: Keyring | None = None,
    *,
    allow_sha1: bool = True,
    receiver: ContentReceiver | None = None,
) -> PackageContents:
    """Read a whole package in one streaming pass, checking everything on the way.

    `expected`: the record of a verified index; identity, size, name, version, architecture and dependencies must agree with
    it, and the identity is compared before any payload is looked at.  `keyring`: the package's own signature must verify;
    without `allow_sha1` those of kind `RSA` do not count.  `sink`, `receiver`: who gets the payload.

    FormatError: reasons of `control.control_section`, `TarReader`, `Structure`, `PackagePolicy.refusal`, and `data-dot-name`,
    `data-missing`, `file-hash-missing`, `gzip-trailing-bytes`.  VerificationError: `data-hash-mismatch`,
    `file-hash-mismatch`, `gzip-crc`, `gzip-length`, those of `identity` and of `signature`.  Every origin names the section
    (`signature`, `control`, `data`) and entry, and the package once it is known.
    """
    whole = hashlib.sha256()
    members = GzipMembers(stream, limits, hashers=(whole,))
    control = control_section(members, limits, policy)
    try:
        check_control(control, expected)
        signed_by = ""
        if keyring is not None:
            signed_by = signature.verify(control.signatures, control.raw, keyring, allow_sha1=allow_sha1)
        data = _DataSection(members, limits, policy, receiver or (_Pushing(sink) if sink is not None else None))
        entries = data.read(control)
        members.require_end()
        check_size(members.position, expected)
    except ApkilnError as error:
        error.located(Origin(package=control.info.name_version))
        raise
    return PackageContents(
        info=control.info,
        identity=control.identity,
        sha256=whole.digest(),
        size=members.position,
        sections=tuple((section.offset, section.length) for section in (*control.sections, members.finished[-1])),
        scripts=control.scripts,
        signatures=control.signatures,
        entries=entries,
        other_control=control.other,
        reports=(*control.reports, *data.reports, *_meta_report(control, entries)),
        signed_by=signed_by,
    )


def _meta_report(control: ControlSection, entries: tuple[ContentEntry, ...]) -> tuple[Report, ...]:
    """apk takes size 0 for a package without payload and may never unpack it (spec apk.md §2.3, §19)."""
    has_files = any(item.entry.type is EntryType.FILE for item in entries)
    if control.info.installed_size or not (has_files or control.scripts):
        return ()
    message = "`size = 0` although there are files or scripts, which apk may leave out"
    return (Report("size-zero", message, "control", ".PKGINFO", 0),)


class _Pushing:
    """A sink as a receiver."""

    def __init__(self, sink: ContentSink) -> None:
        self._sink = sink

    def add(self, entry: Entry, content: Iterator[bytes]) -> None:
        self._sink.entry(entry)
        for chunk in content:
            self._sink.content(chunk)


class _DataSection:
    """The walk over the payload."""

    def __init__(self, members: GzipMembers, limits: Limits, policy: PackagePolicy, receiver: ContentReceiver | None) -> None:
        self._members = members
        self._policy = policy
        self._receiver = receiver
        self._raw = hashlib.sha256()
        self._structure = Structure()
        self._hashes: dict[str, bytes] = {}
        chunks = members.member("data", limits.data_decompressed, (self._raw,))
        self._reader = TarReader(chunks, policy.rules, limits, section="data")

    @property
    def reports(self) -> list[Report]:
        return self._reader.reports

    def read(self, control: ControlSection) -> tuple[ContentEntry, ...]:
        if self._members.at_end():
            raise self._reader.fault("there is no data section", "data-missing")
        entries = tuple([self._take(entry) for entry in self._reader])
        check_data_hash(control, self._raw.digest(), self._policy.tolerant)
        return entries

    def _take(self, entry: Entry) -> ContentEntry:
        path = entry.path
        if path[0] == "." and "/" not in path:
            self._reader.soft("a name that begins with a dot, which apk skips", "data-dot-name")
        reason = self._structure.add(entry) or self._policy.refusal(entry)
        if reason:
            self._reader.soft(f"`{path}` breaks the rule `{reason}`", reason)
        if entry.type is EntryType.FILE:
            return self._file(entry)
        if self._receiver is not None:
            self._receiver.add(entry, iter(()))
        return self._linked(entry) if entry.target else ContentEntry(entry)

    def _file(self, entry: Entry) -> ContentEntry:
        sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        content = self._hashed(sha1, sha256)
        if self._receiver is not None:
            self._receiver.add(entry, content)
        for _ in content:
            pass
        digest = sha1.digest()
        self._hashes[entry.path] = digest
        stated = _stated_hash(entry)
        if stated != digest.hex():
            self._wrong_hash(stated, digest)
        return ContentEntry(entry, digest, sha256.digest())

    def _hashed(self, *hashers: Hasher) -> Iterator[bytes]:
        for chunk in self._reader.content():
            for hasher in hashers:
                hasher.update(chunk)
            yield chunk

    def _linked(self, entry: Entry) -> ContentEntry:
        """A symlink's digest is that of its text; a hard link's that of its target.  Neither needs to be stated."""
        text = entry.target.encode("utf-8", "surrogateescape")
        symlink = entry.type is EntryType.SYMLINK
        digest = hashlib.sha1(text, usedforsecurity=False).digest() if symlink else self._hashes.get(entry.target, b"")
        if not symlink:
            self._hashes[entry.path] = digest
        stated = _stated_hash(entry)
        if stated and digest and stated != digest.hex():
            self._wrong_hash(stated, digest)
        return ContentEntry(entry, digest) if symlink else ContentEntry(entry)

    def _wrong_hash(self, stated: str, digest: bytes) -> None:
        if not stated:
            self._reader.soft("the file has no SHA-1 record", "file-hash-missing")
            return
        fault = self._reader.fault(f"the content has SHA-1 {digest.hex()}, the header says {stated}", "file-hash-mismatch")
        raise VerificationError(fault.message, reason=fault.reason, origin=fault.origin)


def _stated_hash(entry: Entry) -> str:
    for key, value in entry.pax:
        if key == CHECKSUM:
            return value
    return ""
