"""`apkiln image build` of an image that was built before: whatever changes, the output is that of a cache that knows nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sample_packages import sample_index, sample_package, sample_signer

from apkiln.cli.dispatch import dispatch

DEFINITION = """\
contents:
  repositories: [repository]
  keyring: [sample.rsa.pub]
  packages: [tool]
entrypoint: {command: /usr/bin/tool}
archs: [x86_64]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    files = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "etc/os-release": b"ID=sample\n"}
    publish(tmp_path, files)
    (tmp_path / "sample.rsa.pub").write_bytes(sample_signer().public_key())
    (tmp_path / "image.yaml").write_text(DEFINITION)
    (tmp_path / "note").write_text("local")
    build("first")
    return tmp_path


def publish(place: Path, files: dict[str, bytes]) -> None:
    packages = [
        sample_package("tool", files={"usr/bin/tool": b"tool"}, depends=["base"]),
        sample_package("base", files=files),
        sample_package("more", files={"usr/bin/more": b"more", "usr/bin/tool": b"tool"}),
    ]
    (place / "repository" / "x86_64").mkdir(parents=True, exist_ok=True)
    for package in packages:
        (place / "repository" / "x86_64" / package.file_name).write_bytes(package.data)
    (place / "repository" / "x86_64" / "APKINDEX.tar.gz").write_bytes(sample_index(packages, sample_signer()))


def build(output: str, *more: str, cache: str = "cache", tag: str = "app:1") -> dict[str, bytes]:
    """The files of the image."""
    words = ["image", "build", "image.yaml", tag, output, "--vcs=false", "-q", "--cache-dir", cache, *more]
    assert dispatch(words) == 0
    return files_of(output)


def files_of(output: str) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(Path(output).rglob("*")) if path.is_file()}


def define(text: str) -> Callable[[Path, pytest.MonkeyPatch], object]:
    return lambda place, patch: (place / "image.yaml").write_text(text)


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "epoch": lambda place, patch: patch.setenv("SOURCE_DATE_EPOCH", "1600000000"),
    "package": lambda place, patch: publish(place, {"etc/passwd": b"root:x:0:0::/root:/bin/bash\n"}),
    "packages": define(DEFINITION.replace("[tool]", "[tool, more]")),
    "entrypoint": define(DEFINITION.replace("/usr/bin/tool", "/usr/bin/other")),
    "path": define(DEFINITION + "paths: [{path: /srv, type: directory, permissions: 0o700}]\n"),
    "environment": define(DEFINITION + "environment: {A: B}\n"),
}
FLAGS = [
    ["--sbom-formats", "cyclonedx"],
    ["--no-sbom"],
    ["--layer-compression", "zstd"],
    ["--annotations", "a.b:c"],
    ["--package-append", "more"],
    ["--scripts", "ignore"],
]


def test_the_same_again_is_the_same(place: Path) -> None:
    assert build("second") == build("third", cache="fresh")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_is_built_is_seen(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = build("before")
    CHANGES[name](place, monkeypatch)
    after = build("after")
    assert after != before
    assert after == build("expected", cache="fresh")


@pytest.mark.parametrize("flags", FLAGS)
def test_a_change_of_flags_is_seen(place: Path, flags: list[str]) -> None:
    assert build("after", *flags) == build("expected", *flags, cache="fresh")


def test_bills_name_the_repository_that_was_asked_for(place: Path) -> None:
    before, after = build("before"), build("after", tag="other:1")
    assert after == build("expected", cache="fresh", tag="other:1")
    changed = {"index.json", "sbom-index.spdx.json", "sbom-x86_64.spdx.json"}
    assert {name for name in before if before[name] != after.get(name)} == changed, "the image knows no name"


def test_local_files_are_read_each_time(place: Path) -> None:
    (place / "image.yaml").write_text(DEFINITION + "paths: [{path: /note, type: file, from: note, permissions: 0o644}]\n")
    before = build("before")
    (place / "note").write_text("changed")
    after = build("after")
    assert before != after
    assert after == build("expected", cache="fresh")


def test_a_damaged_cache_is_told_and_mended(place: Path) -> None:
    expected = build("expected")
    for blob in (place / "cache" / "blobs").rglob("*-*"):
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.write_bytes(bytes(content))
    words = ["image", "build", "image.yaml", "app:1", "damaged", "--vcs=false", "-q", "--cache-dir", "cache"]
    codes: list[int] = []
    while not codes or (codes[-1] and len(codes) < 60):
        codes.append(dispatch(words))
        assert codes[-1] == 0 or not Path("damaged").exists()
    assert codes[0] != 0 and codes[-1] == 0
    assert files_of("damaged") == expected
