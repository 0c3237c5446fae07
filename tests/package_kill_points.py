"""Builds of packages, killed at random moments and run again: `python -m tests.package_kill_points [--rounds N] [--seed N]`.

What `tests.kill_points` does for images, with commands that run steps in the sandbox: every package and index that is there is
whole, and the next run ends well on the same cache and clears what the killed one left.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.build_workshop import make_fixture
from tests.kill_points import Scenario, main

DEFINITION = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline:
  - runs: |
      mkdir -p ${{targets.destdir}}/usr/share
      mkdir closed; touch closed/file; chown 1234:4321 closed; chmod 0 closed
      sleep 0.3
      cp -r big ${{targets.destdir}}/usr/share/
subpackages:
  - name: demo-sub
    pipeline: [{runs: "mkdir -p ${{targets.subpkgdir}}/usr/s; cp big/0 ${{targets.subpkgdir}}/usr/s/"}]
"""
BUILD = (
    *("package", "build", "demo.yaml", "-r", "fixture/repository", "-k", "fixture/fixture.rsa.pub"),
    *("--signing-key", "fixture/fixture.rsa", "--source-dir", "source", "--out-dir", "packages", "--lint-require", ""),
)
LEFT = ("cache/builds/build-*", "cache/trees/.building-*")
SCENARIOS = (
    Scenario("build packages", BUILD, "packages", True, LEFT),
    Scenario("build on hard links", (*BUILD, "--root", "hardlinks"), "packages", True, LEFT),
    Scenario("build once per input", (*BUILD, "--cache-results"), "packages", True, LEFT),
    Scenario(
        "import a directory",
        ("package", "import", "source", "--name", "demo", "--version", "1.0", "--lint-require", "", "--out-dir", "packages"),
        "packages",
        True,
        LEFT,
    ),
)


def workspace(home: Path) -> Path:
    """A definition, its sources and a repository to build upon."""
    make_fixture(home / "fixture")
    noise = random.Random(0)
    (home / "source/big").mkdir(parents=True)
    for number in range(12):
        (home / f"source/big/{number}").write_bytes(noise.randbytes(300_000) + bytes(300_000))
    (home / "demo.yaml").write_text(DEFINITION)
    return home


if __name__ == "__main__":
    sys.exit(main(__doc__, workspace, SCENARIOS))
