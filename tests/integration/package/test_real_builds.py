"""Real upstream sources and real compilers: the definitions in `examples/packages`, built and tested upon Debian's packages.

Compilers and sources come from the machine's own package sources; everything is built without network.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.conformance.suites.commands import Answer, run_command

from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/packages"
IMPORTED = (
    *("gcc", "libc6-dev", "make", "musl-tools", "golang-go", "python3-minimal", "python3-setuptools", "python3-wheel", "dash"),
    *("bash", "coreutils", "sed", "grep", "tar", "bzip2", "gawk", "findutils", "diffutils"),
)

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


class Workplace(NamedTuple):
    """A repository of compilers, and fetched sources."""

    directory: Path
    key: Path

    def run(self, *words: str) -> Answer:
        return run_command(words, self.directory, {"APKILN_CACHE": str(self.directory / "cache")})

    def build(self, name: str, *flags: str) -> Answer:
        places = ("-r", "debian", "-k", str(self.key), "--source-cache", "sources", "--empty-workspace")
        return self.run("package", "build", str(EXAMPLES / f"{name}.yaml"), *places, *flags)

    def test(self, name: str) -> Answer:
        places = ("-r", "debian", "-r", "packages", "-k", str(self.key), "--ignore-signatures")
        return self.run("package", "test", str(EXAMPLES / f"{name}.yaml"), *places)

    def package(self, name: str) -> PackageContents:
        with (self.directory / f"packages/x86_64/{name}.apk").open("rb") as stream:
            return read_package(stream)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    for program in ("bwrap", "apt-get", "gpgv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not found")
    if os.uname().machine != "x86_64":
        pytest.skip("the digests are those of x86-64")
    directory = tmp_path_factory.mktemp("real")
    for place in (directory, directory.parent):
        place.chmod(0o755)
    made = Workplace(directory, directory / "debian/debian.rsa.pub")
    assert made.run("repo", "init", "debian", "--key-name", "debian.rsa").code == 0
    imported = made.run("deb", "import", *IMPORTED, "--repo", "debian", "--essential", "lite", "--scripts", "report", "-q")
    if imported.code:
        pytest.skip(f"the compilers cannot be imported: {imported.first_error}")
    fetched = made.run(
        "package",
        "source",
        "fetch",
        *(str(EXAMPLES / f"{name}.yaml") for name in ("zlib", "tinybox")),
        "--debian",
        "--source-cache",
        "sources",
    )
    if fetched.code:
        pytest.skip(f"the sources cannot be fetched: {fetched.first_error}")
    return made


def built_and_tested(workplace: Workplace, name: str) -> None:
    answer = workplace.build(name, "--overwrite")
    assert answer.code == 0, answer.errors[-3000:]
    answer = workplace.test(name)
    assert answer.code == 0, answer.errors[-3000:]


def test_zlib(workplace: Workplace) -> None:
    built_and_tested(workplace, "zlib")
    main, dev = workplace.package("zlib-1.2.13-r0"), workplace.package("zlib-dev-1.2.13-r0")
    assert "so:libz.so.1=1" in {item.partition(".13")[0] for item in main.info.provides} | set(main.info.provides)
    assert main.info.depends == ("libc6",), "imported packages have no names of libraries"
    assert any(item.startswith("pc:zlib") for item in dev.info.provides)
    assert "usr/include/zlib.h" in {item.entry.path for item in dev.entries}
    assert "usr/lib/libz.a" in {item.entry.path for item in workplace.package("zlib-static-1.2.13-r0").entries}


def test_busybox(workplace: Workplace) -> None:
    built_and_tested(workplace, "tinybox")
    assert workplace.package("tinybox-1.35.0-r0").info.depends == ()


def test_a_program_for_musl(workplace: Workplace) -> None:
    built_and_tested(workplace, "musl-hello")
    assert workplace.package("musl-hello-1.0-r0").info.depends == ()


def test_a_python_wheel(workplace: Workplace) -> None:
    built_and_tested(workplace, "py3-fixture")


def test_a_go_program(workplace: Workplace) -> None:
    built_and_tested(workplace, "go-hello")


def test_equal_bytes_when_built_again_on_hard_links(workplace: Workplace) -> None:
    for name, flags in (("musl-hello", ("--root", "hardlinks")), ("py3-fixture", ("--root", "hardlinks"))):
        answer = workplace.build(name, *flags)
        assert answer.code == 0, answer.errors[-2000:]  # other bytes would be refused
