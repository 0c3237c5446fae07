"""What names of files tell (spec package.md §14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from apkiln.core.pattern import pattern
from apkiln.package.analysis.linters.scene import LintScene, Report, listed, tabulated

_X86 = ("i386", "i686", "x86_32", "x86-32")
_POWER = ("ppc64", "ppc64el", "ppc64le", "powerpc")
_MIPS = ("mips", "mipsel", "mips64", "mips64el")
_FOREIGN = frozenset((*_X86, *_POWER, *_MIPS, "s390x", "s390", "riscv", "riscv64", "sparc", "sparc64", "ia64", "m68k"))
_SUPPORTED = pattern(r"(?<![A-Za-z0-9])(?:x86[_-]64|aarch64|amd64|arm64)(?![A-Za-z0-9])")
_WORDS = "|".join(sorted(map(re.escape, _FOREIGN), key=len, reverse=True))
_IN_NAMES = pattern(rf"(?<=[-_.])({_WORDS})(?=[-_.]|$)")
_IN_DIRECTORIES = pattern(rf"(?:^|/)({_WORDS})(?=[-_./]|$)")
_PLATFORMS = pattern(r"(?<![a-z0-9])(?:(darwin|mac[-_]?os|os[-_]?x)|(windows|win32|win64))(?![a-z])")
_ANY_PLATFORM = ("darwin", "macos", "mac-os", "mac_os", "osx", "os-x", "os_x", "windows", "win32", "win64")
"""What `_PLATFORMS` finds, in words."""
_DRIVERS = pattern(r"usr/lib/lib(?:cuda|nvidia-ml)\.so(?:\.[0-9]+)*")


def libtool_archives(scene: LintScene) -> Iterator[Report]:
    return _ending(scene, ".la", "has libtool archives")


def windows_libraries(scene: LintScene) -> Iterator[Report]:
    return _ending(scene, ".dll", "has libraries for Windows", "-dev")


def macos_libraries(scene: LintScene) -> Iterator[Report]:
    return _ending(scene, ".dylib", "has libraries for macOS", "-dev")


def objects(scene: LintScene) -> Iterator[Report]:
    return _ending(scene, ".o", "has object files")


def static_archives(scene: LintScene) -> Iterator[Report]:
    return _ending(scene, ".a", "has static archives", "-dev", "-static")


def _ending(scene: LintScene, suffix: str, message: str, *allowed: str) -> Iterator[Report]:
    if not (allowed and scene.is_one_of(*allowed)):
        yield from listed(scene.ending(suffix), message)


def graphics_drivers(scene: LintScene) -> Iterator[Report]:
    return listed(scene.matching(_DRIVERS, "usr/lib/lib"), "has libraries that a container gets from its host")


def foreign_architectures(scene: LintScene) -> Iterator[Report]:
    own = {scene.arch.apk, *scene.arch.oci.split("/"), scene.arch.debian}

    def arch(path: str) -> str:
        directory, _, name = path.lower().rpartition("/")
        match = _IN_DIRECTORIES.search(directory)
        if match is None and not _SUPPORTED.search(path):
            match = _IN_NAMES.search(name)
        found = "" if match is None else match[1]
        return "" if found in own else found

    return _classified(scene, arch, "arch", _FOREIGN, "files", "has files for architectures that are not built for")


def foreign_platforms(scene: LintScene) -> Iterator[Report]:
    def platform(path: str) -> str:
        found = _PLATFORMS.search(path.lower())
        return "" if found is None else "macos" if found[1] else "windows"

    return _classified(scene, platform, "platform", _ANY_PLATFORM, "references", "has files for other operating systems")


def _classified(
    scene: LintScene, kind: Callable[[str], str], key: str, words: Iterable[str], rows_name: str, message: str
) -> Iterator[Report]:
    # Most packages have none of the words anywhere, which a search for each in all paths at once tells soonest.
    text = "\n".join(scene.files).lower()
    candidates = scene.files if any(word in text for word in words) else ()
    found = ((path, kind(path)) for path in candidates)
    return tabulated(((("path", path), (key, value)) for path, value in found if value), rows_name, message)
