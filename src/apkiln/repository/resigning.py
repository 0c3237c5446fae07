"""New signatures for packages and indexes that exist; all other bytes stay (spec package.md §10.5, §15.7)."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePath

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.control import read_control
from apkiln.formats.apk.index import SignedIndex, read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import COMPAT
from apkiln.formats.apk.signing import SectionSigner, signature_section, signatures_of
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import COMPAT as COMPAT_TAR
from apkiln.formats.archive.tar_rules import LABELS
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.gzip import GzipMembers
from apkiln.system.files import Files

_CHUNK = 1 << 20
ALGORITHMS = ("RSA256",)


def resign_package(
    path: PurePath, signers: Sequence[SectionSigner], files: Files, codec: Codec, limits: Limits = DEFAULT_LIMITS
) -> tuple[str, ...]:
    """Replace the signature section of a package file; names of the signature entries.

    The package is read completely and its hashes are checked before anything is signed.  Control and data section keep their
    bytes; the signature's time is that of `.PKGINFO`.  The new file takes the old one's place whole.  Raises what
    `read_package` raises, with the path, and FormatError of `signatures_of`.
    """
    try:
        with files.open(path) as stream:
            start = read_package(stream, limits, COMPAT).sections[1][0]
            stream.seek(start)
            control = read_control(stream, limits, COMPAT).raw
            made = signatures_of(control, signers, ALGORITHMS)
            section = signature_section(made, codec, mtime=_information_time(control, limits))
            status = files.status(path)
            with files.create(path, status.mode if status is not None else 0o644, replace=True) as out:
                out.write(section)
                stream.seek(start)
                while chunk := stream.read(_CHUNK):
                    out.write(chunk)
    except ApkilnError as error:
        error.located(Origin(str(path)))
        raise
    return tuple(item.entry_name for item in made)


def resign_index(
    path: PurePath, signers: Sequence[SectionSigner], files: Files, codec: Codec, limits: Limits = DEFAULT_LIMITS, *, force: bool
) -> bool:
    """Sign an index file; False, and nothing done, when it is signed already and not `force`.

    Raises what `read_index` and `parse_index_text` raise, with the path: nothing that cannot be read is signed.
    """
    try:
        index = read_tolerantly(files.read(path, limits.index_decompressed), limits)
        if index.signatures and not force:
            return False
        section = signature_section(signatures_of(index.signed_bytes, signers, ALGORITHMS), codec)
    except ApkilnError as error:
        error.located(Origin(str(path)))
        raise
    status = files.status(path)
    with files.create(path, status.mode if status is not None else 0o644, replace=True) as out:
        out.write(section + index.signed_bytes)
    return True


def read_tolerantly(content: bytes, limits: Limits) -> SignedIndex:
    """An index of any tool, as long as all of it can be read."""
    index = read_index(content, limits, rules=COMPAT_TAR)
    parse_index_text(index.text, limits)
    return index


def _information_time(control: bytes, limits: Limits) -> int:
    members = GzipMembers(BytesIO(control), limits)
    reader = TarReader(members.member("control", limits.control_decompressed), LABELS, limits, section="control")
    while (entry := reader.next_entry()) is not None:
        if entry.path == ".PKGINFO":
            return entry.mtime
    return 0
