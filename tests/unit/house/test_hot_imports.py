"""What a build of known packages loads: every module costs time at each start, whether it is used or not."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from tests.sample_packages import sample_index, sample_package, sample_signer

DEFINITION = """\
contents:
  repositories: [repository]
  keyring: [sample.rsa.pub]
  packages: [tool]
entrypoint: {command: /usr/bin/tool}
accounts:
  users: [{username: app, uid: 1000}]
  run-as: app
archs: [x86_64]
"""
PROGRAM = """\
import sys
from apkiln.cli.main import main
code = main(sys.argv[1:])
sys.stderr.write("\\n".join(sorted(sys.modules)))
sys.exit(code)
"""
LIBRARIES = (
    "urllib3", "cryptography", "license_expression", "rich", "cyclonedx", "yaml", "msgspec", "isal", "backports", "sqlalchemy",
    "subprocess", "asyncio", "ssl", "socket", "http", "email", "concurrent.futures", "multiprocessing", "logging", "tempfile",
    "shutil", "random", "datetime", "difflib", "dataclasses", "inspect", "urllib.request", "sqlite3", "tarfile", "zipfile",
)  # fmt: skip
OURS = (
    "apkiln.solver.solving", "apkiln.formats.apk.package", "apkiln.formats.apk.signature", "apkiln.formats.apk.index_text",
    "apkiln.formats.apk.package_writer", "apkiln.formats.gzip", "apkiln.formats.sbom", "apkiln.formats.elf",
    "apkiln.formats.archive.tar_reader", "apkiln.image.sbom", "apkiln.image.lock", "apkiln.image.audit", "apkiln.system.http",
    "apkiln.system.registry_client", "apkiln.system.sandbox", "apkiln.repository", "apkiln.debian",
)  # fmt: skip
BUILDER = (
    "apkiln.image.building", "apkiln.image.completing", "apkiln.image.generated", "apkiln.image.layer_making",
    "apkiln.image.bills", "apkiln.rootfs.segments", "apkiln.formats.deflate.codec", "ctypes", "deflate",
)  # fmt: skip
"""What makes an image, which one that was built before does without."""
RECORD = "C:Q1{identity}\nP:package-{number}\nV:1\nA:x86_64\nS:1\nI:1\nT:t\nU:u\nL:l\n\n"


def run(place: Path, *words: str, cache: str = "cache") -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "src"), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-c", PROGRAM, *words, "--cache-dir", cache, "-q"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return set(done.stderr.split("\n"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A definition whose packages, solution and layer the cache knows."""
    place = tmp_path_factory.mktemp("hot")
    signer = sample_signer()
    files = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "etc/os-release": b"ID=sample\n", "usr/lib/library.so": b"library"}
    packages = [sample_package("tool", files={"usr/bin/tool": b"tool"}, depends=["base"]), sample_package("base", files=files)]
    (place / "repository" / "x86_64").mkdir(parents=True)
    for package in packages:
        (place / "repository" / "x86_64" / package.file_name).write_bytes(package.data)
    (place / "repository" / "x86_64" / "APKINDEX.tar.gz").write_bytes(sample_index(packages, signer))
    (place / "sample.rsa.pub").write_bytes(signer.public_key())
    (place / "image.yaml").write_text(DEFINITION)
    build(place, "first")
    return place


def build(place: Path, output: str) -> set[str]:
    return run(place, "image", "build", "image.yaml", "app:1", output, "--vcs=false")


def among(modules: set[str], names: tuple[str, ...]) -> list[str]:
    """Modules that are one of `names` or inside one."""
    return sorted(module for module in modules for name in names if module == name or module.startswith(f"{name}."))


def test_a_hot_build_loads_nothing_that_only_a_cold_one_needs(place: Path) -> None:
    modules = build(place, "second")
    assert among(modules, (*LIBRARIES, *OURS, *BUILDER)) == []
    assert len([module for module in modules if module.startswith("apkiln.")]) <= 115


def test_a_hot_solution_loads_little_of_the_standard_library(place: Path) -> None:
    """Index files of some size are parsed once; then only a table is read."""
    index = place / "APKINDEX"
    index.write_text(
        "".join(RECORD.format(number=number, identity=b64encode(number.to_bytes(20)).decode()) for number in range(2000))
    )
    words = ("apk", "solve", "--index", "APKINDEX", "--arch", "x86_64", "package-7")
    run(place, *words)
    modules = run(place, *words)
    assert among(modules, (*LIBRARIES, *OURS[1:], *BUILDER, "typing", "pathlib", "json", "urllib", "threading", "base64")) == []
    assert len([module for module in modules if module.startswith("apkiln.")]) <= 70


def test_a_warm_listing_loads_nothing_of_the_builder(place: Path) -> None:
    run(place, "image", "packages", "image.yaml")
    modules = run(place, "image", "packages", "image.yaml")
    assert among(modules, (*LIBRARIES, *OURS, *BUILDER, "apkiln.rootfs", "typing")) == []


def test_the_list_can_fail(place: Path) -> None:
    """A first build does need some of what is listed."""
    fresh = run(place, "image", "build", "image.yaml", "app:1", "third", "--vcs=false", cache="other")
    assert {"yaml", "apkiln.solver.solving", "apkiln.formats.apk.package"} <= fresh
