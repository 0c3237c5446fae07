"""Whole sessions of `image lock`, `build --locked`, `diff`, `why` and `graph`, and apko's words for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.image_session import Session


@pytest.fixture
def session(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return Session(tmp_path, capsys)


def test_a_lock_is_written_and_built_from_without_indexes(session: Session) -> None:
    assert session.run("image", "lock", "image.yaml") == "image.lock.json: 3 packages for x86_64, 3 packages for aarch64\n"
    direct = session.run("image", "build", "image.yaml", "app:1", "one", "--vcs=false")
    for index in session.place.glob("repo/*/APKINDEX.tar.gz"):
        index.unlink()
    session.place.joinpath("keys/sample.rsa.pub").unlink()
    assert session.run("image", "build", "image.yaml", "app:1", "two", "--vcs=false", "--locked") == direct
    words = ("image", "build", "image.yaml", "app:1", "three", "--vcs=false", "--lockfile", "image.lock.json", "--offline")
    assert session.run(*words) == direct
    assert session.run("image", "diff", "one", "three", "--exit-code") == ""
    assert session.run("image", "diff", "image.lock.json", "one", "--exit-code") == ""
    session.run("image", "build", "image.yaml", "app:1", "four", "--vcs=false", code=8)


def test_the_place_of_the_lock(session: Session) -> None:
    session.run("image", "lock", "./image.yaml", "--output", "locks.json", "--arch", "x86_64")
    assert json.loads((session.place / "locks.json").read_text())["config"]["name"] == "./image.yaml"
    summary = json.loads(session.run("image", "lock", "image.yaml", "--json"))
    assert summary["packages"] == {"x86_64": 3, "aarch64": 3}
    session.run("image", "build", "image.yaml", "app:1", "x", "--locked", "--lockfile", "y", code=2)
    session.run("image", "lock", "image.yaml", "--check", "--update", "app", code=2)


def test_flags_and_credentials(session: Session) -> None:
    session.run("image", "lock", "image.yaml", "-p", "zlib", "-r", "./repo", "--drift", "zlib")
    lock = json.loads((session.place / "image.lock.json").read_text())
    assert lock["flags"] == ["--drift=zlib", "--package-append=zlib", "--repository-append=./repo"]
    session.run("image", "packages", "image.yaml", "--locked", code=3)
    assert "lock-request-changed" in session.run("image", "packages", "image.yaml", "--locked", "--json", code=3) + session.errors
    session.run("image", "packages", "image.yaml", "--locked", "-p", "zlib")


def test_checking_and_updating(session: Session) -> None:
    session.run("image", "lock", "image.yaml")
    assert session.run("image", "lock", "image.yaml", "--check") == ""
    session.publish("1.1-r0")
    told = session.run("image", "lock", "image.yaml", "--check", code=10)
    assert told.splitlines() == [
        "aarch64:",
        "  ~ zlib 1.0-r0 → 1.1-r0 upgraded",
        "x86_64:",
        "  ~ zlib 1.0-r0 → 1.1-r0 upgraded",
    ]
    before = (session.place / "image.lock.json").read_bytes()
    session.run("image", "lock", "image.yaml", "--update", "app", "--output", "image.lock.json")
    assert session.run("image", "lock", "image.yaml", "--check", code=10) == told
    session.place.joinpath("old.json").write_bytes(before)
    session.run("image", "lock", "image.yaml", "--update", "app", "zlib")
    session.run("image", "lock", "image.yaml", "--check")
    difference = json.loads(session.run("image", "diff", "old.json", "image.lock.json", "--json"))
    changes = [change["name"] for item in difference["differences"] for change in item["packages"]]
    assert changes == ["zlib", "zlib"]
    session.run("image", "diff", "old.json", "image.lock.json", "--exit-code", code=10)


def test_an_architecture_that_lags_is_named(session: Session) -> None:
    session.publish("1.1-r0", ["x86_64"])
    session.run("image", "lock", "image.yaml", code=5)
    assert "zlib: aarch64 lags with 1.0-r0; x86_64 has 1.1-r0" in session.errors
    assert "--drift" in session.errors
    session.run("image", "lock", "image.yaml", "--drift", "allow")
    session.run("image", "build", "image.yaml", "app:1", "x", "--locked")


def test_why(session: Session) -> None:
    assert session.run("image", "why", "image.yaml", "so:z.so.1", "--arch", "x86_64").splitlines() == [
        "zlib-1.0-r0",
        "  the definition asks for app → app needs so:z.so.1: zlib",
    ]
    assert session.run("image", "why", "image.yaml", "app", "--arch", "x86_64").splitlines() == [
        "app-1.0-r0",
        "  the definition asks for app",
        "  nothing else needs: zlib",
    ]
    found = json.loads(session.run("image", "why", "image.yaml", "zlib", "--json"))
    assert [item["arch"] for item in found] == ["x86_64", "aarch64"]
    assert [edge["target"] for edge in found[0]["chains"][0]] == ["app", "zlib"]
    session.run("image", "why", "image.yaml", "absent", code=2)


def test_graph(session: Session) -> None:
    text = session.run("image", "graph", "image.yaml", "--arch", "x86_64")
    assert '"app" -> "zlib" [label="so:z.so.1"];' in text
    found = json.loads(session.run("image", "graph", "image.yaml", "--json"))
    assert ["app", "zlib", "depends", "so:z.so.1"] in found[0]["edges"]
    assert session.run("apko", "dot", "image.yaml", "-S", "--arch", "x86_64").startswith("digraph")


def test_a_contradiction_is_drawn_and_told(session: Session) -> None:
    text = session.run("image", "graph", "image.yaml", "--arch", "x86_64", "-p", "!zlib", code=5)
    assert text.startswith("digraph")
    assert '"!zlib"' in text
    assert "error:" in session.errors


@pytest.mark.parametrize("verb", ["lock", "resolve"])
def test_apko_s_words(session: Session, verb: str) -> None:
    session.run("apko", verb, "image.yaml", "--output", "x.json")
    session.run("apko", "build", "image.yaml", "app:1", "x.tar", "--lockfile", "x.json", "--vcs=false")


def test_the_page_shows_where_the_bytes_lie_when_asked(session: Session) -> None:
    without = session.run("image", "graph", "image.yaml", "--format", "html")
    assert "Where the bytes lie" not in without
    shown = session.run("image", "graph", "image.yaml", "--format", "html", "--directories")
    assert shown.count("Where the bytes lie") == 2
    assert 'data-name="/usr/share/app"' in shown
