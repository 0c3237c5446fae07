"""Facts of files gathered while something else reads them: each content passes once (spec package.md §21)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from apkiln.core.limits import KIB, MIB
from apkiln.core.pattern import pattern
from apkiln.formats.apk.payload import KEPT, ContentReader
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.elf import read_object
from apkiln.formats.go_build_info import read_go_build_info
from apkiln.package.analysis.facts import (
    BUILD_PATH,
    DAMAGED_ELF,
    PLAIN_TEXT,
    PRIVATE_KEY,
    TOO_LARGE,
    FileFacts,
    TreeFacts,
)
from apkiln.package.analysis.interpreters import LONGEST
from apkiln.package.analysis.kernels import image_version, module_version

HELD = 256 * MIB
"""A file between `payload.KEPT` and this is kept in memory from the reading that gives its digest to the one that packs it."""
DUPLICATE = KIB
"""Smaller files are not compared with each other."""
_HEAD = 4 * KIB
_TEXT = MIB
"""Largest file that is kept as text."""
_BUILD = b"/home/build"
_KEY = pattern(rb"\s*-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
_COMMANDS = ("bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/local/bin/", "usr/local/sbin/")
_MODULES = ("lib/modules/", "usr/lib/modules/")
_MODULE_NAME = pattern(r".*\.ko(\.(gz|xz|zst))?")
_NO_IMAGE = pattern(r"(?:.*/)?(?:System\.map|config|init(?:rd|ramfs)|modules)[^/]*|.*\.(?:ko(?:\..*)?|[ch]|txt|dtb|sh|S)")


class Observer:
    """Watches one package's contents pass by.  Use it for one tree, from one thread."""

    def __init__(self, package: str, entries: Iterable[Entry]) -> None:
        self._package = package
        self._entries = tuple(sorted(entries, key=walk_key))
        self._files = {entry.path: entry for entry in self._entries if entry.type is EntryType.FILE}
        self._alike = alike_files(self._files.values())
        self._facts: dict[str, FileFacts] = {}
        self._held: tuple[str, list[bytes]] = ("", [])

    def reader(self, content: ContentReader) -> ContentReader:
        """The same contents.  A reading that is not finished leaves no facts."""

        def read(path: str) -> Iterable[bytes]:
            held, chunks = self._held
            if held == path:
                self._held = ("", [])
                return chunks
            passing = content(path)
            if type(passing) is tuple and len(passing) == 1 and self._files[path].size <= KEPT:
                # All of it is there: looked at now, without a generator between.
                self._learn(self._files[path], list(passing), whole=True)
                return passing
            return self._observed(self._files[path], passing)

        return read

    def observe(self, content: ContentReader) -> TreeFacts:
        """Read every file for its facts alone."""
        read = self.reader(content)
        for path in self._files:
            for _ in read(path):
                pass
            self._held = ("", [])
        return self.facts()

    def facts(self) -> TreeFacts:
        """What was learned, after all files were read."""
        return TreeFacts(self._package, self._entries, self._facts)

    def _observed(self, entry: Entry, chunks: Iterable[bytes]) -> Iterator[bytes]:
        kept: list[bytes] = []
        whole = entry.size <= HELD
        for chunk in chunks:
            if whole or not kept:
                kept.append(chunk)
            yield chunk
        self._learn(entry, kept, whole=whole)
        if KEPT < entry.size <= HELD:
            self._held = (entry.path, kept)

    def _learn(self, entry: Entry, chunks: list[bytes], *, whole: bool) -> None:
        if not entry.size or not chunks or entry.path in self._facts:
            return
        alike = bool(self._alike) and (entry.path.rpartition("/")[2], entry.size) in self._alike
        facts = file_facts(entry, chunks, whole=whole, alike=alike)
        if facts is not None:
            self._facts[entry.path] = facts


def walk_key(entry: Entry) -> list[bytes]:
    """Order of a walk: each directory before its content, names bytewise."""
    return entry.path.encode("utf-8", "surrogateescape").split(b"/")


def alike_files(entries: Iterable[Entry]) -> frozenset[tuple[str, int]]:
    """(base name, size) of files that could be copies of one another."""
    files = (entry for entry in entries if entry.size >= DUPLICATE)
    counts = Counter((entry.path.rpartition("/")[2], entry.size) for entry in files)
    return frozenset(pair for pair, count in counts.items() if count > 1)


def file_facts(entry: Entry, chunks: list[bytes], *, whole: bool, alike: bool) -> FileFacts | None:
    """Facts of one file that is not empty; None when there are none.

    `whole`: `chunks` are the complete content, else only its beginning.  `alike`: its digest is wanted.
    """
    head = _head(chunks)
    path = entry.path
    marks: tuple[str, ...] = () if whole else (TOO_LARGE,)
    if _has(chunks, _BUILD):
        marks += (BUILD_PATH,)
    elf = None
    first_line = text = b""
    go: tuple[tuple[str, str], ...] = ()
    if head.startswith(b"\x7fELF"):
        content = _joined(chunks)
        elf = read_object(content)
        if elf is not None and elf.go:
            found = read_go_build_info(content)
            go = () if found is None else found.settings
        marks += (DAMAGED_ELF,) if elf is None and whole else ()
    elif head.startswith(b"#!"):
        first_line = head[:LONGEST].partition(b"\n")[0]
    elif entry.mode & 0o111 and path.startswith(_COMMANDS) and b"\0" not in head[:_HEAD]:
        marks += (PLAIN_TEXT,)
    if head[:64].lstrip().startswith(b"-----BEGIN") and _KEY.match(head):
        marks += (PRIVATE_KEY,)
    if entry.size <= _TEXT and (path.endswith(".pc") or (path.endswith(".conf") and path.startswith("etc/ld.so.conf.d/"))):
        text = _joined(chunks)
    kernel = _kernel(path, chunks) if path.startswith(("boot/", *_MODULES)) else ""
    digest = _sha256(chunks) if alike and whole else b""
    if not (marks or first_line or text or kernel or digest) and elf is None:
        return None
    return FileFacts(elf, first_line, text, kernel, digest, go, tuple(sorted(marks)))


def is_module(path: str) -> bool:
    """Whether a file is a kernel module by its name."""
    return path.startswith(_MODULES) and _MODULE_NAME.fullmatch(path) is not None


def _kernel(path: str, chunks: list[bytes]) -> str:
    if is_module(path):
        return module_version(_joined(chunks))
    return "" if _NO_IMAGE.fullmatch(path) else image_version(_joined(chunks))


def _head(chunks: list[bytes]) -> bytes:
    """At least the first `_HEAD` bytes, where there are so many."""
    if len(chunks) == 1 or len(chunks[0]) >= _HEAD:
        return chunks[0]
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD:
            break
    return head


def _joined(chunks: list[bytes]) -> bytes:
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _has(chunks: list[bytes], wanted: bytes) -> bool:
    """Whether the content holds `wanted`, also across the border of two chunks."""
    tail = b""
    for chunk in chunks:
        if wanted in chunk or (tail and wanted in tail + chunk[: len(wanted) - 1]):
            return True
        tail = (tail + chunk)[1 - len(wanted) :] if len(chunk) < len(wanted) else chunk[1 - len(wanted) :]
    return False


def _sha256(chunks: list[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
