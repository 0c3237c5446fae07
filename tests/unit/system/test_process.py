from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.core.value import replace
from apkiln.system.process import Command, Completed, ScriptedRunner, SystemRunner

PATH = (("PATH", os.defpath),)


def python(code: str, *, stdin: bytes = b"", output_limit: int = 1_000_000, timeout: float = 60) -> Command:
    return Command((sys.executable, "-I", "-c", code), PATH, None, stdin, output_limit, timeout)


def test_streams_and_exit_code_come_back() -> None:
    code = "import sys; data = sys.stdin.buffer.read(); print(len(data)); print('bad', file=sys.stderr); sys.exit(3)"
    assert SystemRunner().run(python(code, stdin=b"x" * 300_000)) == Completed(3, b"300000\n", b"bad\n")


def test_nothing_of_our_environment_is_inherited(tmp_path: Path) -> None:
    command = Command(("env",), (*PATH, ("ONLY", "this")), directory=tmp_path)
    names = {line.partition(b"=")[0] for line in SystemRunner().run(command).stdout.splitlines()}
    assert names == {b"PATH", b"ONLY"}


def test_a_program_that_ignores_its_input_is_no_error() -> None:
    assert SystemRunner().run(Command(("true",), PATH, stdin=b"x" * 1_000_000)).exit_code == 0


def test_input_is_made_as_it_is_taken() -> None:
    code = "import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    pieces = [b"", b"a" * 300_000, b"", b"b", b"c" * 70_000, b""]
    command = replace(python(code), feed=lambda: iter(pieces))
    assert SystemRunner().run(command).stdout.decode().strip() == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert SystemRunner().run(replace(command, feed=lambda: ())).stdout.decode().strip() == hashlib.sha256(b"").hexdigest()
    early = Command(("true",), PATH, feed=lambda: iter([b"x" * 1_000_000] * 3))
    assert SystemRunner().run(early).exit_code == 0


def test_a_feed_that_fails_ends_the_program(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"beginning"
        raise UnavailableError("no more", reason="broken")

    code = f"import sys; sys.stdin.read(); open({str(tmp_path / 'done')!r}, 'w')"
    with pytest.raises(UnavailableError) as caught:
        SystemRunner().run(replace(python(code), feed=broken))
    assert caught.value.reason == "broken"
    assert not (tmp_path / "done").exists()


def test_a_signal_is_128_and_its_number() -> None:
    assert SystemRunner().run(python("import os; os.kill(os.getpid(), 9)")).exit_code == 137


def test_a_missing_program_is_named() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        SystemRunner().run(Command(("no-such-program",), PATH))
    assert (caught.value.reason, caught.value.origin.source) == ("missing-program", "no-such-program")


def test_output_is_bounded() -> None:
    with pytest.raises(UnavailableError) as caught:
        SystemRunner().run(python("while True: print('y' * 1000)", output_limit=10_000))
    assert caught.value.reason == "program-output-too-large"


def test_time_is_bounded_and_children_die_too(tmp_path: Path) -> None:
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-I', '-c', 'import time; time.sleep(600)'])
open({str(tmp_path / "pid")!r}, 'w').write(str(child.pid))
time.sleep(600)
"""
    with pytest.raises(UnavailableError) as caught:
        SystemRunner().run(python(code, timeout=3.0))
    assert caught.value.reason == "program-timeout"
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.05)
    raise AssertionError("the child of the stopped program still runs")


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_twin_answers_by_arguments() -> None:
    runner = ScriptedRunner({("true",): Completed(0, b"", b"")})
    assert runner.run(Command(("true",))).exit_code == 0
    with pytest.raises(EnvironmentFault):
        runner.run(Command(("false",)))
    assert [command.arguments for command in runner.commands] == [("true",), ("false",)]
