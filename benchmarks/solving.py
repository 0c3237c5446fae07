"""An index of 5,000 packages read and a world of about 50 solved, warm, as whole processes; and how a command starts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks import workload
from benchmarks.measuring import Sample, Summary, Variant, command, interleaved
from benchmarks.workload import APKILN

SOLVE = "apkiln image packages, 5,000-package index"
VERSION = "apkiln --version"
PYTHON = "python -c pass"


class SolvingBench:
    """Measures with one cache that was filled before."""

    def __init__(self, work: Path, cache: Path, peers: dict[str, str]) -> None:
        self._work = work
        self._environment = workload.clean_environment(cache) | {"APK_CONFIG": "/dev/null"}
        self._peers = peers
        self._repository, self._key, self._world = workload.index_of_many(work)
        self._definition = work / "many.yaml"
        self._definition.write_text(
            f"contents:\n  repositories: ['{self._repository}']\n  keyring: ['{self._key}']\n"
            f"  packages: [{', '.join(self._world)}]\narchs: [x86_64]\n"
        )

    def run(self, rounds: int) -> dict[str, Summary]:
        """Figures by name."""
        variants = [
            Variant(SOLVE, lambda number: self._command([APKILN, "image", "packages", self._definition, "-q"])),
            Variant(VERSION, lambda number: self._command([APKILN, "--version"])),
            Variant(PYTHON, lambda number: self._command([sys.executable, "-c", "pass"])),
        ]
        if "apk" in self._peers:
            variants.append(Variant("apk add --simulate, same index", self._apk, self._new_root, optional=True))
        if "apko" in self._peers:
            variants.append(Variant("apko show-packages, same index", self._apko, optional=True))
        return interleaved(variants, rounds)

    def _command(self, words: list[object]) -> Sample:
        return command(words, self._environment, self._work)

    def _new_root(self, number: int) -> None:
        root = self._work / "solve-root"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("etc/apk/keys", "lib/apk/db", "tmp", "var/log"):
            (root / name).mkdir(parents=True)
        for name in ("etc/apk/world", "lib/apk/db/installed"):
            (root / name).touch()
        (root / "etc/apk/arch").write_text("x86_64\n")
        shutil.copy(self._key, root / "etc/apk/keys")
        (self._work / "many-repositories").write_text(f"{self._repository}\n")

    def _apk(self, number: int) -> Sample:
        words = [self._peers["apk"], "--root", self._work / "solve-root", "--arch", "x86_64", "--no-cache", "--no-logfile"]
        words += ["--repositories-file", self._work / "many-repositories", "--simulate", "add", *self._world]
        return self._command(words)

    def _apko(self, number: int) -> Sample:
        words = [self._peers["apko"], "show-packages", self._definition, "--cache-dir", self._work / "apko-cache"]
        return self._command([*words, "--log-level", "error"])
