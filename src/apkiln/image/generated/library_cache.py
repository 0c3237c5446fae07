"""`/etc/ld.so.cache`, where the loader of glibc finds libraries outside of its own directories (spec image.md §5.1 step 16)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.elf import ElfFacts
from apkiln.formats.library_cache import Library, write_cache
from apkiln.image.generated.draft import Draft

RULE = "library-cache"
PATH = "etc/ld.so.cache"
CONFIGURATION = "etc/ld.so.conf"
_FIRST_DIRECTORY = "/lib"
_LIBRARY = re.compile(r"(?:lib|ld-).*\.so")
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

ElfReader = Callable[[str], ElfFacts | None]
"""Facts of the FILE at a path of the draft; None when it is no ELF file."""


def library_cache(draft: Draft, arch: Arch, elf: ElfReader) -> None:
    """Rule `library-cache`: written only when `/etc/ld.so.conf` exists.  `/lib` comes first, then the configured directories."""
    if not draft.file_at(CONFIGURATION):
        return
    directories = dict.fromkeys((_FIRST_DIRECTORY, *configured_directories(draft)))
    libraries = [library for directory in directories for library in _libraries(draft, directory, arch, elf)]
    draft.put(RULE, Entry(PATH, EntryType.FILE), write_cache(libraries, arch.apk))


def configured_directories(draft: Draft) -> tuple[str, ...]:
    """Absolute directories of `/etc/ld.so.conf` and what it includes, in order."""
    return tuple(_read_configuration(draft, CONFIGURATION, _INCLUDE_LIMIT))


def candidate_files(draft: Draft) -> tuple[str, ...]:
    """The FILEs that `library_cache` will want facts of, sorted: the key of its memo."""
    found = set()
    for directory in (_FIRST_DIRECTORY, *configured_directories(draft)):
        for path in draft.children(draft.resolve(directory.strip("/"))):
            final = _library_file(draft, path)
            if final:
                found.add(final)
    return tuple(sorted(found))


def _read_configuration(draft: Draft, path: str, depth: int) -> Iterator[str]:
    for line in draft.read(path).decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] != "include":
            yield "/" + words[0].partition("=")[0].strip("/")
            continue
        for pattern in words[1:] if depth else ():
            for included in _matching(draft, pattern):
                yield from _read_configuration(draft, included, depth - 1)


def _matching(draft: Draft, pattern: str) -> tuple[str, ...]:
    """Files that an include pattern names, sorted; relative patterns start at `/etc`.  Wildcards in the last component only."""
    absolute = pattern.strip("/") if pattern.startswith("/") else f"etc/{pattern}"
    directory, _, name = absolute.rpartition("/")
    found = draft.children(draft.resolve(directory))
    return tuple(path for path in found if fnmatchcase(path.rpartition("/")[2], name) and draft.file_at(path))


def _libraries(draft: Draft, directory: str, arch: Arch, elf: ElfReader) -> list[Library]:
    """Rows of one directory: a link under its own name, a file under its SONAME; links win."""
    links, files = [], []
    for path in draft.children(draft.resolve(directory.strip("/"))):
        final = _library_file(draft, path)
        facts = elf(final) if final else None
        if facts is None or (facts.machine, facts.bits) != _ELF.get(arch.apk, (facts.machine, facts.bits)):
            continue
        name = path.rpartition("/")[2]
        if final == path and facts.soname not in ("", name):
            files.append(Library(facts.soname, f"{directory}/{name}"))
        else:
            links.append(Library(name, f"{directory}/{name}"))
    return links + files


def _library_file(draft: Draft, path: str) -> str:
    """The FILE behind a path named like a library; empty when it is none."""
    name = path.rpartition("/")[2]
    if not _LIBRARY.match(name) or name.endswith(".py"):
        return ""
    return draft.file_at(path)
