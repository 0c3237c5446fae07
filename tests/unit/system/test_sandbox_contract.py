"""One contract for the bubblewrap sandbox and its twin."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.system.bubblewrap import BubblewrapSandbox
from apkiln.system.memory_sandbox import Behaviour, MemorySandbox
from apkiln.system.sandbox import Bind, RootAccess, Sandbox, SandboxLimits, SandboxResult, SandboxSpec, Stop

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
