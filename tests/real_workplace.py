"""A repository of Debian's compilers and a cache of upstream's sources, to build the definitions of `examples/packages` with.

Compilers and sources come from the machine's own package sources; everything is built without network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.conformance.suites.commands import Answer, run_command

from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package

EXAMPLES = Path(__file__).resolve().parents[1] / "examples/packages"
COMPILERS = (
    *("gcc", "libc6-dev", "make", "musl-tools", "golang-go", "python3-minimal", "python3-setuptools", "python3-wheel", "dash"),
    *("bash", "coreutils", "sed", "grep", "tar", "bzip2", "gawk", "findutils", "diffutils"),
)
"""Debian packages that the examples of the default tests need."""


class Workplace(NamedTuple):
    """A repository of compilers, and fetched sources."""

    directory: Path
    key: Path

    def run(self, *words: str) -> Answer:
        return run_command(words, self.directory, {"APKILN_CACHE": str(self.directory / "cache")})

    def build(self, name: str, *flags: str) -> Answer:
        places = ("-r", "debian", "-k", str(self.key), "--source-cache", "sources", "--empty-workspace")
        return self.run("package", "build", str(EXAMPLES / f"{name}.yaml"), *places, *flags)

    def built_and_tested(self, name: str) -> None:
        answer = self.build(name, "--overwrite")
        assert answer.code == 0, answer.errors[-3000:]
        answer = self.test(name)
        assert answer.code == 0, answer.errors[-3000:]

    def test(self, name: str) -> Answer:
        places = ("-r", "debian", "-r", "packages", "-k", str(self.key), "--ignore-signatures")
        return self.run("package", "test", str(EXAMPLES / f"{name}.yaml"), *places)

    def package(self, name: str) -> PackageContents:
        with (self.directory / f"packages/x86_64/{name}.apk").open("rb") as stream:
            return read_package(stream)


def make_workplace(directory: Path, imported: Sequence[str], sources: Sequence[str]) -> Workplace:
    """`imported`: Debian packages; `sources`: examples whose sources are fetched.  Skips the tests, with the reason, where the
    machine cannot."""
    for program in ("bwrap", "apt-get", "gpgv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not found")
    if os.uname().machine != "x86_64":
        pytest.skip("the digests are those of x86-64")
    for place in (directory, directory.parent):
        place.chmod(0o755)
    made = Workplace(directory, directory / "debian/debian.rsa.pub")
    assert made.run("repo", "init", "debian", "--key-name", "debian.rsa").code == 0
    answer = made.run("deb", "import", *imported, "--repo", "debian", "--essential", "lite", "--scripts", "report", "-q")
    if answer.code:
        pytest.skip(f"the compilers cannot be imported: {answer.first_error}")
    files = [str(EXAMPLES / f"{name}.yaml") for name in sources]
    answer = made.run("package", "source", "fetch", *files, "--debian", "--source-cache", "sources")
    if answer.code:
        pytest.skip(f"the sources cannot be fetched: {answer.first_error}")
    return made
