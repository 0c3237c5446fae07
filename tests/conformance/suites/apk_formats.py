"""Packages, indexes and databases as files: what peers wrote must be read to the same values, and what they promised refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite

from apkiln.core.errors import ApkilnError
from apkiln.formats.apk import pkginfo, signature
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.apk.control import read_control
from apkiln.formats.apk.index import parse_index_text, read_index, record_of
from apkiln.formats.apk.installed import parse_installed, write_installed
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.scripts import read_scripts
from apkiln.formats.apk.triggers import parse_triggers, write_triggers
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.archive.tar_rules import COMPAT
from apkiln.formats.archive.tar_writer import header

Row = dict[str, Any]
_TYPES = {"file": "FILE", "dir": "DIRECTORY", "symlink": "SYMLINK", "hardlink": "HARDLINK", "char": "CHARACTER", "fifo": "FIFO"}
_SIGNED_BY_THE_INDEX = ("unsigned-pkg", "wrong-key-pkg")
"""A signed index vouches for these two: their own signature does not count (apk.md §12.1)."""
_HARMLESS = ("late-symlink",)
"""A symlink to an absolute path is allowed; only what is written through it is not."""


def judged(file: str, case: str, wrong: str) -> Outcome:
    return Outcome(FAILED if wrong else PASSED, file, case, wrong)


# --- apko-runs: packages and their indexes ------------------------------------------------------------------------------


def is_runs(folder: Path) -> bool:
    return folder.name == "apko-runs" and (folder / "packages.json").exists() and (folder / "repos").is_dir()


def run_listings(folder: Path) -> Iterator[Outcome]:
    """Every package of the listing: equal to it, or refused where the repository is the bad one."""
    for row in json.loads((folder / "packages.json").read_text(encoding="utf-8"))["packages"]:
        yield judged("packages.json", row["file"], _listing_fault(folder, row))


def _listing_fault(folder: Path, row: Row) -> str:
    try:
        contents = read_package(io.BytesIO((folder / row["file"]).read_bytes()))
    except ApkilnError as error:
        return "" if "/bad/" in row["file"] else str(error)
    differences = [*_member_faults(contents, row)]
    for found, wanted in zip(contents.entries, row["entries"], strict=False):
        differences += [f"{wanted['path']}: {text}" for text in _entry_faults(found, wanted)]
    if len(contents.entries) != len(row["entries"]):
        differences.append(f"{len(contents.entries)} entries")
    return "; ".join(differences)


def _member_faults(contents: PackageContents, row: Row) -> Iterator[str]:
    if (contents.sha256.hex(), contents.size) != (row["sha256"], row["size"]):
        yield "digest or size of the file"
    for name, section in zip(("signature", "control", "data"), contents.sections, strict=True):
        wanted = row["members"].get(name, {"offset": 0, "length": 0})
        if section != (wanted["offset"], wanted["length"]):
            yield f"{name} at {section}"
    if contents.identity.hex() != row["members"]["control"]["sha1"]:
        yield "identity"
    if contents.info != pkginfo.parse("\n".join(row["pkginfo"]).encode()):
        yield "information"
    names = {".PKGINFO", *contents.other_control, *(f".{kind}" for kind, _ in contents.scripts)}
    if names != set(row["control"]):
        yield f"control section {sorted(names)}"


def _entry_faults(found: ContentEntry, wanted: Row) -> Iterator[str]:
    entry = found.entry
    for field in ("path", "uid", "gid", "uname", "gname"):
        if getattr(entry, field) != wanted[field]:
            yield field
    if entry.type.name != _TYPES.get(wanted["type"], wanted["type"]):
        yield "type"
    if f"{entry.mode:04o}" != wanted["mode"] or abs(entry.mtime - wanted["mtime"]) > 0.5:
        yield "mode or time"
    if entry.target != wanted.get("linkname", "") or entry.size != wanted.get("size", 0):
        yield "target or size"
    if "sha256" in wanted and found.sha256.hex() != wanted["sha256"]:
        yield "content"
    pax = {f"SCHILY.xattr.{key}": value.hex() for key, value in entry.xattrs} | dict(entry.pax)
    recorded = {key: value for key, value in wanted.get("pax", {}).items() if key in pax or key.startswith(("SCHILY", "APK"))}
    if pax != recorded:
        yield f"records {pax}"


def run_indexes(folder: Path) -> Iterator[Outcome]:
    """Every package behind every index: the record is its own, and the bad ones are refused against it."""
    keys = [parse_public_key(path.name, path.read_bytes()) for path in sorted((folder / "keys").glob("*.pub"))]
    for path in sorted(folder.glob("repos/*/*/APKINDEX.tar.gz")):
        name = str(path.relative_to(folder))
        index = read_index(path.read_bytes())
        yield judged(name, "signature", _signature_fault(index.signatures, index.signed_bytes, Keyring.of(keys), name))
        for record in parse_index_text(index.text).records:
            yield judged(name, record.name_version, _record_fault(path.parent, record, "/bad/" in name))


def _signature_fault(signatures: tuple[signature.Signature, ...], signed: bytes, keyring: Keyring, name: str) -> str:
    try:
        signature.verify(signatures, signed, keyring)
    except ApkilnError as error:
        return "" if "/unsigned/" in name and error.reason == "signature-missing" else str(error)
    return "an unsigned index verifies" if "/unsigned/" in name else ""


def _record_fault(directory: Path, record: IndexRecord, bad: bool) -> str:
    path = directory / f"{record.name_version}.apk"
    if not path.exists():
        return ""
    try:
        contents = read_package(io.BytesIO(path.read_bytes()), expected=record)
    except ApkilnError as error:
        return "" if bad else str(error)
    if bad and record.name not in (*_SIGNED_BY_THE_INDEX, *_HARMLESS):
        return "accepted"
    # The peer's index names the first of several licences only.
    own = record_of(contents)._replace(license=record.license)
    return "" if own == record else f"record {own}"


# --- apko: files of its library's tests ---------------------------------------------------------------------------------


def is_apko(folder: Path) -> bool:
    return folder.name == "apko" and (folder / "apk" / "testdata").is_dir()


def run_apko(folder: Path) -> Iterator[Outcome]:
    data = folder / "apk" / "testdata"
    yield judged("apk/testdata/APKINDEX.tar.gz", "extracted", _extracted_fault(data))
    for path in sorted(data.glob("alpine-*/APKINDEX.tar.gz")):
        yield judged(str(path.relative_to(folder)), "records", _alpine_fault(path))
    for path in sorted(folder.glob("**/*.apk")):
        yield judged(str(path.relative_to(folder)), "read", _read_fault(path))
    database = data / "root" / "usr" / "lib" / "apk" / "db"
    yield judged("apk/testdata/root", "installed", _installed_fault((database / "installed").read_bytes()))
    yield judged("apk/testdata/root", "scripts", _scripts_fault(database))
    triggers = (database / "triggers").read_bytes()
    yield judged("apk/testdata/root", "triggers", "" if write_triggers(parse_triggers(triggers)) == triggers else "differs")


def _extracted_fault(data: Path) -> str:
    index = read_index((data / "APKINDEX.tar.gz").read_bytes(), rules=COMPAT)
    wanted = (data / "extracted" / "APKINDEX").read_bytes(), (data / "extracted" / "DESCRIPTION").read_text(encoding="utf-8")
    return "" if (index.text, index.description) == wanted else "other bytes"


def _alpine_fault(path: Path) -> str:
    """Our records against those of Python's own tar reader and a plain split."""
    index = read_index(path.read_bytes())
    raw = b"".join(_members(path.read_bytes()))
    with tarfile.open(fileobj=io.BytesIO(raw), ignore_zeros=True) as archive:
        stream = archive.extractfile("APKINDEX")
        text = stream.read() if stream else b""
    names = [dict(line.split(":", 1) for line in block.splitlines())["P"] for block in text.decode().strip().split("\n\n")]
    found = [record.name for record in parse_index_text(index.text).records]
    return "" if found == names and index.text == text else f"{len(found)} of {len(names)} records"


