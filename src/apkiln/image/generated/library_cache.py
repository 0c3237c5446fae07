"""`/etc/ld.so.cache`, where the loader of glibc finds libraries outside of its own directories (spec image.md §5.1 step 16)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from apkiln.formats.elf import ElfFacts
    from apkiln.formats.library_cache import Library

RULE = "library-cache"
PATH = "etc/ld.so.cache"
CONFIGURATION = "etc/ld.so.conf"
_FIRST_DIRECTORY = "/lib"
_LIBRARY = pattern(r"(?:lib|ld-).*\.so")
_INCLUDE_LIMIT = 8
"""Depth of `include`."""
_ELF = {
    "x86": (3, 32),
    "x86_64": (62, 64),
    "aarch64": (183, 64),
    "armhf": (40, 32),
    "armv7": (40, 32),
    "ppc64le": (21, 64),
    "s390x": (22, 64),
    "riscv64": (243, 64),
    "loongarch64": (258, 64),
}
"""ELF machine and class of an architecture (apk name)."""

ElfReader: TypeAlias = "Callable[[str], ElfFacts | None]"
"""Facts of the FILE at a path of the draft; None when it is no ELF file."""


class Candidate(NamedTuple):
    """A path that is named like a library."""

    directory: str
    """Absolute, as configured."""
    name: str
    final: str
    """Path of the file that it is or leads to."""
    is_link: bool


def library_cache(draft: Draft, arch: Arch, elf: ElfReader) -> None:
    """Rule `library-cache`: written only when `/etc/ld.so.conf` exists.  `/lib` comes first, then the configured directories."""
    if draft.file_at(CONFIGURATION):
        from apkiln.formats.library_cache import write_cache

        libraries = _libraries(candidates(draft), arch, elf)
        draft.put(RULE, Entry(PATH, EntryType.FILE), write_cache(libraries, arch.apk))


def candidates(draft: Draft) -> tuple[Candidate, ...]:
    """Everything that may become a row: directories in their order, the names of each sorted."""
    directories = dict.fromkeys((_FIRST_DIRECTORY, *_read_configuration(draft, CONFIGURATION, _INCLUDE_LIMIT)))
    return tuple(candidate for directory in directories for candidate in _candidates(draft, directory))


def _candidates(draft: Draft, directory: str) -> Iterator[Candidate]:
    for path in draft.children(draft.resolve(directory.strip("/"))):
        name = path.rpartition("/")[2]
        if _LIBRARY.match(name) and not name.endswith(".py"):
            final = draft.file_at(path)
            if final:
                yield Candidate(directory, name, final, final != path)


def _libraries(found: Iterable[Candidate], arch: Arch, elf: ElfReader) -> Iterator[Library]:
    """Rows: a link under its own name, a file under its SONAME; within a directory links win."""
    from apkiln.formats.library_cache import Library

    for _, group in groupby(found, key=lambda candidate: candidate.directory):
        links, files = [], []
        for candidate in group:
            facts = elf(candidate.final)
            if facts is None or (facts.machine, facts.bits) != _ELF.get(arch.apk, (facts.machine, facts.bits)):
                continue
            path = f"{candidate.directory}/{candidate.name}"
            if not candidate.is_link and facts.soname not in ("", candidate.name):
                files.append(Library(facts.soname, path))
            else:
                links.append(Library(candidate.name, path))
        yield from (*links, *files)


def _read_configuration(draft: Draft, path: str, depth: int) -> Iterator[str]:
    for line in draft.read(path).decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] != "include":
            yield "/" + words[0].partition("=")[0].strip("/")
            continue
        for glob in words[1:] if depth else ():
            for included in _matching(draft, glob):
                yield from _read_configuration(draft, included, depth - 1)


def _matching(draft: Draft, pattern: str) -> tuple[str, ...]:
    """Files that an include pattern names, sorted; relative patterns start at `/etc`.  Wildcards in the last component only."""
    from fnmatch import fnmatchcase

    absolute = pattern.strip("/") if pattern.startswith("/") else f"etc/{pattern}"
    directory, _, name = absolute.rpartition("/")
    found = draft.children(draft.resolve(directory))
    return tuple(path for path in found if fnmatchcase(path.rpartition("/")[2], name) and draft.file_at(path))
