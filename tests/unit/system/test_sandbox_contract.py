"""One contract for the bubblewrap sandbox and its twin."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.system.bubblewrap import BubblewrapSandbox
from apkiln.system.memory_sandbox import Behaviour, MemorySandbox
from apkiln.system.sandbox import (
    Bind,
    Covered,
    Ids,
    RootAccess,
    Sandbox,
    SandboxLimits,
    SandboxResult,
    SandboxSpec,
    Stop,
    Streams,
)

PROGRAMS = tuple(Bind(path, path) for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).exists())
SHELL = "/bin/sh"


def shell_twin(spec: SandboxSpec) -> Behaviour:
    """The few scripts of this file, as the shell would run them."""
    script = spec.command[2]
    answers: dict[str, Behaviour] = {
        "echo out; echo err >&2": Behaviour(0, b"out\n", b"err\n"),
        "exit 7": Behaviour(7),
        "kill -9 $$": Behaviour(137),
        "echo $WORD": Behaviour(0, dict(spec.environment).get("WORD", "").encode() + b"\n"),
        "pwd": Behaviour(0, spec.working_directory.encode() + b"\n"),
        "id -u; id -g": Behaviour(0, f"{spec.user}\n{spec.group}\n".encode()),
        "sleep 60": Behaviour(seconds=60.0),
        "while :; do echo aaaaaaaaaaaaaaaa; done": Behaviour(0, b"a" * 100_000),
    }
    return answers[script]


def real() -> Sandbox:
    path = os.environ.get("PATH", "")
    if shutil.which("bwrap", path=path) is None:
        pytest.skip("bwrap not found: install the package bubblewrap")
    return BubblewrapSandbox(path)


def twin() -> Sandbox:
    return MemorySandbox({SHELL: shell_twin})


@pytest.fixture(params=[twin, real], ids=["twin", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    made: Callable[[], Sandbox] = request.param
    return made()


@pytest.fixture
def root(tmp_path: Path) -> str:
    directory = tmp_path / "root"
    directory.mkdir(mode=0o755)
    for parent in directory.parents[:3]:
        parent.chmod(0o755)
    return str(directory)


def run(sandbox: Sandbox, root: str, script: str, **options: object) -> SandboxResult:
    spec = SandboxSpec(root, (SHELL, "-c", script), (("PATH", "/usr/bin:/bin"),), binds=PROGRAMS)
    return sandbox.run(type(spec)(**{name: getattr(spec, name) for name in spec.__dataclass_fields__} | options))


def test_output_of_both_streams_comes_back(sandbox: Sandbox, root: str) -> None:
    result = run(sandbox, root, "echo out; echo err >&2")
    assert (result.exit_code, result.stop, result.stdout, result.stderr) == (0, Stop.EXITED, b"out\n", b"err\n")


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_code_is_passed_on(sandbox: Sandbox, root: str, script: str, code: int) -> None:
    assert run(sandbox, root, script).exit_code == code


def test_environment_is_exactly_what_was_given(sandbox: Sandbox, root: str) -> None:
    environment = (("PATH", "/usr/bin:/bin"), ("WORD", "a b=c"))
    assert run(sandbox, root, "echo $WORD", environment=environment).stdout == b"a b=c\n"
    assert run(sandbox, root, "echo $WORD").stdout == b"\n"


def test_the_command_starts_in_the_working_directory(sandbox: Sandbox, root: str) -> None:
    assert run(sandbox, root, "pwd", working_directory="/usr").stdout == b"/usr\n"


def test_the_command_runs_as_the_asked_ids(sandbox: Sandbox, root: str) -> None:
    assert run(sandbox, root, "id -u; id -g").stdout == b"0\n0\n"
    assert run(sandbox, root, "id -u; id -g", user=65532, group=65530).stdout == b"65532\n65530\n"


def test_a_run_over_its_time_is_killed(sandbox: Sandbox, root: str) -> None:
    result = run(sandbox, root, "sleep 60", limits=SandboxLimits(seconds=0.3))
    assert (result.stop, result.exit_code) == (Stop.TIMED_OUT, 137)
    assert result.wall_seconds < 30


def test_a_flood_of_output_is_cut(sandbox: Sandbox, root: str) -> None:
    result = run(sandbox, root, "while :; do echo aaaaaaaaaaaaaaaa; done", limits=SandboxLimits(seconds=60, output=10_000))
    assert (result.stop, len(result.stdout)) == (Stop.OUTPUT_LIMIT, 10_000)


def test_a_program_that_is_not_there_is_named(sandbox: Sandbox, root: str) -> None:
    with pytest.raises(UnavailableError, match="/no/such") as caught:
        sandbox.run(SandboxSpec(root, ("/no/such",)))
    assert caught.value.reason == "command-not-found"


def test_a_missing_root_is_refused() -> None:
    for made in (MemorySandbox({}, frozenset()), BubblewrapSandbox("/usr/bin")):
        with pytest.raises(EnvironmentFault) as caught:
            made.run(SandboxSpec("/no/such/root", (SHELL,)))
        assert caught.value.reason == "root-missing"


def test_without_bubblewrap_the_package_to_install_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        BubblewrapSandbox(str(tmp_path)).run(SandboxSpec(str(tmp_path), (SHELL,)))
    assert caught.value.reason == "sandbox-missing"
    assert "bubblewrap" in caught.value.hint


def script_root(root: str, text: str, **options: object) -> SandboxResult:
    """A run on the real sandbox whose behaviour no twin imitates."""
    return run(real(), root, text, **options)


def test_writes_are_private_and_forgotten(root: str) -> None:
    result = script_root(root, "echo new > /made && cat /made")
    assert result.stdout == b"new\n"
    assert list(Path(root).iterdir()) == []


def test_a_read_only_root_refuses_writes_but_has_a_tmp(root: str) -> None:
    result = script_root(root, "echo x > /made; echo y > /tmp/made && cat /tmp/made", access=RootAccess.READ_ONLY)
    assert result.stdout == b"y\n"
    assert b"Read-only" in result.stderr


def test_there_is_no_network_but_loopback(root: str) -> None:
    interfaces = script_root(root, "tail -n +3 /proc/net/dev").stdout.decode().split()
    assert [word for word in interfaces if word.endswith(":")] == ["lo:"]


def test_the_hosts_files_and_processes_are_not_visible(root: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    result = script_root(root, f"cat {tmp_path}/secret; ls -d /proc/[0-9]* | wc -l; hostname 2>/dev/null; true")
    assert b"No such file" in result.stderr
    assert int(result.stdout.split()[0]) < 10


def test_scratch_space_is_bounded(root: str) -> None:
    result = script_root(root, "head -c 20000000 /dev/zero > /big", limits=SandboxLimits(scratch=4_000_000))
    assert b"No space left" in result.stderr


def test_nothing_is_left_in_the_temporary_directory(root: str, tmp_path: Path) -> None:
    real()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    BubblewrapSandbox(os.environ["PATH"], temporary_directory=str(scratch)).run(
        SandboxSpec(root, (SHELL, "-c", "echo x > /made"), (("PATH", "/bin"),), binds=PROGRAMS)
    )
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="overlay mounts are Linux")
def test_the_probe_tells_what_works() -> None:
    real()
    abilities = BubblewrapSandbox(os.environ["PATH"]).probe()
    assert abilities.bubblewrap.endswith("bwrap")
    assert abilities.rootless == (os.geteuid() != 0)


def test_lines_come_to_the_listener_and_their_end_to_the_result(sandbox: Sandbox, root: str) -> None:
    heard: list[bytes] = []
    spec = SandboxSpec(
        root, (SHELL, "-c", "echo out; echo err >&2"), (("PATH", "/usr/bin:/bin"),), binds=PROGRAMS, streams=Streams.LINES
    )
    result = sandbox.run(spec, heard.append)
    assert (b"".join(heard), result.stdout, result.stderr) == (b"out\nerr\n", b"out\nerr\n", b"")
    short = sandbox.run(replace(spec, limits=SandboxLimits(output=4)), heard.append)
    assert short.stop is Stop.EXITED and b"out\nerr\n".endswith(short.stdout[-4:]) and b"".join(heard) == b"out\nerr\n" * 2


def layered(root: str) -> SandboxSpec:
    """A root of two layers that keeps what is written, with ids of its own."""
    below, kept = Path(root).parent / "below", Path(root).parent / "kept"
    for directory in (below, kept):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)
    (below / "file").write_text("below\n")
    (below / "shadowed").write_text("below\n")
    (Path(root) / "shadowed").write_text("above\n")
    return SandboxSpec(
        root,
        (SHELL, "-c", "true"),
        (("PATH", "/usr/bin:/bin"),),
        binds=PROGRAMS,
        layers=(str(below),),
        kept=str(kept),
        ids=Ids.MANY,
        filtered=True,
        capabilities=("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_ADMIN"),
    )


def shell(sandbox: Sandbox, spec: SandboxSpec, script: str, **changes: Any) -> SandboxResult:
    return sandbox.run(replace(spec, command=(SHELL, "-c", script), **changes))


def test_layers_show_through_and_writes_are_kept_apart(root: str) -> None:
    sandbox, spec = real(), layered(root)
    assert shell(sandbox, spec, "cat file shadowed; echo new > file; rm shadowed").stdout == b"below\nabove\n"
    assert shell(sandbox, spec, "cat file; test ! -e shadowed").stdout == b"new\n"
    assert (Path(root).parent / "below/file").read_text() == "below\n" and (Path(root) / "shadowed").exists()
    assert shell(sandbox, replace(spec, kept=""), "cat file shadowed").stdout == b"below\nabove\n"


def test_a_covered_directory_is_not_changed(root: str) -> None:
    sandbox, spec = real(), layered(root)
    source, kept = Path(root).parent / "source", Path(root).parent / "changes"
    for directory in (source, kept):
        directory.mkdir()
    (source / "a").write_text("old\n")
    covered = (Covered(str(source), "/shown", str(kept)),)
    assert shell(sandbox, spec, "cat /shown/a; echo new > /shown/a", covered=covered).stdout == b"old\n"
    assert shell(sandbox, spec, "cat /shown/a", covered=covered).stdout == b"new\n"
    assert (source / "a").read_text() == "old\n"


def test_root_has_ids_to_give_away_where_the_machine_has_some(root: str) -> None:
    sandbox, spec = real(), layered(root)
    assert isinstance(sandbox, BubblewrapSandbox)
    result = shell(sandbox, spec, "echo x > owned; chown 1234:4321 owned && stat -c %u:%g owned")
    if sandbox.mapping().is_single:
        assert result.exit_code != 0
    else:
        assert result.stdout == b"1234:4321\n"


@pytest.mark.parametrize("script", ["mount -t tmpfs none /tmp", "unshare -U true", "unshare -m mount -t tmpfs none /tmp"])
def test_the_filter_holds_against_every_capability(root: str, script: str) -> None:
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("unshare or mount not found")
    sandbox, spec = real(), layered(root)
    assert shell(sandbox, spec, script).exit_code != 0
    assert shell(sandbox, spec, "mount -t tmpfs none /tmp", filtered=False).exit_code == 0, "the filter is what refuses"


def test_another_user_has_the_kept_root_and_no_rights(root: str) -> None:
    sandbox, spec = real(), layered(root)
    assert isinstance(sandbox, BubblewrapSandbox)
    if sandbox.mapping().is_single:
        pytest.skip("this user has one id only")
    result = shell(sandbox, spec, "id -u; id -g; echo x > /file", user=4242, group=2424)
    assert result.stdout == b"4242\n2424\n" and result.exit_code != 0


def test_the_umask_of_the_caller_does_not_reach_inside(root: str) -> None:
    sandbox, spec = real(), layered(root)
    before = os.umask(0o077)
    try:
        assert shell(sandbox, spec, "umask").stdout == b"0022\n"
    finally:
        os.umask(before)


def test_files_of_a_sandbox_are_told_and_taken_over(root: str, tmp_path: Path) -> None:
    sandbox = real()
    assert isinstance(sandbox, BubblewrapSandbox)
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed/file").write_text("x")
    (tree / "closed").chmod(0o000)
    rows = [json.loads(line) for line in sandbox.change_owners(("take", str(tree))).splitlines()]
    assert [row[0] for row in rows] == [str(tree), str(tree / "closed"), str(tree / "closed/file")]
    assert rows[1][1] == 0
    assert (tree / "closed/file").read_text() == "x"
