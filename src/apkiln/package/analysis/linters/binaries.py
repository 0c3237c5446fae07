"""Programs and libraries (spec package.md §14)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apkiln.core.pattern import pattern
from apkiln.formats.archive.entry import Entry
from apkiln.formats.elf import ElfObject
from apkiln.package.analysis.finding import Row
from apkiln.package.analysis.linters.scene import SBOM, LintScene, Report, listed, tabulated
from apkiln.package.definition.model import PackageTest, Step

_MACHINES = {
    "x86": (3,),
    "x86_64": (62,),
    "aarch64": (183,),
    "armhf": (40,),
    "armv7": (40,),
    "loongarch64": (258,),
    "ppc64le": (21,),
    "riscv64": (243,),
    "s390x": (22,),
}
_FAMILIES = {3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390", 40: "arm", 243: "riscv"}
_MACHINE_NAMES = {number: arch for arch, numbers in _MACHINES.items() for number in numbers} | _FAMILIES
_ANYWHERE = (0, 247)
"""Machines that are no processors: none, and the kernel's own (BPF)."""
_LIBRARY_NAME = pattern(r".*\.(?:a|dylib|so(?:\.[0-9]+)*)")
_SHARED_OBJECT = pattern(r".*\.so(?:\.[0-9]+)*")
_ORIGIN = ("$ORIGIN", "${ORIGIN}", "/usr/")
_LDD_TESTS = ("test/ldd-check", "test/tw/ldd-check")
_PKG_CONFIG_TESTS = ("test/pkgconf", "test/tw/pkgconf")
_EXECUTABLE_TYPE = 2


def _objects(scene: LintScene) -> Iterator[tuple[Entry, ElfObject]]:
    for entry, facts in scene.tree.examined():
        if facts.elf is not None and not entry.path.startswith(SBOM):
            yield entry, facts.elf


def architectures(scene: LintScene) -> Iterator[Report]:
    right = (*_MACHINES.get(scene.arch.apk, ()), *_ANYWHERE)

    def rows() -> Iterator[Row]:
        for entry, elf in _objects(scene):
            machine = elf.facts.machine
            if (entry.mode & 0o111 or _LIBRARY_NAME.fullmatch(entry.path)) and machine not in right:
                yield (("path", entry.path), ("arch", _MACHINE_NAMES.get(machine, f"machine {machine}")))

    return tabulated(rows(), "binaries", f"has binaries that are not for {scene.arch.apk}") if len(right) > 2 else iter(())


def unstripped(scene: LintScene) -> Iterator[Report]:
    if scene.is_one_of("-dbg", "-debug"):
        return
    found = (entry.path for entry, elf in _objects(scene) if elf.debug and not re.search(r"\.ko(\.[a-z]+)?$", entry.path))
    yield from listed(found, "has binaries with debugging data")


def run_paths(scene: LintScene) -> Iterator[Report]:
    found = (
        entry.path for entry, elf in _objects(scene) if any(not f"{item}/".startswith(_ORIGIN) for item in elf.facts.runpath)
    )
    return listed(found, "has binaries that look for libraries outside `$ORIGIN` and `/usr`")


def hardening(scene: LintScene) -> Iterator[Report]:
    rows = ((("path", entry.path), ("missing", missing)) for entry, elf in _objects(scene) if (missing := _unprotected(elf)))
    return tabulated(rows, "binaries", "has binaries without usual protections")


def _unprotected(elf: ElfObject) -> tuple[str, ...]:
    facts = elf.facts
    if not (facts.interpreter or facts.needed or facts.soname):
        return ()
    missing = {
        "position-independent": elf.type != _EXECUTABLE_TYPE,
        "read-only relocations": elf.relro,
        "immediate binding": elf.bind_now,
        "non-executable stack": not elf.executable_stack,
        "stack protector": elf.stack_protector,
    }
    return tuple(name for name, present in missing.items() if not present)


def missing_needed(scene: LintScene) -> Iterator[Report]:
    """Libraries that nothing the package depends on or brings is known to have."""
    known = {item.partition(">")[0].partition("=")[0] for item in (*scene.depends, *scene.provides, *scene.vendored)}
    trees = (scene.tree, *scene.siblings)

    def is_missing(name: str) -> bool:
        return f"so:{name}" not in known and not any(name in tree.names for tree in trees)

    rows = (
        (("path", entry.path), ("libraries", missing))
        for entry, elf in _objects(scene)
        if (missing := tuple(sorted(filter(is_missing, elf.facts.needed))))
    )
    return tabulated(rows, "binaries", "has binaries that need libraries which no dependency brings")


def untested_libraries(scene: LintScene) -> Iterator[Report]:
    found = [path for path in scene.files if ".so" in path and _SHARED_OBJECT.fullmatch(path.rpartition("/")[2])]
    if not uses(scene.part.test, _LDD_TESTS):
        yield from listed(found, "has shared objects and no test with `test/ldd-check`")


def untested_modules(scene: LintScene) -> Iterator[Report]:
    found = scene.below("usr/lib/pkgconfig/", "usr/share/pkgconfig/")
    if not uses(scene.part.test, _PKG_CONFIG_TESTS):
        yield from listed(found, "has pkg-config modules and no test with `test/pkgconf`")


def uses(test: PackageTest | None, pipelines: tuple[str, ...]) -> bool:
    """Whether a test has a step, at any depth, of one of the named pipelines."""
    return test is not None and any(_is_used(step, pipelines) for step in test.pipeline)


def _is_used(step: Step, pipelines: tuple[str, ...]) -> bool:
    return step.uses.text in pipelines or any(_is_used(inner, pipelines) for inner in step.pipeline)
