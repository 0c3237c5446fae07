"""Every row of the attack table that concerns packages (spec apk.md §2.1, §12.1, §12.3), made byte by byte."""

from __future__ import annotations

import hashlib
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import (
    CHECKSUM,
    END,
    USR,
    block,
    control_file,
    directory,
    extended,
    file,
    gz,
    package,
    padded,
    pkginfo,
    record,
)
from tests.sample_packages import sample_signer

from apkiln.core.errors import ApkilnError, FormatError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, KIB, MIB, Limits
from apkiln.core.value import replace
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.control import read_control
from apkiln.formats.apk.index import record_of
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import COMPAT, STRICT, UNTRUSTED, PackagePolicy
from apkiln.formats.archive.entry import Entry, EntryType

FILE = file(b"usr/a", b"abc")


def read(data: bytes, policy: PackagePolicy = STRICT, limits: Limits = DEFAULT_LIMITS) -> PackageContents:
    return read_package(io.BytesIO(data), limits, policy)


def refusal(data: bytes, policy: PackagePolicy = STRICT, limits: Limits = DEFAULT_LIMITS) -> ApkilnError:
    with pytest.raises(ApkilnError) as caught:
        read(data, policy, limits)
    return caught.value


def reasons(error: ApkilnError) -> set[str]:
    return {fault.reason for fault in getattr(error, "faults", (error,))}


def sign(name: bytes = b".SIGN.RSA256.k.pub", body: bytes = b"s", kind: bytes = b"0") -> bytes:
    return block(name, kind, len(body)) + padded(body)


def xattr(name: str) -> bytes:
    return extended(record("SCHILY.xattr." + name, b"\1\0")) + directory(b"usr")


def linked(name: bytes, target: bytes, kind: bytes, digest: str = "") -> bytes:
    return (extended(record(CHECKSUM, digest)) if digest else b"") + block(name, kind, link=target)


