"""Shared objects: what programs need, what libraries provide (spec package.md §13.2, 0 and 1)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.elf import ElfFacts
from apkiln.package.analysis.directories import lies_in
from apkiln.package.analysis.generators.relations import Relations, Scene
from apkiln.package.analysis.tree import REGULAR, Tree

DIRECTORIES = ("lib", "usr/lib", "lib64", "usr/lib64")
"""Where the loader looks."""
_CONFIGURATION = "etc/ld.so.conf.d/"
_LOADERS = ("ld-linux-x86-64.so", "ld-linux-aarch64.so")
_NUMBERS = pattern(r"[0-9.]+")


def shared_objects(scene: Scene, relations: Relations) -> None:
    """Interpreter, needed libraries and own name of every ELF file, through links as well."""
    directories = (*DIRECTORIES, *sorted(_extra_directories(scene.siblings)))
    versioned = scene.rules.versioned_libraries and not scene.part.options.no_versioned_shlib_deps
    versions = _names_provided(scene.siblings, directories) if versioned else None
    for entry in scene.tree.entries:
        if entry.type is EntryType.SYMLINK:
            _link(entry, directories, scene, relations)
        facts = _elf(scene.tree, entry)
        if facts is not None:
            _needs(facts, scene, relations)
            if versions is not None:
                _needs_versions(facts, versions, scene, relations)
            _provides(entry.path, facts, directories, scene, relations)


def _extra_directories(trees: tuple[Tree, ...]) -> set[str]:
    """Directories named in linker configuration of any package of the build."""
    return {directory for tree in trees for directory in _configured(tree)}


def _configured(tree: Tree) -> Iterator[str]:
    for entry, facts in tree.examined():
        if facts.text and entry.path.startswith(_CONFIGURATION) and entry.path.endswith(".conf"):
            for line in facts.text.decode("utf-8", "replace").splitlines():
                if line.startswith("/"):
                    yield line.strip().strip("/")


def _elf(tree: Tree, entry: Entry) -> ElfFacts | None:
    found: Entry | None = entry
    if entry.type is EntryType.SYMLINK:
        found = tree.resolve(entry.path)
    if found is None or found.type not in REGULAR:
        return None
    elf = tree.facts(found).elf
    return None if elf is None else elf.facts


def _needs(facts: ElfFacts, scene: Scene, relations: Relations) -> None:
    if facts.interpreter:
        name = "so:" + facts.interpreter.rpartition("/")[2]
        relations.depends.add(name.replace("so:ld-musl", "so:libc.musl", 1))
    for library in facts.needed:
        if ".so." in library and library not in scene.rules.host_libraries:
            relations.depends.add(f"so:{library}")


def _names_provided(trees: tuple[Tree, ...], directories: tuple[str, ...]) -> frozenset[str]:
    """Libraries that the packages of the build provide."""
    found = (_elf(tree, entry) for tree in trees for entry in tree.entries if lies_in(entry.path, directories))
    return frozenset(facts.soname for facts in found if facts is not None)


def _needs_versions(facts: ElfFacts, own: frozenset[str], scene: Scene, relations: Relations) -> None:
    """At least the versions that were there when it was linked; of libraries that nobody versions nothing is asked."""
    for library in facts.needed:
        if ".so." not in library or library in scene.rules.host_libraries or library.startswith(_LOADERS):
            continue
        version = scene.version if library in own else scene.guest_provides(f"so-ver:{library}")
        if version:
            relations.depends.add(f"so-ver:{library}>={version}")


def _provides(path: str, facts: ElfFacts, directories: tuple[str, ...], scene: Scene, relations: Relations) -> None:
    directory, _, name = path.rpartition("/")
    is_library = not facts.interpreter or ".so." in name or name.endswith(".so")
    if not facts.soname or not is_library or facts.soname in scene.rules.host_libraries:
        return
    place = relations.provides if directory in directories else relations.vendored
    place.add(f"so:{facts.soname}={library_version(facts.soname)}")
    place.add(f"so-ver:{facts.soname}={scene.version}")


def library_version(soname: str) -> str:
    """The numbers behind `.so.`, `0` when there are none."""
    numbers = soname.partition(".so.")[2].partition(".so.")[0]
    return numbers if _NUMBERS.fullmatch(numbers) else "0"


def _link(entry: Entry, directories: tuple[str, ...], scene: Scene, relations: Relations) -> None:
    """A link to a library, which a sibling may hold, depends on that library: it ties `-dev` to the package it is for."""
    if ".so" not in entry.path:
        return
    name = entry.target.rpartition("/")[2]
    for tree in scene.siblings:
        for directory in directories:
            facts = tree.at(f"{directory}/{name}")
            elf = None if facts is None else _elf(tree, facts)
            if elf is not None and elf.soname:
                if elf.soname not in scene.rules.host_libraries:
                    relations.depends.add(f"so:{elf.soname}")
                return