def _members(data: bytes) -> Iterator[bytes]:
    while data:
        inflater = zlib.decompressobj(31)
        yield inflater.decompress(data)
        data = inflater.unused_data


def _read_fault(path: Path) -> str:
    try:
        read_package(io.BytesIO(path.read_bytes()))
    except ApkilnError as error:
        return str(error)
    return ""


def _installed_fault(content: bytes) -> str:
    packages = parse_installed(content)
    again = parse_installed(write_installed(packages))
    same = {item.record: {*item.directories, *item.files} for item in packages}
    return "" if same == {item.record: {*item.directories, *item.files} for item in again} else "lost something"


def _scripts_fault(database: Path) -> str:
    identities = {item.record.identity for item in parse_installed((database / "installed").read_bytes())}
    scripts = read_scripts((database / "scripts.tar").read_bytes(), identities)
    with tarfile.open(database / "scripts.tar") as archive:
        return "" if len(scripts) == len(archive.getmembers()) else f"{len(scripts)} scripts"


# --- melange: tables about emission -------------------------------------------------------------------------------------


def is_melange(folder: Path) -> bool:
    return folder.name == "melange" and (folder / "tables" / "index-entry.json").exists()


def run_melange(folder: Path) -> Iterator[Outcome]:
    for file, judge in (
        ("tables/index-entry.json", _index_entry_fault), ("tables/pkginfo.json", _pkginfo_fault),
        ("tables/tar-xattr.json", _xattr_fault), ("sign/cases.json", _sign_fault),
    ):  # fmt: skip
        for number, row in enumerate(json.loads((folder / file).read_text(encoding="utf-8"))["cases"], 1):
            yield judged(file, str(row.get("name") or row.get("apk") or f"row {number}"), judge(folder, row))
    for path in sorted(folder.glob("**/*.apk")):
        yield judged(str(path.relative_to(folder)), "read", _read_fault(path))