BOMB = gz(bytes(20 * MIB))
ATTACKS: dict[str, tuple[bytes, str]] = {
    # members
    "empty file": (b"", "gzip-missing"),
    "not gzip": (b"x" * 100, "gzip-magic"),
    "no data member": (gz(control_file(b".PKGINFO", pkginfo("0" * 64))), "data-missing"),
    "data split into two members": (package(tail=gz(FILE + END)), "gzip-trailing-bytes"),
    "control split into two members": (
        gz(control_file(b".PKGINFO", pkginfo("0" * 64))) + gz(control_file(b".post-install", b"x")) + gz(USR + END),
        "data-dot-name",
    ),
    "bytes after the data": (package(tail=b"x"), "gzip-trailing-bytes"),
    "zero bytes after the data": (package(tail=bytes(512)), "gzip-trailing-bytes"),
    "fourth member": (package(tail=gz(b"")), "gzip-trailing-bytes"),
    "data truncated": (package()[:-1], "gzip-truncated"),
    "control and data in one member": (gz(control_file(b".PKGINFO", pkginfo("0" * 64)) + USR + END), "section-order"),
    "entry across a border": (
        gz(control_file(b".PKGINFO", pkginfo("0" * 64)) + block(b".x", b"0", 600) + bytes(512)) + gz(USR), "tar-truncated"
    ),
    "bomb in the data": (package(data_member=BOMB), "gzip-ratio"),
    "bomb in the control": (gz(bytes(11 * MIB)) + gz(USR), "gzip-ratio"),
    # sections
    "end blocks in the control": (
        gz(control_file(b".PKGINFO", pkginfo(hashlib.sha256(gz(USR)).hexdigest())) + END) + gz(USR), "section-end-blocks"
    ),
    "end blocks in the signature": (package(signature=sign() + END), "section-end-blocks"),
    "foreign entry in the signature": (package(signature=sign() + control_file(b".PKGINFO", b"")), "signature-foreign-entry"),
    "signature in the control": (package(control=sign()), "section-order"),
    "file in the control": (package(control=control_file(b"etc", b"x")), "section-order"),
    "file in a folder in the control": (package(control=control_file(b".x/y", b"x")), "section-order"),
    "data before control": (gz(USR) + gz(control_file(b".PKGINFO", pkginfo("0" * 64))), "section-order"),
    "empty control": (gz(b"") + gz(USR), "section-empty"),
    "dot name in the data": (package(file(b".foo")), "data-dot-name"),
    # control
    "no .PKGINFO": (package(control_tar=control_file(b".post-install", b"x")), "control-missing"),
    ".PKGINFO twice": (package(control=control_file(b".PKGINFO", pkginfo("0" * 64))), "control-repeated"),
    "script twice": (package(control=control_file(b".trigger", b"x") * 2), "control-repeated"),
    "version 1": (package(control=control_file(b".INSTALL", b"x")), "control-v1"),
    "script is a symlink": (package(control=block(b".trigger", b"2", link=b"/bin/sh")), "control-type"),
    ".PKGINFO is a directory": (package(control_tar=directory(b".PKGINFO")), "control-type"),
    "script over 256 KiB": (package(control=control_file(b".trigger", b"x" * (256 * KIB + 1))), "control-script-too-large"),
    "no datahash": (package(datahash=None), "pkginfo-missing-key"),
    "no name": (package(pkgname=None), "pkginfo-missing-key"),
    "no version": (package(pkgver=None), "pkginfo-missing-key"),
    "no arch": (package(arch=None), "pkginfo-missing-key"),
    "empty name": (package(pkgname=""), "pkginfo-missing-key"),
    "name twice": (package(control_tar=control_file(b".PKGINFO", pkginfo("0" * 64) + b"pkgname = b\n")), "pkginfo-repeated-key"),
    "datahash twice": (package(control_tar=control_file(b".PKGINFO", pkginfo("0" * 64) * 2)), "several-faults"),
    "slash in the name": (package(pkgname="../../x"), "pkginfo-name"),
    "dot before the name": (package(pkgname=".x"), "pkginfo-name"),
    "hyphen before the name": (package(pkgname="-rf"), "pkginfo-name"),
    "slash in the arch": (package(arch="x/../y"), "pkginfo-arch"),
    "dot before the arch": (package(arch=".."), "pkginfo-arch"),
    "slash in the version": (package(pkgver="1.0/2"), "pkginfo-version"),
    "no version at all": (package(pkgver="latest"), "pkginfo-version"),
    "size is no number": (package(size="many"), "pkginfo-number"),
    "negative size": (package(size="-1"), "pkginfo-number"),
    "huge size": (package(size=str(1 << 63)), "pkginfo-number"),
    "short datahash": (package(datahash="abc"), "pkginfo-data-hash"),
    "upper-case datahash": (package(datahash="A" * 64), "pkginfo-data-hash"),
    "NUL in the description": (package(pkgdesc="a\0b"), "pkginfo-control-character"),
    "carriage return": (package(pkgdesc="a\r"), "pkginfo-control-character"),
    "not UTF-8": (package(control_tar=control_file(b".PKGINFO", b"pkgname = \xff\n")), "pkginfo-not-utf8"),
    # signature section
    "slash in the key name": (package(signature=sign(b".SIGN.RSA256.a/b")), "signature-key-name"),
    "dot before the key name": (package(signature=sign(b".SIGN.RSA256..k")), "signature-key-name"),
    "NUL in the key name": (
        package(signature=extended(record("path", ".SIGN.RSA.a b")) + sign()), "signature-key-name"
    ),
    "no key name": (package(signature=sign(b".SIGN.RSA")), "signature-foreign-entry"),
    "signature over 64 KiB": (package(signature=sign(body=b"s" * (64 * KIB + 1))), "signature-too-large"),
    "signature is a directory": (package(signature=sign(kind=b"5", body=b"")), "signature-type"),
    "DSA": (package(signature=sign(b".SIGN.DSA.k.pub")), "signature-algorithm"),
    "signature twice": (package(signature=sign() * 2), "signature-repeated"),
    # data
    "data hash": (package(datahash="0" * 64), "data-hash-mismatch"),
    "file without digest": (package(USR + file(b"usr/a", pax=b"")), "file-hash-missing"),
    "wrong digest": (package(USR + file(b"usr/a", pax=record(CHECKSUM, "0" * 40))), "file-hash-mismatch"),
    "digest is no hex": (package(USR + file(b"usr/a", pax=record(CHECKSUM, "x"))), "file-hash-mismatch"),
    "wrong digest of a symlink": (package(USR + linked(b"usr/l", b"a", b"2", "0" * 40)), "file-hash-mismatch"),
    "wrong digest of a hard link": (package(USR + FILE + linked(b"usr/l", b"usr/a", b"1", "0" * 40)), "file-hash-mismatch"),
    "missing parent": (package(FILE), "parent-missing"),
    "same path twice": (package(USR + FILE + FILE), "path-repeated"),
    "file below a file": (package(USR + FILE + file(b"usr/a/b")), "path-below-file"),
    "through a symlink": (package(USR + linked(b"usr/l", b"/etc", b"2") + file(b"usr/l/passwd")), "path-through-symlink"),
    "hard link to a symlink": (
        package(USR + linked(b"usr/l", b"/etc/shadow", b"2") + linked(b"usr/h", b"usr/l", b"1")), "hardlink-to-symlink"
    ),
    "hard link to a later entry": (package(USR + linked(b"usr/h", b"usr/a", b"1") + FILE), "hardlink-target-missing"),
    "hard link to another package": (package(USR + linked(b"usr/h", b"etc/shadow", b"1")), "hardlink-target-missing"),
    "hard link outside": (package(USR + linked(b"usr/h", b"../../etc/shadow", b"1")), "tar-link-target"),
    "newline in a name": (package(USR + file(b"usr/a\nF:etc")), "name-control-character"),
    "leading dot slash": (package(file(b"./usr/a")), "name-dot-component"),
    "character device": (package(USR + block(b"usr/null", b"3")), "device-not-allowed"),
    "block device": (package(USR + block(b"usr/sda", b"4")), "device-not-allowed"),
    "fifo": (package(USR + block(b"usr/p", b"6")), "device-not-allowed"),
    "trusted attribute": (package(xattr("trusted.overlay.opaque")), "xattr-not-allowed"),
    "security attribute": (package(xattr("security.selinux")), "xattr-not-allowed"),
    "one zero block": (package(data_member=gz(USR + bytes(512))), "tar-lone-zero-block"),
    "entry after the end": (package(data_member=gz(USR + END + USR)), "tar-data-after-end"),
}  # fmt: skip


