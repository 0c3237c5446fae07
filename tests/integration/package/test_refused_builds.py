"""What builds refuse: each with a stable reason and the place of the fault, and nothing published."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.build_workshop import Fixture, make_fixture, write_packages
from tests.conformance.suites.commands import Answer, run_judged
from tests.integration.clients import client

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.files import DiskFiles
from apkiln.system.signer import load_signer

if os.uname().machine != "x86_64":
    pytest.skip("the shell of the root is for x86-64", allow_module_level=True)

NAME = 'package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}\n'
HEAD = NAME + "environment: {contents: {packages: [busybox]}}\n"
OUT = "${{targets.destdir}}"
WRONG = "0" * 64


def steps(text: str, head: str = HEAD) -> str:
    return f"{head}pipeline:\n{text}"


def script(text: str, head: str = HEAD) -> str:
    return steps(f"  - runs: |\n      {text}\n", head)


def source(uri: str, digest: str) -> str:
    return steps(f"  - uses: fetch\n    with: {{uri: 'http://example.test/{uri}', extract: false{digest}}}\n")


def laughs() -> str:
    """Fewer than 300 bytes that stand for 10^8 nodes."""
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for above, name in zip("abcdefg", "bcdefgh", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{above}'] * 10)}]\n"
    return text


class Refused(NamedTuple):
    """One definition that cannot be built."""

    text: str
    reason: str
    place: str
    """Begins the place of the error."""
    code: int = 3
    flags: tuple[str, ...] = ()
    says: str = ""


CASES = {
    "unknown key": Refused(HEAD.replace("epoch", "epohc"), "unknown-key", "demo.yaml:1:", says="did you mean `epoch`"),
    "unknown pipeline": Refused(steps("  - uses: no/such\n"), "unknown-pipeline", "demo.yaml:4:11"),
    "unknown variable": Refused(script("echo ${{vars.none}}"), "unknown-variable", "demo.yaml:"),
    "unknown input": Refused(steps("  - {uses: strip, with: {nosuch: 1}}\n"), "unknown-input", "demo.yaml:4:"),
    "pipeline outside": Refused(steps("  - uses: ../x\n"), "", "demo.yaml:4:11"),
    "patch outside": Refused(steps("  - uses: patch\n    with: {patches: ../a.patch}\n"), "path-outside", "demo.yaml:4:11"),
    "absolute patch": Refused(steps("  - uses: git-am\n    with: {patches: /etc/passwd}\n"), "path-outside", "demo.yaml:4:11"),
    "series outside": Refused(steps("  - uses: patch\n    with: {series: a/../../b}\n"), "path-outside", "demo.yaml:4:11"),
    "licence outside": Refused(
        script("true", HEAD.replace("license: MIT", "license: MIT, license-path: ../../etc/passwd")), "", "demo.yaml:1:"
    ),
    "licence that leads out": Refused(
        script("ln -s /etc/passwd x", HEAD.replace("license: MIT", "license: MIT, license-path: x")),
        "licence-missing",
        "demo.yaml:1:",
    ),
    "version": Refused(script("true", HEAD.replace('"1.0"', '"v1.0-rc1"')), "", "demo.yaml:1:", says="apk versions look like"),
    "wrong hash": Refused(source("file", f", expected-sha256: {WRONG}"), "", "demo.yaml:4:11", 4, says="what came is kept as"),
    "no hash": Refused(source("file", ""), "", "demo.yaml:5:", says="expected-sha256"),
    "no packages": Refused(script("true", NAME), "no-packages", "demo.yaml:1:", says="list `busybox` or `bash`"),
    "no shell": Refused(script("true", HEAD.replace("busybox", "nothing")), "no-shell", "demo.yaml:4:", says="add `busybox`"),
    "failing step": Refused(script("echo last words; exit 7"), "step-failed", "demo.yaml:4:", 11, says="last words"),
    "time": Refused(script("sleep 60"), "step-timeout", "demo.yaml:4:", 11, ("--timeout", "1s")),
    "memory": Refused(
        script("x=$(head -c 300000000 /dev/zero | tr '\\0' x)"), "step-out-of-memory", "demo.yaml:4:", 11, ("--memory", "64Mi")
    ),
    "fifo": Refused(script(f"mkdir -p {OUT}/d; mkfifo {OUT}/d/x"), "device-not-allowed", "data/d/x"),
    "output turned into a link": Refused(
        script(f"rm -r {OUT}; ln -s /etc {OUT}"), "output-not-a-directory", "/home/build/melange-out/demo"
    ),
    "outputs turned into a link": Refused(
        script("rm -r /home/build/melange-out; ln -s /etc /home/build/melange-out", HEAD.replace("name: demo", "name: ssl")),
        "output-not-a-directory",
        "/home/build/melange-out",
    ),
    "one file twice": Refused(
        script(f"mkdir -p {OUT}/usr; echo x > {OUT}/usr/x")
        + "subpackages:\n  - name: demo-b\n    pipeline:\n      - runs: cd ${{targets.subpkgdir}}; mkdir usr; touch usr/x\n",
        "lint",
        "demo.yaml:1:",
        10,
        says="usr/x",
    ),
    "laughs": Refused(laughs(), "", "demo.yaml:4:", says="more than 10000 nodes"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fixture, Path]:
    client("bwrap")
    directory = tmp_path_factory.mktemp("refused")
    for place in (directory, directory.parent):
        place.chmod(0o755)
    made = make_fixture(directory / "fixture")
    content = {"usr": (Entry("usr", EntryType.DIRECTORY, 0o755), b"")}
    signer = load_signer(made.signing_key, DiskFiles())
    write_packages(directory / "more", [("nothing", "1-r0", (), content)], signer)
    (directory / "map.yaml").write_text(f"prefixes:\n  http://example.test/: {directory}/\nonly: true\n")
    (directory / "file").write_text("content")
    return made, directory


def build(shared: tuple[Fixture, Path], home: Path, text: str, *flags: str) -> Answer:
    fixture, directory = shared
    (home / "demo.yaml").write_text(text)
    words = ["package", "build", "demo.yaml", "-r", str(fixture.directory), "-k", str(fixture.key), "--empty-workspace"]
    words += [
        "--source-cache",
        str(home / "sources"),
        "--source-map",
        str(directory / "map.yaml"),
        "--lint-require",
        "file-conflict",
    ]
    words += ["-r", str(directory / "more")]
    return run_judged([*words, *flags], home, {"APKILN_CACHE": str(directory / "cache")})


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_its_place(shared: tuple[Fixture, Path], tmp_path: Path, name: str) -> None:
    case = CASES[name]
    answer = build(shared, tmp_path, case.text, *case.flags)
    assert answer.code == case.code, answer.errors
    assert f"--> {case.place}" in answer.errors and case.says in answer.errors, answer.errors
    assert not case.reason or case.reason in [fault.reason for fault in answer.faults], answer.faults
    assert not list((tmp_path).glob("packages/*/*.apk"))
    assert not list(shared[1].glob("cache/builds/build-*"))


def test_the_bomb_is_small_and_would_be_large() -> None:
    assert len(laughs()) < 300 and laughs().count("*g") == 10


def test_patches_beside_the_sources_are_inside(shared: tuple[Fixture, Path], tmp_path: Path) -> None:
    """As real definitions have them: seen from a directory below the workspace."""
    patch = "--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-one\\n+two\\n"
    text = script(f"mkdir build; echo one > build/f; printf '{patch}' > a.patch", HEAD.replace("[busybox]", "[busybox, patch]"))
    text += "  - {uses: patch, working-directory: build, with: {patches: ../a.patch}}\n  - runs: grep two build/f\n"
    answer = build(shared, tmp_path, text)
    # The fixture has the program in its one package; that no package is called `patch` is all that may be wrong.
    assert "path-outside" not in [fault.reason for fault in answer.faults]


def test_licences_may_be_links_inside(shared: tuple[Fixture, Path], tmp_path: Path) -> None:
    text = script(
        "mkdir d; echo terms > d/T; ln -s d/T one; ln -s /home/build/one two",
        HEAD.replace("license: MIT", "license: own, license-path: two"),
    )
    answer = build(shared, tmp_path, text)
    assert answer.code == 0, answer.errors


def _in_small_place(script: str, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a mount namespace where some place is 8 MiB large."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to mount a small file system")
    command = ("unshare", "-m", "sh", "-c", f'{script} && "$@"; code=$?; find packages -type f; exit $code', "sh", *words)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("full", ["workspace", "packages"])
def test_a_full_disk_is_named_and_leaves_nothing(shared: tuple[Fixture, Path], tmp_path: Path, full: str) -> None:
    fixture, directory = shared
    (tmp_path / "demo.yaml").write_text(
        script(f"mkdir -p {OUT}/usr; for n in $(seq 20); do head -c 1000000 /dev/urandom > {OUT}/usr/$n; done")
    )
    for place in ("workspace", "packages"):
        (tmp_path / place).mkdir()
    words = [sys.executable, "-m", "apkiln.cli.main", "package", "build", "demo.yaml", "-r", str(fixture.directory)]
    words += ["-k", str(fixture.key), "--empty-workspace", "--cache-dir", str(directory / "cache"), "--lint-require", ""]
    words += ["--workspace-dir", "workspace"] if full == "workspace" else []
    done = _in_small_place(f"mount -t tmpfs -o size=8m,mode=755 none {full}", tmp_path, *words)
    assert done.returncode == (11 if full == "workspace" else 9), done.stderr
    assert ("No space left on device" if full == "workspace" else "no space left to write `") in done.stderr, done.stderr
    assert done.stdout == "", "no file is left among the packages"
    assert not list(directory.glob("cache/builds/build-*"))
