"""Commands about images, killed at random moments and run again: `python -m tests.kill_points [--rounds N] [--seed N]`.

Each round starts a command on the cache that the rounds before left, sends SIGKILL after a random part of the time that the
whole takes, and looks at what is there: the output under its name is whole or absent.  Then the same command runs to its end
on the same cache and must give what an undisturbed one gives, and no temporary name may be left beside the output.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
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


SCENARIOS = (
    Scenario("build a directory", ("build", "image.yaml", "app:1", "out", "--vcs=false"), "out"),
    Scenario("build an archive", ("build", "image.yaml", "app:1", "out.tar", "--vcs=false", "--sbom-path", "bills"), "out.tar"),
    Scenario("lock", ("lock", "image.yaml"), "image.lock.json"),
)


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
    for scenario in scenarios:
        expected, duration = _undisturbed(home, scenario)
        for _ in range(count):
            # A third starts without anything cached; the others find what earlier rounds left.
            cache = home / "cache"
            if chance.random() < 1 / 3:
                shutil.rmtree(cache, ignore_errors=True)
            yield _round(home, scenario, cache, chance.random() * duration, expected)


def _undisturbed(home: Path, scenario: Scenario) -> tuple[bytes, float]:
    started = time.monotonic()
    done = _start(home, scenario, home / "undisturbed-cache")
    assert done.wait(timeout=120) == 0, scenario.name
    duration = time.monotonic() - started
    found = _content(home / scenario.output)
    _remove(home / scenario.output)
    return found, duration


def _round(home: Path, scenario: Scenario, cache: Path, delay: float, expected: bytes) -> Round:
    output = home / scenario.output
    process = _start(home, scenario, cache)
    try:
        process.wait(timeout=delay)
        killed = False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        killed = True
    if os.path.lexists(output):
        if _content(output) != expected:
            return Round(scenario.name, killed, f"{scenario.output} is there and not whole after {delay:.3f} s")
        _remove(output)
    again = _start(home, scenario, cache)
    if again.wait(timeout=120):
        return Round(scenario.name, killed, f"the next run failed after a kill at {delay:.3f} s")
    found = _content(output)
    _remove(output)
    if found != expected:
        return Round(scenario.name, killed, f"the next run made something else after a kill at {delay:.3f} s")
    known = {"bills", "keys", "image.yaml", "repo", "cache", "undisturbed-cache"}
    left = sorted(path.name for path in home.iterdir() if path.name not in known)
    return Round(scenario.name, killed, f"left behind: {', '.join(left)}" if left else "")


def _start(home: Path, scenario: Scenario, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "apkiln.cli.main", "image", *scenario.words, "-q", "--cache-dir", str(cache)]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def _content(path: Path) -> bytes:
    """Everything about an output, as bytes to compare."""
    if not path.is_dir():
        return path.read_bytes()
    files = sorted(item for item in path.rglob("*") if item.is_file())
    return json.dumps([[str(item.relative_to(path)), item.read_bytes().hex()] for item in files]).encode()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="rounds of each command (default 50)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments (default: the time)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as directory:
        found = list(rounds(workspace(Path(directory, "home")), arguments.rounds, arguments.seed))
    counts = Counter((item.scenario, item.killed) for item in found)
    for scenario in SCENARIOS:
        print(f"{scenario.name}: {counts[scenario.name, True]} killed, {counts[scenario.name, False]} ended before")
    faults = [item for item in found if item.fault]
    for item in faults:
        print(f"FAULT {item.scenario}: {item.fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
