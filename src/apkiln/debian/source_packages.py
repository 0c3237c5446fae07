"""Source packages of a Debian archive: which files they have, found by name or by digest (spec platform.md §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apkiln.core.errors import FormatError, UnavailableError
from apkiln.core.origin import Origin
from apkiln.debian.snapshot import SuiteList
from apkiln.formats.deb.deb822 import Stanza, parse_stanza
from apkiln.formats.deb.version import sort_key
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.system.package_archive import WantedFile

_CHECKSUM = re.compile(r"\s*([0-9a-f]{64})\s+(\d{1,15})\s+(\S+)\s*")
_NAME = re.compile(rb"^Package: *(\S+)", re.MULTILINE)
_ORIGINAL = re.compile(r"\.orig(-[A-Za-z0-9-]+)?\.tar\.(gz|xz|bz2|zst|lzma)$|^[^_]+_[^_-]+\.tar\.(gz|xz|bz2|zst)$")


class SourceFile(NamedTuple):
    """One file of a source package."""

    name: str
    wanted: WantedFile

    @property
    def is_original(self) -> bool:
        """Upstream's archive, or the only one of a package that Debian itself makes."""
        return _ORIGINAL.search(self.name) is not None


class SourcePackage(NamedTuple):
    """One stanza of a `Sources` list."""

    name: str
    version: str
    suite: str
    files: tuple[SourceFile, ...]
    release_sha256: str
    """Of the signed release that vouches for it."""
    signed_by: tuple[str, ...]
    """Fingerprints of the keys that signed that release."""
    archive: str
    """URI of the archive, without credentials."""
    homepage: str = ""
    repacked: bool = False
    """Debian took something out: the original is not upstream's file."""

    @property
    def originals(self) -> tuple[SourceFile, ...]:
        return tuple(file for file in self.files if file.is_original)

    def file(self, name: str) -> SourceFile | None:
        return next((file for file in self.files if file.name == name), None)

    def packaging(self) -> SourceFile | None:
        """The archive with Debian's own files."""
        return next((file for file in self.files if ".debian.tar." in file.name), None)


class SourceCatalogue:
    """All source packages of verified lists.  Looking up costs one search through the text."""

    def __init__(self, lists: Sequence[SuiteList]) -> None:
        self._lists = tuple(lists)

    def package(self, name: str, version: str = "") -> SourcePackage:
        """The newest of that name, or the one of `version`, with or without its Debian revision.

        Raises UnavailableError `unknown-source-package`, FormatError `control-field`.
        """
        found = [package for package in self._named(name) if not version or version in _spellings(package.version)]
        if found:
            return max(found, key=lambda package: sort_key(package.version))
        known = [package.version for package in self._named(name)]
        hint = "it has " + ", ".join(f"`{one}`" for one in sorted(known, key=sort_key)) if known else self._similar(name)
        wanted = f"{name} {version}".strip()
        raise UnavailableError(f"no source package `{wanted}` in the archives", reason="unknown-source-package", hint=hint)

    def with_file(self, sha256: str) -> tuple[SourcePackage, SourceFile] | None:
        """The package that has a file of this digest (64 hex digits), and the file."""
        for item in self._lists:
            position = item.text.find(b" " + sha256.encode() + b" ")
            if position >= 0:
                package = _package(_stanza_at(item.text, position), item)
                file = next((one for one in package.files if one.wanted.sha256 == sha256), None)
                if file is not None:
                    return package, file
        return None

    def _named(self, name: str) -> Iterator[SourcePackage]:
        pattern = re.compile(rb"^Package: *" + re.escape(name.encode()) + rb"\r?$", re.MULTILINE)
        for item in self._lists:
            for found in pattern.finditer(item.text):
                yield _package(_stanza_at(item.text, found.start()), item)

    def _similar(self, name: str) -> str:
        known = {found[1].decode("ascii", "replace") for item in self._lists for found in _NAME.finditer(item.text)}
        guess = nearest(name, sorted(known))
        return f"did you mean `{guess}`?" if guess else ""


def _spellings(version: str) -> tuple[str, ...]:
    """A Debian version and what upstream calls it."""
    upstream = version.partition(":")[2] or version
    upstream = upstream.rpartition("-")[0] or upstream
    return (version, upstream, re.sub(r"[+~](dfsg|ds)\S*$", "", upstream))


def _stanza_at(text: bytes, position: int) -> Stanza:
    start = text.rfind(b"\n\n", 0, position)
    end = text.find(b"\n\n", position)
    return parse_stanza(text[start + 2 if start >= 0 else 0 : end if end >= 0 else len(text)])


def _package(stanza: Stanza, item: SuiteList) -> SourcePackage:
    name, version = stanza.get("Package"), stanza.get("Version")
    files: list[SourceFile] = []
    for line in stanza.get("Checksums-Sha256").splitlines():
        found = _CHECKSUM.fullmatch(line)
        if found is None and line.strip():
            message = f"`{line[:80]}` is no checksum of a file"
            raise FormatError(message, reason="control-field", origin=Origin(item.source, package=name))
        if found is not None and "/" not in found[3]:
            path = f"{stanza.get('Directory').strip('/')}/{found[3]}"
            files.append(SourceFile(found[3], WantedFile(item.release, path, int(found[2]), found[1])))
    repacked = re.search(r"[+~.](dfsg|ds)", version) is not None
    archive = item.source.rpartition(" ")[0]
    return SourcePackage(
        name, version, item.suite, tuple(files), item.release_sha256, item.signed_by, archive, stanza.get("Homepage"), repacked
    )
