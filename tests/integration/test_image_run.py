"""`apkiln image run` with the real sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.clients import client, shell_files
from tests.sample_images import Item, archive_of, directory, docker_archive, oci_layout

PROCESS = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo default"], "Env": ["PATH=/bin", "COLOR=red"]}


@pytest.fixture(scope="module")
def layers() -> list[list[Item]]:
    client("bwrap")
    files = shell_files()
    parents = sorted({str(above) for path in files for above in Path(path).parents if str(above) != "."} | {"etc"})
    passwd = Item("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/:/bin/sh\n")
    return [[*(directory(path) for path in parents), *(Item(path, data, mode=0o755) for path, data in files.items())], [passwd]]


@pytest.fixture
def layout(layers: list[list[Item]], tmp_path: Path) -> Path:
    for name, content in oci_layout(layers, PROCESS).items():
        (tmp_path / "image" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "image" / name).write_bytes(content)
    return tmp_path / "image"


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = [sys.executable, "-m", "apkiln.cli.main", "image", "run", str(place), "--cache-dir", f"{place.parent}/cache"]
    return subprocess.run([*own, *words], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


def test_the_default_command_runs(layout: Path) -> None:
    result = run(layout)
    assert (result.returncode, result.stdout, result.stderr) == (0, "default\n", "")


def test_archives_run_as_well(layout: Path, layers: list[list[Item]]) -> None:
    files = {str(path.relative_to(layout)): path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    for number, data in enumerate((archive_of(files), docker_archive(layers, PROCESS))):
        archive = layout.parent / f"image{number}.tar"
        archive.write_bytes(data)
        assert run(archive, "--", "echo $COLOR").stdout == "red\n"


def test_exit_code_environment_and_user_are_passed_on(layout: Path) -> None:
    script = (
        "echo $COLOR $EXTRA; "
        "while read key value rest; do case $key in Uid:) echo $value;; esac; done < /proc/self/status; "
        "exit 9"
    )
    result = run(layout, "--env", "EXTRA=x", "--user", "app", "--", script)
    assert (result.returncode, result.stdout) == (9, "red x\n1234\n")


def test_writes_do_not_reach_the_cached_tree(layout: Path) -> None:
    assert run(layout, "--", "echo new > /etc/made && echo ok").stdout == "ok\n"
    assert run(layout, "--", "echo /etc/*").stdout == "/etc/passwd\n"
    assert "Read-only" in run(layout, "--read-only", "--", "echo new > /etc/made").stderr


def test_a_bound_directory_is_visible(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file").write_text("content\n")
    script = "read line < file; echo $line; echo x > file"
    result = run(layout, "--bind", f"{tmp_path}/shown:/shown", "--workdir", "/shown", "--", script)
    assert result.stdout == "content\n"
    assert "Read-only" in result.stderr


def test_a_hung_command_is_killed(layout: Path) -> None:
    assert run(layout, "--timeout", "0.5", "--", "while :; do :; done").returncode == 137


def test_an_unknown_program_is_an_error_of_ours(layout: Path) -> None:
    result = run(layout, "--entrypoint", "/no/such")
    assert result.returncode == 8
    assert "/no/such" in result.stderr


def test_a_changed_layer_does_not_run(layout: Path) -> None:
    blob = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    assert run(layout).returncode in (3, 4)
    assert list((layout.parent / "cache" / "trees").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="only as an ordinary user")
def test_no_root_is_needed(layout: Path) -> None:
    assert run(layout).returncode == 0
