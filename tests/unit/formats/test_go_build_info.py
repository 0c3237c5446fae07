"""Build information of Go programs: made up, real, damaged."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.package_workshop import go_build_info

from apkiln.formats.elf import read_object
from apkiln.formats.go_build_info import GoBuildInfo, read_go_build_info

SETTINGS = {"CGO_ENABLED": "1", "-tags": "a,b", "GOEXPERIMENT": "boringcrypto"}


@pytest.mark.parametrize("before", [b"", b"x" * 16, b"\xff Go buildinf:" + b"y" * 34])
def test_settings_are_found(before: bytes) -> None:
    found = read_go_build_info(before + go_build_info("go1.22", SETTINGS))
    assert found == GoBuildInfo("go1.22", tuple(sorted(SETTINGS.items())))


def test_long_texts() -> None:
    found = read_go_build_info(go_build_info("go1.22", {"X": "y" * 5000}))
    assert found is not None and dict(found.settings)["X"] == "y" * 5000


@pytest.mark.parametrize(
    "content", [b"", b"\xff Go buildinf:", b"x" + go_build_info("go1", {}), go_build_info("go1", {}, flags=0)]
)
def test_none(content: bytes) -> None:
    assert read_go_build_info(content) is None


@given(st.integers(0, 300), st.binary(max_size=20))
def test_damage_is_no_crash(place: int, noise: bytes) -> None:
    data = bytearray(go_build_info("go1.22", SETTINGS))
    data[place : place + len(noise)] = noise
    read_go_build_info(bytes(data))
    read_go_build_info(bytes(data[:place]))


def test_a_program_of_the_compiler_on_this_machine(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go not found")
    program = Path(go).resolve()
    content = program.read_bytes()
    listed = subprocess.run([go, "version", "-m", str(program)], capture_output=True, text=True, check=True).stdout
    rows = [line.strip().removeprefix("build\t") for line in listed.splitlines() if line.strip().startswith("build\t")]
    found, elf = read_go_build_info(content), read_object(content)
    assert found is not None and elf is not None and elf.go
    assert sorted(rows) == sorted(f"{name}={value}" for name, value in found.settings)