@pytest.mark.parametrize("case", ATTACKS)
def test_attack_is_refused(case: str) -> None:
    data, reason = ATTACKS[case]
    error = refusal(data)
    assert error.reason == reason
    assert all(fault.origin.member for fault in getattr(error, "faults", (error,)))


SECTIONS = {
    "signature-too-large": "signature",
    "control-repeated": "control",
    "parent-missing": "data",
    "data-hash-mismatch": "data",
}


@pytest.mark.parametrize("case", ATTACKS)
def test_the_error_names_section_and_package(case: str) -> None:
    data, reason = ATTACKS[case]
    error = refusal(data)
    if reason in SECTIONS:
        assert error.origin.member.split("/")[0] == SECTIONS[reason]
    if error.origin.member.startswith("data"):
        assert error.origin.package == "demo-1.0-r0"


def test_a_good_package() -> None:
    target = hashlib.sha1(b"abc").hexdigest()
    data = USR + FILE + linked(b"usr/h", b"usr/a", b"1", target) + linked(b"usr/l", b"../x", b"2")
    content = package(data, signature=sign(), control=control_file(b".post-install", b"#!") + control_file(b".note", b"x"))
    found = read(content)
    assert found.identity == hashlib.sha1(gz_at(content, found.sections[1])).digest()
    assert found.sha256 == hashlib.sha256(content).digest() and found.size == len(content)
    assert [item.entry.path for item in found.entries] == ["usr", "usr/a", "usr/h", "usr/l"]
    assert found.entries[1].sha1 == hashlib.sha1(b"abc").digest() and found.entries[1].sha256 == hashlib.sha256(b"abc").digest()
    assert found.entries[2].sha1 == b"" and found.entries[3].sha1 == hashlib.sha1(b"../x").digest()
    assert found.scripts == (("post-install", b"#!"),) and found.other_control == (".note",)
    assert [tuple(item) for item in found.signatures] == [("RSA256", "k.pub", b"s")]
    assert found.reports == ()