def _index_entry_fault(folder: Path, row: Row) -> str:
    contents = read_package(io.BytesIO((folder / "sca" / "testdata" / row["apk"]).read_bytes()))
    record, wanted = record_of(contents), row["want"]
    own = {
        "P": record.name, "V": record.version, "A": record.arch, "T": record.description, "L": record.license, "o": record.origin,
        "S": record.size, "I": record.installed_size, "D": record.depends.split(), "C_sha1_hex": record.identity.hex(),
        "datahash": contents.info.data_hash,
    }  # fmt: skip
    return "" if own == wanted else f"{own}"


def _pkginfo_fault(_: Path, row: Row) -> str:
    given = row["input"]
    info = PackageInfo(
        given["name"], f"{given['version']}-r{given['epoch']}", given["arch"], description=given["description"], url=given["url"],
        origin=given["origin"], maintainer=given["namespace"], commit=given["commit"], build_date=given["source_date_epoch"],
        installed_size=given["size"], data_hash=given["datahash"], comments=("Generated by melange",),
    )  # fmt: skip
    text = pkginfo.write(info).decode()
    return "" if text == row["pkginfo"] else repr(text)


def _xattr_fault(_: Path, row: Row) -> str:
    for given, wanted in zip(row["entries"], row["want"], strict=True):
        kind = EntryType.DIRECTORY if given["type"] == "dir" else EntryType.FILE
        content = given.get("content", "").encode()
        xattrs = tuple(sorted((key, value.encode()) for key, value in given["xattr"].items()))
        entry = Entry(given["path"], kind, int(given["mode"], 8), size=len(content), xattrs=xattrs)
        data = header(entry) + content + bytes(-len(content) % 512)
        with tarfile.open(fileobj=io.BytesIO(data + bytes(1024))) as archive:
            (member,) = archive.getmembers()
            if (member.name, member.pax_headers) != (wanted["name"], wanted["pax"]):
                return f"{member.name} {member.pax_headers}"
    return ""


def _sign_fault(folder: Path, row: Row) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    control = read_control(io.BytesIO((folder / "sign" / row["apk"]).read_bytes()))
    key = load_pem_private_key((folder / "sign" / row["key"]).read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    value = key.sign(control.raw, PKCS1v15(), hashes.SHA256())
    if hashlib.sha256(value).hexdigest() != row["signature_sha256"]:
        return "other bytes are signed"
    name = Path(row["public"]).name
    keyring = Keyring.of([parse_public_key(name, (folder / "sign" / row["public"]).read_bytes())])
    own = signature.Signature("RSA256", name, value)
    good = signature.verify((own,), control.raw, keyring) == name and own.entry_name == row["signature_file"]
    return "" if good else "the signature does not verify"


SUITES = [
    Suite("apko-runs/package-files", is_runs, run_listings),
    Suite("apko-runs/indexes", is_runs, run_indexes),
    Suite("apko/apk-files", is_apko, run_apko),
    Suite("melange/apk-files", is_melange, run_melange),
]
