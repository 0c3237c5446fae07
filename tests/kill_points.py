"""Commands about images, killed at random moments and run again: `python -m tests.kill_points [--rounds N] [--seed N]`.

Each round starts a command on the cache that the rounds before left, sends SIGKILL after a random part of the time that the
whole takes, and looks at what is there: the output under its name is whole or absent.  Then the same command runs to its end
on the same cache and must give what an undisturbed one gives, and no temporary name may be left beside the output.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.sample_packages import sample_index, sample_package, sample_signer

DEFINITION = """
contents:
  keyring: [keys/sample.rsa.pub]
  repositories: [repo]
  packages: [tool, library, data]
archs: [amd64, arm64]
layering: {strategy: package, budget: 3}
"""


class Scenario(NamedTuple):
    """One command and the name of what it makes."""

    name: str
    words: tuple[str, ...]
    output: str
    partly: bool = False
    """The output is a directory whose files appear one by one, each whole."""
    forgotten: tuple[str, ...] = ()
    """Patterns of paths that nothing may match once the next run has ended."""


SCENARIOS = (
    Scenario("build a directory", ("image", "build", "image.yaml", "app:1", "out", "--vcs=false"), "out"),
    Scenario(
        "build an archive", ("image", "build", "image.yaml", "app:1", "out.tar", "--vcs=false", "--sbom-path", "bills"), "out.tar"
    ),
    Scenario("lock", ("image", "lock", "image.yaml"), "image.lock.json"),
)


Content = dict[str, bytes]


class Round(NamedTuple):
    """How one round went; `fault` is empty when all was well."""

    scenario: str
    killed: bool
    fault: str = ""


def workspace(home: Path) -> Path:
    """A definition with its repository: packages large enough that compressing takes a while."""
    signer = sample_signer()
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "sample.rsa.pub").write_bytes(signer.public_key())
    (home / "image.yaml").write_text(DEFINITION)
    noise = random.Random(0)
    for arch in ("x86_64", "aarch64"):
        files = {f"usr/share/data/{number}": noise.randbytes(300_000) + bytes(300_000) for number in range(20)}
        listed = [
            sample_package("tool", files={"usr/bin/tool": b"tool" * 500_000}, depends=["library"], arch=arch),
            sample_package("library", files={"usr/lib/library.so": noise.randbytes(2_000_000)}, arch=arch),
            sample_package("data", files=files, arch=arch),
        ]
        place = home / "repo" / arch
        place.mkdir(parents=True)
        (place / "APKINDEX.tar.gz").write_bytes(sample_index(listed, signer))
        for package in listed:
            (place / package.file_name).write_bytes(package.data)
    return home


def rounds(home: Path, count: int, seed: int, scenarios: Sequence[Scenario] = SCENARIOS) -> Iterator[Round]:
    """`count` rounds of each scenario in `home`, a `workspace`."""
    chance = random.Random(seed)
    known = frozenset(path.name for path in home.iterdir()) | {"cache", "undisturbed-cache", "bills"}
    for scenario in scenarios:
        expected, duration = _undisturbed(home, scenario)
        for _ in range(count):
            # A third starts without anything cached; the others find what earlier rounds left.
            cache = home / "cache"
            if chance.random() < 1 / 3:
                shutil.rmtree(cache, ignore_errors=True)
            yield _round(home, scenario, cache, chance.random() * duration, expected, known)


def _undisturbed(home: Path, scenario: Scenario) -> tuple[Content, float]:
    started = time.monotonic()
    done = _start(home, scenario, home / "undisturbed-cache")
    assert done.wait(timeout=120) == 0, scenario.name
    duration = time.monotonic() - started
    found = _content(home / scenario.output)
    _remove(home / scenario.output)
    return found, duration


def _round(home: Path, scenario: Scenario, cache: Path, delay: float, expected: Content, known: frozenset[str]) -> Round:
    process = _start(home, scenario, cache)
    try:
        process.wait(timeout=delay)
        killed = False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        killed = True
    fault = _after_kill(home / scenario.output, scenario, expected) or _next_run(home, scenario, cache, expected)
    if not fault:
        left = sorted(path.name for path in home.iterdir() if path.name not in known)
        left += sorted(str(path.relative_to(home)) for pattern in scenario.forgotten for path in home.glob(pattern))
        fault = f"left behind: {', '.join(left)}" if left else ""
    return Round(scenario.name, killed, f"{fault} (after {delay:.3f} s)" if fault else "")


def _after_kill(output: Path, scenario: Scenario, expected: Content) -> str:
    """What is wrong right after the kill; the output is removed, except where it may be there in part."""
    if not os.path.lexists(output):
        return ""
    found = _content(output)
    if scenario.partly:
        broken = sorted(name for name, content in found.items() if content != expected.get(name))
        return f"not whole: {', '.join(broken)}" if broken else ""
    _remove(output)
    return "" if found == expected else f"{scenario.output} is there and not whole"


def _next_run(home: Path, scenario: Scenario, cache: Path, expected: Content) -> str:
    if _start(home, scenario, cache).wait(timeout=120):
        return "the next run failed"
    output = home / scenario.output
    found, hidden = _content(output), sorted(path.name for path in output.rglob(".*") if not path.name.endswith(".lock"))
    _remove(output)
    if found != expected:
        return "the next run made something else"
    return f"temporary names: {', '.join(hidden)}" if hidden else ""


def _start(home: Path, scenario: Scenario, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "apkiln.cli.main", *scenario.words, "-q", "--cache-dir", str(cache)]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def _content(path: Path) -> Content:
    """Everything about an output, to compare: bytes by path.  Locks and temporary names (`.`…) of directories do not count."""
    if not path.is_dir():
        return {"": path.read_bytes()}
    files = (item for item in path.rglob("*") if item.is_file() and not item.name.startswith("."))
    return {str(item.relative_to(path)): item.read_bytes() for item in files}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(about: str | None, make: Callable[[Path], Path], scenarios: Sequence[Scenario]) -> int:
    """The program: the rounds of all scenarios in a workspace that `make` makes, printed; exit code."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="rounds of each command (default 50)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments (default: the time)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # steps of builds may run as another user
        found = list(rounds(make(Path(directory, "home")), arguments.rounds, arguments.seed, scenarios))
    return report(found, scenarios)


def report(found: Sequence[Round], scenarios: Sequence[Scenario]) -> int:
    """Print the rounds; exit code."""
    counts = Counter((item.scenario, item.killed) for item in found)
    for scenario in scenarios:
        print(f"{scenario.name}: {counts[scenario.name, True]} killed, {counts[scenario.name, False]} ended before")
    faults = [item for item in found if item.fault]
    for item in faults:
        print(f"FAULT {item.scenario}: {item.fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(__doc__, workspace, SCENARIOS))