def gz_at(content: bytes, section: tuple[int, int]) -> bytes:
    return content[section[0] : section[0] + section[1]]


def test_shapes_that_are_allowed() -> None:
    assert read(package(data_member=gz(USR))).entries[0].entry.path == "usr"
    assert read(package(b"")).entries == ()
    assert read(package(data_member=gz(USR + END + bytes(8192)))).size
    assert read(package(USR + USR)).entries[0] == read(package(USR + USR)).entries[1]
    assert read(package(control=control_file(b".trigger", b"x" * (256 * KIB)))).scripts[0][0] == "trigger"
    assert read(package(xattr("security.capability"))).entries[0].entry.xattrs == (("security.capability", b"\1\0"),)


def test_policies() -> None:
    setuid = package(USR + file(b"usr/su", mode=b"0004755\0"))
    assert read(setuid).entries[1].entry.mode == 0o4755
    assert refusal(setuid, UNTRUSTED).reason == "special-bits-not-allowed"
    assert refusal(package(xattr("security.capability")), UNTRUSTED).reason == "xattr-not-allowed"
    devices = replace(STRICT, allow_devices=True)
    assert read(package(USR + block(b"usr/null", b"3")), devices).entries[1].entry.type is EntryType.CHARACTER


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (package(USR + file(b"usr/a", pax=b"")), "file-hash-missing"),
        (package(FILE), "parent-missing"),
        (package(file(b".foo")), "data-dot-name"),
        (package(USR + block(b"usr/null", b"3")), "device-not-allowed"),
        (package(signature=sign(b".SIGN.DSA.k.pub")), "signature-algorithm"),
        (package(size="0", control=control_file(b".trigger", b"x")), "size-zero"),
    ],
)
def test_inspection_reports(data: bytes, reason: str) -> None:
    assert [report.reason for report in read(data, COMPAT).reports] == [reason]


def test_inspection_still_verifies_digests() -> None:
    assert refusal(package(datahash="0" * 64), COMPAT).reason == "data-hash-mismatch"
    assert refusal(package(USR + file(b"usr/a", pax=record(CHECKSUM, "0" * 40))), COMPAT).reason == "file-hash-mismatch"
    assert read(package(datahash=None), COMPAT).info.data_hash == ""


def test_limits() -> None:
    small = replace(DEFAULT_LIMITS, control_decompressed=1000)
    assert refusal(package(), limits=small).reason == "gzip-too-large"
    assert refusal(package(USR + FILE), limits=replace(DEFAULT_LIMITS, data_decompressed=1000)).reason == "gzip-too-large"
    assert refusal(package(USR + FILE), limits=replace(DEFAULT_LIMITS, archive_entries=2)).reason == "tar-too-many-entries"


def test_the_package_must_be_what_the_index_promised() -> None:
    content = package(USR + FILE, provides="so:x=1", install_if="a b")
    good = record_of(read(content))
    assert read_package(io.BytesIO(content), expected=good).info.name == "demo"
    for change, reason in (
        ({"name": "other"}, "record-mismatch"),
        ({"version": "2.0-r0"}, "record-mismatch"),
        ({"arch": "aarch64"}, "record-mismatch"),
        ({"depends": "libc>=2"}, "record-mismatch"),
        ({"depends": ""}, "record-mismatch"),
        ({"provides": "so:x=2"}, "record-mismatch"),
        ({"install_if": "a"}, "record-mismatch"),
        ({"size": good.size + 1}, "size-mismatch"),
        ({"identity": bytes(20)}, "identity-mismatch"),
    ):
        with pytest.raises(VerificationError) as caught:
            read_package(io.BytesIO(content), expected=good._replace(**change))
        assert caught.value.reason == reason, change
        assert caught.value.origin.package == "demo-1.0-r0"


def test_order_and_spelling_of_dependencies_do_not_matter() -> None:
    content = package(depend="b a=>1")
    assert read_package(io.BytesIO(content), expected=record_of(read(content))._replace(depends="a>=1 b"))


def test_noarch_may_be_listed_under_an_architecture() -> None:
    content = package(arch="noarch")
    assert read_package(io.BytesIO(content), expected=record_of(read(content))._replace(arch="x86_64"))


