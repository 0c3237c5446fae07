"""Signed v2 indexes: `APKINDEX.tar.gz` read and written (spec apk.md §3, §12.2, §12.3 "index")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk import dependency, signature, version
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.index_text import IndexText, IndexWarning, format_record, item_fault, parse_index_text
from apkiln.formats.apk.pkginfo import is_safe_name
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signature import Signature
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import CONTROL
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import COMPAT, STRICT, Report, TarRules
from apkiln.formats.gzip import GzipMembers

if TYPE_CHECKING:
    from apkiln.formats.apk.signing import SectionSigner
    from apkiln.formats.deflate.codec import Codec

__all__ = [
    "IndexText",
    "IndexWarning",
    "SignedIndex",
    "index_text",
    "parse_index_text",
    "read_index",
    "record_faults",
    "record_of",
    "write_index",
]

DESCRIPTION_LIMIT = 160
"""Bytes; apk ignores a longer description."""
_DESCRIPTION, _INDEX = "DESCRIPTION", "APKINDEX"
_MIXED_DESCRIPTION = 64 * 1024


@dataclass(frozen=True, slots=True)
class SignedIndex:
    """An index file taken apart; nothing in it is trusted before `signature.verify` and `parse_index_text`."""

    signatures: tuple[Signature, ...]
    """Empty when the index is unsigned."""
    signed_bytes: bytes
    """What the signatures sign: every raw byte after the signature member; the whole file when there is none."""
    description: str
    """"" when absent or longer than 160 bytes."""
    text: bytes
    """The content of the entry `APKINDEX`."""
    reports: tuple[Report, ...] = ()
    """Broken rules a tolerant reading lived with."""


def read_index(content: bytes, limits: Limits = DEFAULT_LIMITS, *, rules: TarRules = STRICT) -> SignedIndex:
    """Take `APKINDEX.tar.gz` apart.

    FormatError (VerificationError for wrong checksums): reasons of `GzipMembers`, `TarReader`, `signature.read_section`, and
    `index-several-members` (apk would read the first and silently lose the rest), `index-foreign-entry`,
    `index-entry-repeated`, `index-missing`.
    """
    members = GzipMembers(BytesIO(content), limits)
    reader = TarReader(members.member("index", limits.index_decompressed), rules, limits, section="index")
    first = reader.next_entry()
    signatures: tuple[Signature, ...] = ()
    reports: list[Report] = []
    if first is not None and first.path.startswith(signature.PREFIX):
        reader.section = members.section = "signature"
        signatures = signature.read_section(reader, first, limits.signature)
        reports = reader.reports
        reader = TarReader(members.member("index", limits.index_decompressed), rules, limits, section="index")
        first = reader.next_entry()
    start = members.finished[0].length if signatures else 0
    description, text = _read_entries(reader, first)
    if not members.at_end():
        raise reader.fault("more than one gzip member after the signature", "index-several-members")
    return SignedIndex(signatures, content[start:], description, text, (*reports, *reader.reports))


def _read_entries(reader: TarReader, entry: Entry | None) -> tuple[str, bytes]:
    found: dict[str, bytes] = {}
    while entry is not None:
        if entry.path in found:
            raise reader.fault(f"`{entry.path}` stands twice", "index-entry-repeated")
        if entry.path not in (_DESCRIPTION, _INDEX) or entry.type is not EntryType.FILE:
            reader.soft(f"`{entry.path}` does not belong into an index", "index-foreign-entry")
        elif entry.path == _INDEX or entry.size <= _MIXED_DESCRIPTION:
            found[entry.path] = b"".join(reader.content())
        entry = reader.next_entry()
    if _INDEX not in found:
        raise reader.fault("there is no entry `APKINDEX`", "index-missing")
    description = found.get(_DESCRIPTION, b"")
    return description.decode("utf-8", "replace") if len(description) <= DESCRIPTION_LIMIT else "", found[_INDEX]


def record_of(contents: PackageContents) -> IndexRecord:
    """The record that an index lists for a verified package."""
    info = contents.info
    return IndexRecord(
        name=info.name,
        version=info.version,
        arch=info.arch,
        identity=contents.identity,
        size=contents.size,
        installed_size=info.installed_size,
        description=info.description,
        url=info.url,
        license=info.license,
        origin=info.origin,
        maintainer=info.maintainer,
        build_date=info.build_date,
        commit=info.commit,
        provider_priority=info.provider_priority,
        depends=" ".join(info.depends),
        provides=" ".join(info.provides),
        install_if=" ".join(info.install_if),
    )


def record_faults(record: IndexRecord) -> Iterator[FormatError]:
    """What keeps a record out of an index of ours (spec apk.md §12.2): reasons `record-name`, `record-version`, `record-arch`,
    `record-field` (a control character), `record-identity`, `record-number`, `record-dependency`, `record-own-name`."""

    def fault(message: str, reason: str) -> FormatError:
        return FormatError(message, reason=reason, origin=Origin(package=record.name_version))

    if not dependency.is_package_name(record.name):
        yield fault(f"{record.name!r} is not a package name", "record-name")
    if not version.is_valid(record.version) or version.has_wide_number(record.version):
        yield fault(f"{record.version!r} is not a version", "record-version")
    if not is_safe_name(record.arch):
        yield fault(f"{record.arch!r} is not an architecture", "record-arch")
    if len(record.identity) not in (20, 32):
        yield fault("the identity is not a digest", "record-identity")
    if any(not 0 <= number < 1 << 63 for number in (record.size, record.installed_size, record.build_date)):
        yield fault("a number is out of range", "record-number")
    if CONTROL.search("".join(field for field in record if isinstance(field, str))):
        yield fault("a field holds a control character", "record-field")
    for letter, items in (("D", record.depends), ("p", record.provides), ("i", record.install_if)):
        for item in items.split():
            message = item_fault(item, letter) or _wide_number(item, letter)
            if message:
                yield fault(f"`{letter}:{item}`: {message}", "record-dependency")
            elif letter == "p" and dependency.provided(item)[0] == record.name:
                yield fault(f"`{record.name}` provides its own name", "record-own-name")


def _wide_number(item: str, letter: str) -> str:
    """apk's arithmetic wraps at 19 digits; the digits of an identity are no numbers."""
    if letter == "p":
        stated = dependency.provided(item)[1]
    else:
        parsed = dependency.parse_dependency(item, lenient=True)
        stated = "" if parsed.operator == "><" else parsed.version
    return "a number has over 18 digits" if version.has_wide_number(stated) else ""


