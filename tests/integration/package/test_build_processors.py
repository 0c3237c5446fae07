"""The same packages from processors with little and with much of what compression, digests and searches can use.

The whole product runs under qemu's other CPU models; the steps of the sandbox run on the processor that is there.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.build_workshop import Fixture, make_fixture
from tests.integration.clients import client

if os.uname().machine != "x86_64":
    pytest.skip("the emulated interpreter is this machine's, and that is not for x86_64", allow_module_level=True)

MODELS = ("Nehalem", "max")
DEFINITION = """package:
  name: demo
  version: "1.0"
  epoch: 0
  description: a demo
  copyright: [{license: MIT}]
environment: {contents: {packages: [busybox]}}
pipeline:
  - runs: |
      mkdir -p ${{targets.destdir}}/usr/bin; cp /bin/bash ${{targets.destdir}}/usr/bin/demo; cp -r data ${{targets.destdir}}/usr/
      cd ${{targets.destdir}}/usr/data; ln noise hard; ln -s noise soft; chown 12:34 words
subpackages:
  - name: demo-sub
    pipeline: [{runs: "mkdir -p ${{targets.subpkgdir}}/usr/s; echo s > ${{targets.subpkgdir}}/usr/s/s"}]
"""
SWITCHES = ("--lint-require", "", "--generate-provenance")


def _sources(home: Path) -> Path:
    """Files of more than one segment of the codec: noise, words, nothing."""
    chance = random.Random(4)
    (home / "source/data").mkdir(parents=True)
    (home / "source/data/noise").write_bytes(chance.randbytes(1_500_000))
    (home / "source/data/words").write_text(" ".join(f"word{chance.randrange(5000)}" for _ in range(500_000)))
    (home / "source/data/zero").write_bytes(bytes(3_000_000))
    return home / "source"


def _built(home: Path, words: tuple[str, ...], under: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Name → bytes of everything a command leaves in `packages`."""
    command = (*under, sys.executable, "-m", "apkiln.cli.main", *words)
    environment = {**os.environ, "APKILN_CACHE": str(home / "cache"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("SOURCE_DATE_EPOCH", None)
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(home)): path.read_bytes() for path in (home / "packages").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fixture]:
    directory = tmp_path_factory.mktemp("processors")
    for shown in (directory, directory.parent):
        shown.chmod(0o755)
    return directory, make_fixture(directory / "fixture")


def _home(place: tuple[Path, Fixture], name: str) -> Path:
    home = place[0] / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    _sources(home)
    (home / "demo.yaml").write_text(DEFINITION)
    return home


def _words(fixture: Fixture) -> tuple[str, ...]:
    keys = ("-r", str(fixture.directory), "-k", str(fixture.key), "--signing-key", str(fixture.signing_key))
    return ("package", "build", "demo.yaml", *keys, "--source-dir", "source", *SWITCHES)


@pytest.fixture(scope="module")
def expected(place: tuple[Path, Fixture]) -> dict[str, bytes]:
    client("bwrap")
    found = _built(_home(place, "native"), _words(place[1]))
    assert sorted(name for path in found if not (name := path.rpartition("/")[2]).startswith(".")) == [
        *("APKINDEX.tar.gz", "demo-1.0-r0.apk", "demo-1.0-r0.apk.intoto.jsonl", "demo-sub-1.0-r0.apk"),
    ]
    return found


@pytest.mark.parametrize("model", MODELS)
def test_the_processor_does_not_change_the_packages_of_a_build(
    place: tuple[Path, Fixture], expected: dict[str, bytes], model: str
) -> None:
    under = (client("qemu-x86_64-static"), "-cpu", model, "-L", "/")
    assert _built(_home(place, model), _words(place[1]), under) == expected


def test_the_fast_codec_is_the_one_that_may_differ(place: tuple[Path, Fixture], expected: dict[str, bytes]) -> None:
    """What the other tests compare is not the same for any reason: another codec gives other bytes of the same content."""
    found = _built(_home(place, "fast"), (*_words(place[1]), "--compression", "fast"))
    assert found.keys() == expected.keys()
    assert found["packages/x86_64/demo-1.0-r0.apk"] != expected["packages/x86_64/demo-1.0-r0.apk"]