def test_a_wrong_identity_is_found_before_the_payload() -> None:
    """Nothing of a foreign package reaches the sink."""

    class Sink:
        def entry(self, entry: Entry) -> None:
            raise AssertionError(entry)

        def content(self, chunk: bytes) -> None:
            raise AssertionError(chunk)

    content = package(USR + FILE)
    expected = record_of(read(content))._replace(identity=bytes(20))
    with pytest.raises(VerificationError):
        read_package(io.BytesIO(content), sink=Sink(), expected=expected)


class Recorder:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    def entry(self, entry: Entry) -> None:
        self.seen.append((entry.path, b""))

    def content(self, chunk: bytes) -> None:
        assert 0 < len(chunk) <= MIB
        path, before = self.seen[-1]
        self.seen[-1] = (path, before + chunk)


def test_sinks_see_the_payload_in_order() -> None:
    content = zlib.compress(bytes(range(256)) * 9000, 0)
    recorder = Recorder()
    read_package(io.BytesIO(package(USR + file(b"usr/big", content) + file(b"usr/none", b""))), sink=recorder)
    assert recorder.seen == [("usr", b""), ("usr/big", content), ("usr/none", b"")]


def test_receivers_may_leave_content_unread() -> None:
    class Receiver:
        def __init__(self) -> None:
            self.paths: list[str] = []

        def add(self, entry: Entry, content: object) -> None:
            self.paths.append(entry.path)

    receiver = Receiver()
    found = read_package(io.BytesIO(package(USR + FILE)), receiver=receiver)
    assert receiver.paths == ["usr", "usr/a"] and found.entries[1].sha256 == hashlib.sha256(b"abc").digest()


def test_package_signatures() -> None:
    signer = sample_signer()
    keyring = Keyring.of([parse_public_key(signer.name, signer.public_key())])
    bare = package(USR + FILE)
    control = read_control(io.BytesIO(bare)).raw

    def signed(algorithm: str, data: bytes = control) -> bytes:
        name = f".SIGN.{algorithm}.{signer.name}".encode()
        return gz(sign(name, signer.sign(data, algorithm))) + bare

    for algorithm in ("RSA", "RSA256", "RSA512"):
        assert read_package(io.BytesIO(signed(algorithm)), keyring=keyring).signed_by == signer.name
    for content, reason in (
        (bare, "signature-missing"),
        (signed("RSA256", b"other"), "signature-bad"),
        (package(USR + FILE, signature=sign()), "signature-unknown-key"),
    ):
        with pytest.raises(VerificationError) as caught:
            read_package(io.BytesIO(content), keyring=keyring)
        assert caught.value.reason == reason
    with pytest.raises(VerificationError) as caught:
        read_package(io.BytesIO(signed("RSA")), keyring=keyring, allow_sha1=False)
    assert caught.value.reason == "signature-sha1"


def test_read_control_does_not_need_the_payload() -> None:
    content = package(USR + FILE, signature=sign())
    whole = read(content)
    control = read_control(io.BytesIO(content[: whole.sections[2][0]]))
    assert (control.info, control.identity) == (whole.info, whole.identity)
    assert tuple((member.offset, member.length) for member in control.sections) == whole.sections[:2]
    assert hashlib.sha1(control.raw).digest() == whole.identity


@given(position=st.integers(0), change=st.integers(1, 255))
def test_no_flipped_byte_goes_unnoticed(position: int, change: int) -> None:
    """Anything but harmless bits of the gzip headers changes the identity, the data hash or the reader's mind."""
    content = bytearray(package(USR + FILE, control=control_file(b".trigger", b"x")))
    original = read(bytes(content))
    content[position % len(content)] ^= change
    try:
        found = read_package(io.BytesIO(bytes(content)), expected=record_of(original))
    except ApkilnError as error:
        assert isinstance(error, (FormatError, VerificationError)) or reasons(error)
        return
    raise AssertionError(f"accepted: {found.info}")


@given(cut=st.integers(0))
def test_no_truncation_goes_unnoticed(cut: int) -> None:
    content = package(USR + FILE)
    refusal(content[: cut % len(content)])
