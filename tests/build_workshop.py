"""A repository with one package to build upon, made of this machine's shell and tools, for tests that really build.

`fixture-busybox` provides `busybox`: bash as `/bin/sh`, the GNU tools, the libraries they need, and `mkx PATH NAME VALUE`, which
sets an extended attribute.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.apk.index import record_of, write_index
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.files import DiskFiles
from apkiln.system.signer import Signer, generate_key_pair, write_key_pair

ARCH = "x86_64"
TOOLS = (
    *("bash", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dirname", "echo", "env", "expr", "false", "head", "id"),
    *("install", "ln", "ls", "mkdir", "mktemp", "mv", "od", "printf", "pwd", "readlink", "rm", "rmdir", "sleep", "sort", "stat"),
    *("tail", "tee", "test", "touch", "tr", "true", "uname", "uniq", "wc", "find", "xargs", "sed", "grep", "awk", "tar", "gzip"),
    *("base64", "chgrp", "cksum", "comm", "cpio", "dd", "du", "fold", "getopt", "hostname", "link", "nl", "paste", "realpath"),
    *("shuf", "split", "sync", "tac", "timeout", "truncate", "unlink", "unzip", "which", "whoami", "yes"),
    *("bzip2", "xz", "patch", "diff", "cmp", "sha256sum", "sha512sum", "md5sum", "seq", "mknod", "mkfifo", "setpriv", "nproc"),
)
_SETXATTR = bytes.fromhex(
    "488b7c2410488b742418488b5424204d31d242803c12007405 49ffc2ebf44d31c0b8bc0000000f05f7d889c7b83c0000000f05".replace(" ", "")
)
"""x86-64: setxattr(argv[1], argv[2], argv[3], strlen(argv[3]), 0); exit(error)."""


class Fixture(NamedTuple):
    """A signed repository on disk."""

    directory: Path
    key: Path
    """Public."""
    signing_key: Path
    """Private."""


def make_fixture(directory: Path, extra: Mapping[str, bytes] | None = None) -> Fixture:
    """The repository, below `directory`; `extra`: further programs of the package, by path."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = generate_key_pair("fixture.rsa.pub", bits=2048)
    key, private = directory / "fixture.rsa.pub", directory / "fixture.rsa"
    write_key_pair(pair, private, key, DiskFiles(durable=False))
    packages = [("fixture-busybox", "1.35.0-r0", ("busybox=1.35.0-r0",), _files(extra or {}))]
    write_packages(directory / "repository", packages, pair.signer)
    return Fixture(directory / "repository", key, private)


def write_packages(
    repository: Path, packages: Iterable[tuple[str, str, tuple[str, ...], Mapping[str, tuple[Entry, bytes]]]], signer: Signer
) -> tuple[IndexRecord, ...]:
    """Packages (name, version, provides, files) and their index."""
    home = repository / ARCH
    home.mkdir(parents=True, exist_ok=True)
    records = tuple(_package(home, *package) for package in packages)
    (home / "APKINDEX.tar.gz").write_bytes(write_index(records, "fixture", canonical_codec(), (signer,)))
    return records


def _package(
    home: Path, name: str, version: str, provides: tuple[str, ...], files: Mapping[str, tuple[Entry, bytes]]
) -> IndexRecord:
    output = bytearray()
    info = PackageInfo(name, version, ARCH, "a fixture", license="MIT", origin=name, provides=provides)
    draft = PackageDraft(info, tuple(entry for entry, _ in files.values()))
    written = write_package(draft, lambda path: iter((files[path][1],)), canonical_codec(), BytesIO(), output.extend)
    (home / f"{name}-{version}.apk").write_bytes(output)
    return record_of(PackageContents(written.info, written.identity, written.sha256, written.size, (), (), (), ()))


def _files(extra: Mapping[str, bytes]) -> dict[str, tuple[Entry, bytes]]:
    found: dict[str, tuple[Entry, bytes]] = {}

    def add(path: str, content: bytes, mode: int = 0o755) -> None:
        for depth in range(1, path.count("/") + 1):
            above = "/".join(path.split("/")[:depth])
            found.setdefault(above, (Entry(above, EntryType.DIRECTORY, 0o755), b""))
        found[path] = (Entry(path, EntryType.FILE, mode, size=len(content)), content)

    libraries: dict[str, Path] = {}
    for tool in TOOLS:
        place = shutil.which(tool, path="/bin:/usr/bin:/sbin:/usr/sbin")
        if place is not None:
            add(f"bin/{tool}", Path(place).resolve().read_bytes())
            libraries |= _libraries(place)
    for path, library in libraries.items():
        add(path, library.read_bytes())
    add("bin/mkx", _program(_SETXATTR))
    for path, content in extra.items():
        add(path, content)
    found["bin/sh"] = (Entry("bin/sh", EntryType.SYMLINK, 0o777, target="bash"), b"")
    return dict(sorted(found.items()))


def _libraries(program: str) -> dict[str, Path]:
    """Path inside → file, of what a program is linked with."""
    said = subprocess.run(("ldd", program), capture_output=True, text=True, check=False).stdout
    paths = (word for word in said.split() if word.startswith("/"))
    return {path.lstrip("/"): Path(path).resolve() for path in paths}


def _program(code: bytes) -> bytes:
    """A static x86-64 program of one segment."""
    size = 120 + len(code)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + code
