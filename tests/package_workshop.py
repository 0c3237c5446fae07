"""Trees in memory, their analysis and their emission, for tests of packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from tests.sample_definitions import resolved
from tests.sample_elf import make_elf

from apkiln.core.arch import Arch
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.policy import PackagePolicy
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent
from apkiln.formats.deflate.codec import Codec, canonical_codec
from apkiln.package.analysis.concluding import conclude
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.observing import Observer
from apkiln.package.compilation.embedding import embedded
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.emission.emitting import EmissionAccess, emit
from apkiln.package.emission.request import EmissionRequest, EmittedPackage
from apkiln.package.output_tree import OutputTree
from apkiln.system.files import Files
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.spool import MemorySpools

X86_64 = Arch.parse("x86_64")
OUT = PurePosixPath("/out")
DEMO = "package: {name: demo, version: '1.2', epoch: 3, copyright: [{license: MIT}]}\n"
LOADER = "/lib64/ld-linux-x86-64.so.2"


def file(path: str, content: bytes = b"", mode: int = 0o644, **fields: Any) -> tuple[Entry, bytes]:
    """A regular file and its content."""
    return Entry(path, EntryType.FILE, mode, size=len(content), **fields), content


def link(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.SYMLINK, 0o777, target=target), b""


def hard_link(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.HARDLINK, target=target), b""


def directory(path: str, mode: int = 0o755) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.DIRECTORY, mode), b""


def library(soname: str = "", needed: Sequence[str] = (), runpath: str = "") -> bytes:
    """A shared object."""
    return make_elf(64, "<", tuple(needed), soname, "", runpath)


def program(needed: Sequence[str] = (), runpath: str = "") -> bytes:
    return make_elf(64, "<", tuple(needed), "", LOADER, runpath)


def with_parents(items: Iterable[tuple[Entry, bytes]]) -> tuple[tuple[Entry, ...], dict[str, bytes]]:
    """Entries with the directories above them, and contents by path."""
    listed = list(items)
    entries = {entry.path: entry for entry, _ in listed}
    for entry, _ in listed:
        above = parent(entry.path)
        while above:
            entries.setdefault(above, Entry(above, EntryType.DIRECTORY, 0o755))
            above = parent(above)
    return tuple(entries.values()), {entry.path: content for entry, content in listed}


def tree(*items: tuple[Entry, bytes], package: str = "demo") -> OutputTree:
    entries, contents = with_parents(items)
    return OutputTree(package, entries, lambda path: (contents[path],))


def observed(*items: tuple[Entry, bytes], package: str = "demo") -> TreeFacts:
    output = tree(*items, package=package)
    return Observer(package, output.entries).observe(output.content)


def definition(text: str = DEMO) -> PackageDefinition:
    return embedded(resolved(text, {"strip": "pipeline: []\n"}).definition)


def analysed(*items: tuple[Entry, bytes], text: str = DEMO, siblings: Sequence[TreeFacts] = (), **fields: Any) -> Analysis:
    """The main package of a definition with these files."""
    shown = definition(text)
    facts = observed(*items, package=shown.package.name.text)
    return conclude(facts, AnalysisContext(X86_64, shown, tuple(siblings), **fields))


def request(text: str = DEMO, **fields: Any) -> EmissionRequest:
    return EmissionRequest(definition(text), X86_64, **fields)


def emission(
    asked: EmissionRequest,
    *trees: OutputTree,
    files: Files | None = None,
    signers: Sequence[SectionSigner] = (),
    codec: Codec | None = None,
    executor: Any = None,
) -> tuple[tuple[EmittedPackage, ...], Files]:
    """What `emit` says and the files it wrote to."""
    place = files if files is not None else MemoryFiles()
    access = EmissionAccess(place, OUT, MemorySpools(), codec or canonical_codec(), signers, executor)
    return emit(asked, trees, access), place


def written(asked: EmissionRequest, *trees: OutputTree, **fields: Any) -> dict[str, bytes]:
    """Published files by name."""
    files = MemoryFiles()
    emission(asked, *trees, files=files, **fields)
    return {path.rpartition("/")[2]: content for path, content in files.snapshot().items()}


def read(package: bytes, policy: PackagePolicy | None = None) -> tuple[PackageContents, Mapping[str, bytes]]:
    """A package, verified, with the contents of its files."""
    found: dict[str, bytes] = {}

    class Receiver:
        def add(self, entry: Entry, content: Iterator[bytes]) -> None:
            found[entry.path] = b"".join(content)

    return read_package(BytesIO(package), policy=policy or PackagePolicy(), receiver=Receiver()), found


def go_build_info(version: str, settings: Mapping[str, str], flags: int = 2) -> bytes:
    """What the Go linker writes."""

    def text(content: bytes) -> bytes:
        length, head = len(content), b""
        while True:
            digit, length = length & 0x7F, length >> 7
            head += bytes([digit | (0x80 if length else 0)])
            if not length:
                return head + content

    module = "".join(f"build\t{name}={value}\n" for name, value in settings.items())
    fenced = bytes(16) + b"path\tx\n" + module.encode() + bytes(16)
    return b"\xff Go buildinf:" + bytes([8, flags]) + bytes(16) + text(version.encode()) + text(fenced)


def go_program(settings: Mapping[str, str]) -> bytes:
    """A program with build information and the section that says so."""
    data = bytearray(program())
    names = b"\0.shstrtab\0.go.buildinfo\0"
    data += bytes(-len(data) % 16) + go_build_info("go1.22", settings)
    offset = len(data)
    data += names
    table = len(data)
    data += bytes(64) + bytes(24) + offset.to_bytes(8, "little") + len(names).to_bytes(8, "little") + bytes(24)
    data[40:48] = table.to_bytes(8, "little")
    data[58:64] = (64).to_bytes(2, "little") + (2).to_bytes(2, "little") + (1).to_bytes(2, "little")
    return bytes(data)
