"""The signature and control sections of a v2 package (spec apk.md §2.1, §12.3 "control" and "signature member")."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from apkiln.core.errors import VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk import pkginfo, signature
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import Report
from apkiln.formats.gzip import GzipMembers, Member

SCRIPTS = ("pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-deinstall", "post-deinstall", "trigger")
"""Script types of a package; the entries have a leading dot."""
_SCRIPT_NAMES = frozenset("." + name for name in SCRIPTS)
_NOTHING = Member(0, 0, 0)


@dataclass(frozen=True, slots=True)
class ControlSection:
    """Everything before the payload."""

    info: PackageInfo
    identity: bytes
    """SHA-1 of the raw control member (20 bytes)."""
    raw: bytes
    """The compressed control member: what a signature signs."""
    scripts: tuple[tuple[str, bytes], ...]
    """(`pre-install`, text) … in archive order."""
    signatures: tuple[signature.Signature, ...]
    sections: tuple[Member, Member]
    """Signature (length 0 when unsigned) and control members."""
    other: tuple[str, ...]
    """Further names, which mean nothing to apk."""
    reports: tuple[Report, ...]
    other_files: tuple[tuple[str, bytes], ...] = ()
    """Contents of `other`, for example (`.melange.yaml`, …)."""


class _RawBytes:
    """A hasher that keeps what it sees."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def update(self, data: bytes, /) -> None:
        self.parts.append(data)


def read_control(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, policy: PackagePolicy = STRICT) -> ControlSection:
    """The first two sections of a package; the payload is not read, so `data_hash` is only what the package claims.

    Errors as `control_section`.
    """
    return control_section(GzipMembers(stream, limits), limits, policy)


def control_section(members: GzipMembers, limits: Limits, policy: PackagePolicy) -> ControlSection:
    """Read the signature section, if there is one, and the control section.

    FormatError with the reasons of `GzipMembers`, `TarReader`, `signature.read_section`, `pkginfo.parse`, and
    `section-order`, `section-empty`, `section-end-blocks`, `control-v1`, `control-type`, `control-repeated`,
    `control-missing`, `control-script-too-large`.
    """
    raw = _RawBytes()
    reader = TarReader(members.member("control", limits.control_decompressed, (raw,)), policy.rules, limits, section="control")
    first = reader.next_entry()
    signatures: tuple[signature.Signature, ...] = ()
    signed, reports = _NOTHING, reader.reports
    if first is not None and first.path.startswith(signature.PREFIX):
        reader.section = members.section = "signature"
        signatures = signature.read_section(reader, first, limits.signature)
        signed, raw = members.finished[-1], _RawBytes()
        chunks = members.member("control", limits.control_decompressed, (raw,))
        reader = TarReader(chunks, policy.rules, limits, section="control")
        first = reader.next_entry()
    info, scripts, files = _read_entries(reader, first, limits, policy)
    content = b"".join(raw.parts)
    identity = hashlib.sha1(content, usedforsecurity=False).digest()
    sections = (signed, members.finished[-1])
    all_reports = tuple(dict.fromkeys((*reports, *reader.reports)))
    other = tuple(name for name, _ in files)
    return ControlSection(info, identity, content, scripts, signatures, sections, other, all_reports, files)


def _read_entries(
    reader: TarReader, entry: Entry | None, limits: Limits, policy: PackagePolicy
) -> tuple[PackageInfo, tuple[tuple[str, bytes], ...], tuple[tuple[str, bytes], ...]]:
    if entry is None:
        raise reader.fault("the control section is empty", "section-empty")
    found: dict[str, bytes] = {}
    other: list[tuple[str, bytes]] = []
    while entry is not None:
        _check_entry(reader, entry, found)
        if entry.path == ".PKGINFO" or entry.path in _SCRIPT_NAMES:
            if entry.path in _SCRIPT_NAMES and entry.size > limits.script:
                raise reader.fault(f"a script is larger than {limits.script} bytes", "control-script-too-large")
            found[entry.path] = b"".join(reader.content())
        else:
            other.append((entry.path, b"".join(reader.content())))
        entry = reader.next_entry()
    if reader.end_blocks:
        reader.soft("the control section has end-of-archive blocks", "section-end-blocks")
    if ".PKGINFO" not in found:
        raise reader.fault("there is no `.PKGINFO`", "control-missing")
    info = pkginfo.parse(found.pop(".PKGINFO"), tolerant=policy.tolerant)
    return info, tuple((name[1:], text) for name, text in found.items()), tuple(other)


def _check_entry(reader: TarReader, entry: Entry, found: dict[str, bytes]) -> None:
    if not entry.path.startswith(".") or "/" in entry.path or entry.path.startswith(signature.PREFIX):
        message = f"`{entry.path}` does not belong into a control section"
        raise reader.fault(message, "section-order")
    if entry.path == ".INSTALL":
        raise reader.fault("this is a package of format version 1", "control-v1")
    if entry.type is not EntryType.FILE:
        raise reader.fault("an entry of the control section is a regular file", "control-type")
    if entry.path in found:
        raise reader.fault(f"`{entry.path}` stands twice", "control-repeated")


def check_data_hash(control: ControlSection, digest: bytes, tolerant: bool) -> None:
    """Compare the SHA-256 of the data member with what `.PKGINFO` says.  VerificationError `data-hash-mismatch`."""
    if control.info.data_hash != digest.hex() and not (tolerant and not control.info.data_hash):
        message = f"the data section has SHA-256 {digest.hex()}, `.PKGINFO` says {control.info.data_hash}"
        raise VerificationError(message, reason="data-hash-mismatch", origin=Origin(member="data"))
