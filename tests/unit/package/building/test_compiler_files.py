"""Compilers note in a program what package it is of."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from apkiln.core.arch import Arch
from apkiln.package.building.compiler_files import compiler_files, package_note
from apkiln.package.compilation.resolving import parse
from apkiln.package.definition.model import PackageDefinition

TEXT = """
package: {name: he-llo, version: "1.2%3", epoch: 4, description: x, cpe: {vendor: v, product: p}}
"""
X86_64 = Arch.parse("x86_64")


def definition() -> PackageDefinition:
    return parse(TEXT.encode(), "x.yaml")[0]


def test_the_note_names_the_main_package_in_order() -> None:
    note = json.loads(package_note(definition(), X86_64, "wolfi"))
    assert list(note) == ["type", "os", "name", "version", "architecture", "appCpe"]
    assert (note["os"], note["name"], note["version"]) == ("wolfi", "he-llo", "1.2%3-r4")


def test_clang_has_a_file_for_each_version_architecture_and_driver() -> None:
    names = [name for name, _ in compiler_files(definition(), X86_64, "wolfi")]
    assert ".config/clang-15/x86_64-unknown-linux-gnu-clang.cfg" in names
    assert ".config/clang-42/aarch64-unknown-linux-gnu-clang++.cfg" in names
    assert len([name for name in names if name.startswith(".config/")]) == 28 * 2 * 2
    assert len(list(compiler_files(definition(), X86_64, "wolfi", clang=False))) == 3


@pytest.mark.parametrize("option", [("-specs=.melange.gcc.spec",), ("-include", ".melange.fdo.h")])
def test_gcc_and_readelf_understand_the_note(option: tuple[str, ...], tmp_path: Path) -> None:
    if not (shutil.which("gcc") and shutil.which("readelf")):
        pytest.skip("gcc or readelf not found")
    for name, content in compiler_files(definition(), X86_64, "wolfi", clang=False):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(("gcc", *option, "a.c", "-o", "a"), cwd=tmp_path, check=True)
    said = subprocess.run(("readelf", "-n", "a"), cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert package_note(definition(), X86_64, "wolfi") in said
