"""Runs steps of the built-in pipelines in a directory of the test, with programs of this machine or stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from apkiln.core.arch import Arch
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.definition.model import Step


class Workspace:
    """A build directory: `home` stands for /home/build, `cache` for /var/cache/melange, `tools` is first on PATH."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.cache = root / "cache"
        self.tools = root / "tools"
        self.record = root / "record"
        for place in (self.home, self.cache, self.tools):
            place.mkdir()
        self.library = library_of([])

    def output(self, package: str = "demo") -> Path:
        """The directory of a package, made when absent."""
        place = self.home / "melange-out" / package
        place.mkdir(parents=True, exist_ok=True)
        return place

    def stand_in(self, name: str, body: str = "") -> None:
        """A program that records its name and arguments, then runs `body`."""
        place = self.tools / name
        place.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >> "{self.record}"\n{body}\n')
        place.chmod(0o755)

    def recorded(self) -> list[str]:
        """What stand-ins were called with, in order."""
        return self.record.read_text().splitlines() if self.record.exists() else []

    def run(
        self,
        pipeline: str,
        given: Mapping[str, str] | None = None,
        *,
        subpackage: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """The steps of a pipeline, in the main package or in a subpackage; the first failure ends it."""
        step: dict[str, object] = {"uses": pipeline} | ({"with": dict(given)} if given else {})
        definition: dict[str, object] = {"package": {"name": "demo", "version": "1.2.3", "epoch": 0}}
        if subpackage:
            definition["subpackages"] = [{"name": subpackage, "pipeline": [step]}]
        else:
            definition["pipeline"] = [step]
        found = resolve(load(json.dumps(definition).encode(), "test"), Arch.parse("x86_64"), self.library).definition
        self.output()
        self.output(subpackage or "demo")
        steps = found.subpackages[0].pipeline if subpackage else found.pipeline
        return self._run(_flat(steps), environment or {})

    def _run(self, steps: Sequence[Step], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": f"{self.tools}:{os.environ['PATH']}", "HOME": str(self.home), **environment}
        done = subprocess.CompletedProcess([], 0, "", "")
        for step in steps:
            script = self._placed(step.runs.text)
            directory = self._placed(step.working_directory.text) or str(self.home)
            command = ["bash", "-e", "-o", "pipefail", "-c", script + "\nexit 0\n"]
            done = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
            if done.returncode:
                break
        return done

    def _placed(self, text: str) -> str:
        return text.replace("/home/build", str(self.home)).replace("/var/cache/melange", str(self.cache))


def _flat(steps: Sequence[Step]) -> list[Step]:
    return [one for step in steps for one in ([step] if step.runs.text else []) + _flat(step.pipeline)]


def tree(root: Path) -> list[str]:
    """Files and links below a directory, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or not path.is_dir())


def fill(root: Path, names: Sequence[str]) -> None:
    """Files with their own name as content; `a -> b` is a link."""
    for name in names:
        path, arrow, target = name.partition(" -> ")
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if arrow:
            place.symlink_to(target)
        else:
            place.write_text(name)
