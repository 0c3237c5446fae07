"""Packages, archives and members made byte by byte, right or wrong, without the product's writers."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

CHECKSUM = "APK-TOOLS.checksum.SHA1"


GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def gz(content: bytes, *, header: bytes = GZIP_HEADER, crc: int | None = None, length: int | None = None) -> bytes:
    """One gzip member, its checksum and length right unless given."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = compressor.compress(content) + compressor.flush()
    crc = zlib.crc32(content) if crc is None else crc
    length = len(content) & 0xFFFFFFFF if length is None else length
    return header + body + crc.to_bytes(4, "little") + length.to_bytes(4, "little")


def block(
    name: bytes,
    kind: bytes = b"0",
    size: int | bytes = 0,
    *,
    link: bytes = b"",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    mtime: bytes = b"00000000000\0",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    device: bytes = b"0000000\0",
    uname: bytes = b"root",
    checksum: bytes | None = None,
) -> bytes:
    """One ustar header block."""
    number = size if isinstance(size, bytes) else b"%011o\0" % size
    head = name.ljust(100, b"\0") + mode + uid + b"0000000\0" + number.ljust(12, b"\0") + mtime
    tail = kind + link.ljust(100, b"\0") + magic.ljust(8, b"\0") + uname.ljust(32, b"\0") + b"root".ljust(32, b"\0")
    tail += device + device + prefix.ljust(155, b"\0") + bytes(12)
    total = b"%06o\0 " % sum(head + b" " * 8 + tail) if checksum is None else checksum
    return head + total + tail


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def record(key: str | bytes, value: bytes | str) -> bytes:
    """One PAX record with its length."""
    name = key.encode() if isinstance(key, str) else key
    body = b" " + name + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def extended(body: bytes, kind: bytes = b"x") -> bytes:
    """An extended header with this body."""
    return block(b"PaxHeaders.0/x", kind, len(body)) + padded(body)


def directory(name: bytes) -> bytes:
    return block(name, b"5", mode=b"0000755\0")


def file(name: bytes, content: bytes = b"x", *, pax: bytes | None = None, **fields: bytes) -> bytes:
    """A file as apk wants it: with its SHA-1 record, unless `pax` replaces that."""
    body = record(CHECKSUM, hashlib.sha1(content).hexdigest()) if pax is None else pax
    return (extended(body) if body else b"") + block(name, b"0", len(content), **fields) + padded(content)


END = bytes(1024)
USR = directory(b"usr")


def pkginfo(data_hash: str, **changes: str | None) -> bytes:
    """`.PKGINFO` of `demo-1.0-r0`; a value None leaves the line out."""
    lines: dict[str, str | None] = {
        "pkgname": "demo", "pkgver": "1.0-r0", "arch": "x86_64", "size": "1", "pkgdesc": "a demo", "url": "https://example.com",
        "depend": "libc>=1", "datahash": data_hash,
    }  # fmt: skip
    lines.update(changes)
    return "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None).encode()


def control_file(name: bytes, content: bytes) -> bytes:
    """An entry of the control section."""
    return block(name, b"0", len(content)) + padded(content)


def package(
    data: bytes = USR,
    *,
    info: bytes | None = None,
    control: bytes = b"",
    control_tar: bytes | None = None,
    signature: bytes = b"",
    data_member: bytes | None = None,
    tail: bytes = b"",
    **changes: str | None,
) -> bytes:
    """A package around the tar `data`, to which the end blocks are added.

    `changes`: lines of `.PKGINFO`; `info`: all of it; `control`: further control entries; `control_tar`: all of them;
    `signature`: tar of the signature section; `data_member`: the whole third member; `tail`: bytes after it.
    """
    member = gz(data + END) if data_member is None else data_member
    text = pkginfo(hashlib.sha256(member).hexdigest(), **changes) if info is None else info
    entries = control_file(b".PKGINFO", text) + control if control_tar is None else control_tar
    return (gz(signature) if signature else b"") + gz(entries) + member + tail


def index(text: str, *, signature: bytes = b"", description: bytes = b"test", tail: bytes = b"") -> bytes:
    """An index file."""
    body = text.encode()
    entries = control_file(b"DESCRIPTION", description) + control_file(b"APKINDEX", body)
    return (gz(signature) if signature else b"") + gz(entries + END) + tail


def identity(seed: int = 0) -> str:
    return "Q1" + b64encode(hashlib.sha1(str(seed).encode()).digest()).decode()


def index_record(seed: int = 0, **changes: str | None) -> str:
    """A record; keys are letters, None leaves a line out."""
    lines: dict[str, str | None] = {
        "C": identity(seed), "P": f"demo{seed}", "V": "1.0-r0", "A": "x86_64", "S": "10", "I": "20", "T": "a demo",
        "U": "", "L": "MIT",
    }  # fmt: skip
    lines.update(changes)
    return "".join(f"{letter}:{value}\n" for letter, value in lines.items() if value is not None)