def index_text(records: Iterable[IndexRecord]) -> bytes:
    """The text of an index: sorted by name (bytewise), version, identity; each record followed by an empty line.

    All faults of all records are raised together: those of `record_faults`, and `record-twice` for two records of one name
    and version.
    """
    ordered = sorted(records, key=lambda record: (record.name.encode(), version.sort_key(record.version), record.identity))
    faults = FaultCollector.empty()
    seen: set[tuple[str, str]] = set()
    for record in ordered:
        for fault in record_faults(record):
            faults.add(fault)
        if record[:2] in seen:
            origin = Origin(package=record.name_version)
            faults.add(FormatError(f"`{record.name_version}` is listed twice", reason="record-twice", origin=origin))
        seen.add(record[:2])
    faults.raise_if_any()
    return "".join([format_record(record) + "\n" for record in ordered]).encode()


def write_index(
    records: Iterable[IndexRecord],
    description: str,
    codec: Codec,
    signers: Sequence[SectionSigner] = (),
    algorithms: Sequence[str] = ("RSA256",),
) -> bytes:
    """`APKINDEX.tar.gz`, equal bytes for equal arguments whatever the order of `records`.

    Signatures by each of `signers` with each of `algorithms`; none without signers.  FormatError as `index_text` and
    `signing.signatures_of`, and `index-description` (over 160 bytes or with control characters).
    """
    from apkiln.formats.apk.signing import signature_section, signatures_of
    from apkiln.formats.archive.tar_writer import archive
    from apkiln.formats.deflate.deflater import compress_member

    text, label = index_text(records), description.encode()
    if len(label) > DESCRIPTION_LIMIT or CONTROL.search(description):
        message = f"a description has at most {DESCRIPTION_LIMIT} bytes and no control character"
        raise FormatError(message, reason="index-description")
    members = [
        (Entry(name, EntryType.FILE, 0o644, uname="root", gname="root", size=len(content)), content)
        for name, content in ((_DESCRIPTION, label), (_INDEX, text))
    ]
    signed = compress_member(codec, archive(members))
    return signature_section(signatures_of(signed, signers, algorithms), codec) + signed


def read_any_index(content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[SignedIndex, IndexText]:
    """For inspection: an index as `APKINDEX.tar.gz` in any shape, or as bare text, with everything odd about it reported."""
    index = _any_index(content, limits)
    return index, parse_index_text(index.text, limits)


def text_of_any_index(content: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """As `read_any_index`: the text, unparsed."""
    return _any_index(content, limits).text


def _any_index(content: bytes, limits: Limits) -> SignedIndex:
    if content.startswith(b"\x1f\x8b"):
        return read_index(content, limits, rules=COMPAT)
    return SignedIndex((), content, "", content)
