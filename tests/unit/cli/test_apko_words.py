"""apko's command lines, whole: directories, versions, logins, outputs that are there already."""

from __future__ import annotations

import base64
import io
import json
import stat
from pathlib import Path

import pytest
from tests.image_session import Session

from apkiln.cli.apko_words import translated


@pytest.fixture
def session(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return Session(tmp_path, capsys)


@pytest.mark.parametrize("out", ["out", "app.tar"])
def test_outputs_replace_what_is_there(session: Session, out: str) -> None:
    build = ("build", "image.yaml", "app:1", out, "--vcs=false")
    first = session.run("apko", *build)
    before = {path: path.read_bytes() for path in session.place.glob(f"{out}/blobs/*/*")}
    assert session.run("apko", *build) == first
    assert {path: path.read_bytes() for path in session.place.glob(f"{out}/blobs/*/*")} == before
    session.run("image", *build, code=7)
    assert session.run_json_error("image", *build, code=7) == "output-exists"
    session.run("image", *build, "--force")
    assert not [path.name for path in session.place.iterdir() if path.name.startswith(".")]


def test_a_directory_with_other_files_is_never_replaced(session: Session) -> None:
    (session.place / "out").mkdir()
    (session.place / "out" / "thesis.txt").write_text("years of work")
    build = ("apko", "build", "image.yaml", "app:1", "out", "--vcs=false")
    assert session.run_json_error(*build, code=7) == "output-holds-other-files"
    assert (session.place / "out" / "thesis.txt").read_text() == "years of work"


def test_a_directory_does_not_become_a_file(session: Session) -> None:
    (session.place / "app.tar").mkdir()
    assert session.run_json_error("apko", "build", "image.yaml", "app:1", "app.tar", code=7) == "output-exists"


@pytest.mark.parametrize("flag", [["-C"], ["--workdir"], ["--workdir="]])
def test_everything_relative_starts_at_the_workdir(session: Session, flag: list[str]) -> None:
    place = str(session.place)
    words = [flag[0] + place] if flag[0].endswith("=") else [*flag, place]
    (session.place / "elsewhere").mkdir()
    with pytest.MonkeyPatch.context() as context:
        context.chdir(session.place / "elsewhere")
        assert "app 1.0-r0" in session.run("apko", *words, "show-packages", "image.yaml")
        context.chdir(session.place / "elsewhere")
        assert "app 1.0-r0" in session.run("apko", "show-packages", "image.yaml", *words)


def test_a_workdir_that_is_none(session: Session) -> None:
    assert session.run_json_error("apko", "-C", "none", "show-packages", "image.yaml", code=2) == "bad-arguments"


def test_versions(session: Session) -> None:
    assert session.run("apko", "version").startswith("apkiln ")
    assert json.loads(session.run("apko", "version", "--json"))["name"] == "apkiln"


def test_what_dot_takes(session: Session) -> None:
    plain = session.run("apko", "dot", "image.yaml")
    assert plain.startswith("digraph")
    for words in (["-e", "explorer.example"], ["--registry-explorer=explorer.example"], ["--web=false"]):
        assert session.run("apko", "dot", "image.yaml", *words) == plain
    assert session.run_json_error("apko", "dot", "image.yaml", "--web", code=2) == "bad-arguments"


def test_verbs_without_a_counterpart(session: Session) -> None:
    assert session.run_json_error("apko", "erofs", code=2) == "unknown-command"


def test_clean_removes_the_cache_and_says_first_what_that_would_be(session: Session) -> None:
    session.run("apko", "build", "image.yaml", "app:1", "out", "--vcs=false")
    session.run("apko", "clean", "--dry-run")
    assert list((session.place / "cache").rglob("*"))
    session.run("apko", "clean")
    assert not [path for path in (session.place / "cache" / "blobs").rglob("*") if path.is_file()]
    assert translated(["clean", "--dry-run"]) == ["cache", "info"]


def test_a_login_is_kept_for_its_owner_beside_what_is_there(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    place = session.place / "docker" / "config.json"
    place.parent.mkdir()
    place.write_text('{"auths": {"a.example": {"auth": "dTpw"}}, "HttpHeaders": {"A": "b"}}')
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    shown = session.run("apko", "login", "reg.example:5000", "-u", "me", "--password-stdin")
    assert "hunter2" not in shown + session.errors
    document = json.loads(place.read_text())
    assert document["auths"]["a.example"] == {"auth": "dTpw"}
    assert document["HttpHeaders"] == {"A": "b"}
    assert base64.b64decode(document["auths"]["reg.example:5000"]["auth"]) == b"me:hunter2"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize("registry", ["", "https://", "a/b"])
def test_what_is_no_registry(session: Session, registry: str) -> None:
    assert session.run_json_error("image", "login", registry, "-u", "me", "-p", "x", code=2) == "bad-login"
