"""Files of the workspace by which compilers note in each program what package it is of (spec package.md §8.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from apkiln.core.arch import Arch
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.emission.bill import formatted_cpe

_CLANG_VERSIONS = range(15, 43)
_CLANG_ARCHITECTURES = ("x86_64", "aarch64")
_HOME = "/home/build"


def compiler_files(
    definition: PackageDefinition, arch: Arch, namespace: str, *, clang: bool = True
) -> Iterator[tuple[str, bytes]]:
    """(path in the workspace, content), the same whatever the machine.  `clang`: the root has some version of it."""
    note = package_note(definition, arch, namespace)
    option = f"--package-metadata={note}"
    yield ".melange.gcc.spec", f"*link:\n+ %{{!r:{_specs_quoted(option)}}}\n".encode()
    yield ".melange.clang.cfg", f"-Xlinker {_configuration_quoted(option)}\n".encode()
    yield ".melange.fdo.h", _header(note).encode()
    for version in _CLANG_VERSIONS if clang else ():
        for machine in _CLANG_ARCHITECTURES:
            for program in ("clang", "clang++"):
                name = f"{machine}-unknown-linux-gnu-{program}.cfg"
                text = f"@{_HOME}/.melange.clang.cfg\n@/etc/clang-{version}/{name}\n"
                yield f".config/clang-{version}/{name}", text.encode()


def package_note(definition: PackageDefinition, arch: Arch, namespace: str) -> str:
    """The note as JSON: of the main package, whichever package the program ends in."""
    package = definition.package
    members = {
        "type": "apk",
        "os": namespace,
        "name": package.name.text,
        "version": package.full_version,
        "architecture": arch.apk,
    }
    name = formatted_cpe(package.cpe, package.version.text)
    return json.dumps(members | ({"appCpe": name} if name else {}), separators=(",", ":"))


def _specs_quoted(text: str) -> str:
    """In a specs file a backslash makes the next character an ordinary one."""
    return "".join(f"\\{char}" if char in "\\{}%*|;: " else char for char in text)


def _configuration_quoted(text: str) -> str:
    """In a configuration file of clang quotes and backslashes are special, as in a response file."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\\ ")


def _header(note: str) -> str:
    """C that puts the note into a section of its own (the FDO package metadata: owner `FDO`, type 0xcafe1a7e)."""
    text = note.replace("\\", "\\\\").replace('"', '\\"')
    size = len(note.encode()) + 1
    return f"""#ifndef MELANGE_FDO_H
#define MELANGE_FDO_H
static const struct {{
  unsigned int owner_size, note_size, type;
  char owner[4];
  char note[{(size + 3) // 4 * 4}];
}} package_note_for_this_file __attribute__((used, aligned(4), section(".note.package"))) = {{
  4, {size}, 0xcafe1a7eU, "FDO", "{text}"
}};
#endif
"""
