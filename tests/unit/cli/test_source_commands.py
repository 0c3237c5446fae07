"""`apkiln package source fetch` and `package bump`, and melange's words for them; everything from local files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from apkiln.cli import dispatch

DATA, NEWER = b"old source", b"new source"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/a-1.tgz").write_bytes(DATA)
    (tmp_path / "files/a-2.tgz").write_bytes(NEWER)
    (tmp_path / "map.yaml").write_text("prefixes: {'https://h.example/': files/}\nonly: true\n")
    (tmp_path / "a.yaml").write_text(
        "package: {name: a, version: 1, epoch: 3}\npipeline:\n  - uses: fetch\n    with:\n"
        f"      uri: https://h.example/a-${{{{package.version}}}}.tgz\n      expected-sha256: {sha256(DATA)} # known\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_fetch_fills_the_cache_by_melanges_words_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["melange", "update-cache", "a.yaml", "--cache-dir", "./mc", "--source-map", "map.yaml"]) == 0
    assert (folder / "mc" / f"sha256:{sha256(DATA)}").read_bytes() == DATA
    assert dispatch.dispatch(["package", "source", "fetch", "a.yaml", "--source-map", "map.yaml", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))["sources"]
    assert row["from"] == str(folder / "files/a-1.tgz") and row["size"] == len(DATA)
    assert (folder / "cache/sources" / row["name"]).exists()
    assert dispatch.dispatch(["package", "source", "fetch", "a.yaml", "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"][0]["from"] == "cache"


def test_fetch_offline_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "source", "fetch", "a.yaml", "--offline"]) != 0
    assert "https://h.example/a-1.tgz" in capsys.readouterr().err


def test_a_dry_run_only_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "source", "fetch", "a.yaml", "--dry-run", "--offline"]) == 0
    assert capsys.readouterr().out == f"sha256:{sha256(DATA)} https://h.example/a-1.tgz\n"
    assert not (folder / "cache").exists()


def test_verbs_of_two_words_have_hints(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "source"]) == 2
    assert "source fetch" in capsys.readouterr().err
    assert dispatch.dispatch(["package", "source", "feed"]) == 2
    assert "package source feed" in capsys.readouterr().err


@pytest.mark.parametrize("noun", ["package", "melange"])
def test_bump(folder: Path, noun: str) -> None:
    old = (folder / "a.yaml").read_text()
    (folder / "a.yaml").chmod(0o600)
    assert dispatch.dispatch([noun, *["bump", "a.yaml", "2", "--source-map", "map.yaml"]]) == 0
    wanted = old.replace("version: 1", 'version: "2"').replace("epoch: 3", "epoch: 0").replace(sha256(DATA), sha256(NEWER))
    assert (folder / "a.yaml").read_text() == wanted
    assert (folder / "a.yaml").stat().st_mode & 0o777 == 0o600


def test_bump_that_fails_leaves_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = (folder / "a.yaml").read_text()
    assert dispatch.dispatch(["package", "bump", "a.yaml", "7", "--source-map", "map.yaml"]) != 0
    assert "a-7.tgz" in capsys.readouterr().err
    assert dispatch.dispatch(["package", "bump", "a.yaml", "v2", "--source-map", "map.yaml"]) != 0
    assert "write `2`" in capsys.readouterr().err
    assert (folder / "a.yaml").read_text() == old
    assert dispatch.dispatch(["package", "bump", "a.yaml", "2", "--dry-run", "--source-map", "map.yaml"]) == 0
    assert sha256(NEWER) in capsys.readouterr().out and (folder / "a.yaml").read_text() == old


@pytest.mark.parametrize(
    "flags", [["--log-level", "debug"], ["--log-level=debug", "--gcplog"], ["--log-policy", "builtin:stderr"]]
)
@pytest.mark.parametrize("front", [True, False])
def test_melanges_flags_for_logging_are_passed_over(flags: list[str], front: bool) -> None:
    verb = ["update-cache", "a.yaml", "--source-map", "map.yaml"]
    assert dispatch.dispatch(["melange", *(flags + verb if front else verb + flags)]) == 0
