"""`package source get` and `pop`: sources of a definition in a directory, changed, and turned into patches again."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from apkiln.cli import dispatch
from apkiln.core.errors import ApkilnError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.source_archive import foreign_entries
from apkiln.package.compilation.resolving import load
from apkiln.package.editing.patch_steps import with_patches

pytestmark = pytest.mark.skipif(not (shutil.which("git") and shutil.which("patch")), reason="needs git and patch")
PATCH = "--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-{old}\n+{new}\n"


def git(place: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "safe.directory=*")
    return subprocess.run(["git", "-C", str(place), *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


def packed(kind: str) -> bytes:
    """An archive with a directory, a file, a script and a link below `top-1/`."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("top-1/", b"")
            archive.writestr("top-1/f", b"old\n")
            script = zipfile.ZipInfo("top-1/run.sh")
            script.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(script, b"#!/bin/sh\n")
            link = zipfile.ZipInfo("top-1/link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, b"f")
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as tar:  # type: ignore[call-overload]
        for name, mode, content in (("top-1/f", 0o644, b"old\n"), ("top-1/run.sh", 0o755, b"#!/bin/sh\n")):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
        named = tarfile.TarInfo("top-1/link")
        named.type, named.linkname = tarfile.SYMTYPE, "f"
        tar.addfile(named)
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    upstream = tmp_path / "host/app"
    upstream.mkdir(parents=True)
    git(upstream, "init", "-q", "-b", "main")
    for name in ("f", "g"):
        (upstream / name).write_text("old\n")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-q", "-m", "first")
    git(upstream, "tag", "v1")
    (upstream / "fix").write_text("fix\n")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-q", "-m", "a fix")
    (tmp_path / "map.yaml").write_text(f"prefixes: {{'https://h.example/': 'file://{tmp_path}/host/'}}\nonly: true\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/one.patch").write_text(PATCH.format(name="f", old="old", new="new"))
    (tmp_path / "app/two.patch").write_text(PATCH.format(name="f", old="new", new="newer"))
    (tmp_path / "app/series").write_text("# both\n\none.patch\ntwo.patch\n")
    (tmp_path / "app.yaml").write_text(f"""package:
  name: app
  version: 1
  epoch: 0

pipeline:
  - uses: git-checkout
    with:
      repository: https://h.example/app
      tag: v${{{{package.version}}}}
      expected-commit: {git(upstream, "rev-parse", "v1")}
      cherry-picks: |
        main/{git(upstream, "rev-parse", "main")}: a fix

  # what we change
  - uses: patch
    with:
      series: series

  - runs: make   # and build
""")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_checkout_with_picks_and_patches_as_commits(place: Path) -> None:
    assert dispatch.dispatch(["melange", "source", "get", "app.yaml", "--source-map", "map.yaml"]) == 0
    source = place / "source"
    assert (source / "f").read_text() == "newer\n" and (source / "fix").exists()
    assert git(source, "log", "--format=%s").splitlines() == ["two", "one", "a fix", "first"]
    assert git(source, "status", "--porcelain") == "" and git(source, "remote", "get-url", "origin") == "https://h.example/app"
    heads = {git(source, "rev-parse", "HEAD")}
    shutil.rmtree(source)
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "--offline"]) == 0
    assert heads == {git(source, "rev-parse", "HEAD")}  # the same commits every time


def test_changes_become_patches(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "--source-map", "map.yaml"]) == 0
    source = place / "source"
    (source / "g").write_text("changed\n")
    git(source, "commit", "-q", "-am", "Change g")
    before = (place / "app.yaml").read_text()
    capsys.readouterr()
    assert dispatch.dispatch(["package", "source", "pop", "app.yaml"]) == 0
    names = ["0001-one.patch", "0002-two.patch", "0003-Change-g.patch"]
    captured = capsys.readouterr()
    assert captured.out.split() == [str(place / "app" / name) for name in names]
    assert "one.patch" in captured.err
    step = "".join(f"        {name}\n" for name in names)
    old = "  - uses: patch\n    with:\n      series: series\n"
    assert (place / "app.yaml").read_text() == before.replace(old, f"  - uses: git-am\n    with:\n      patches: |\n{step}")
    assert "fix" not in (place / "app/0001-one.patch").read_text()
    again = load((place / "app.yaml").read_bytes(), "app.yaml").evaluated.definition
    assert [one.uses.text for one in again.pipeline] == ["git-checkout", "git-am", ""]


def test_the_directory_must_be_empty_and_patches_must_apply(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "source").mkdir()
    (place / "source/x").touch()
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "--source-map", "map.yaml"]) != 0
    assert "not empty" in capsys.readouterr().err
    (place / "app/two.patch").write_text(PATCH.format(name="f", old="other", new="newer"))
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "-o", "b", "--source-map", "map.yaml"]) != 0
    error = capsys.readouterr().err
    assert "two.patch" in error and "app.yaml:16" in error
    (place / "app/two.patch").unlink()
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "-o", "c", "--source-map", "map.yaml"]) != 0
    assert "`two.patch`" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../outside.patch", "/etc/passwd"])
def test_patches_outside_are_refused(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "app/series").write_text(f"{name}\n")
    assert dispatch.dispatch(["package", "source", "get", "app.yaml", "--source-map", "map.yaml"]) != 0
    assert "outside" in capsys.readouterr().err


def hostile(place: Path, steps: str) -> int:
    """A definition whose first file is an archive with a link that leads out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("top/out")
        link.type, link.linkname = tarfile.SYMTYPE, str(place / "victim")
        archive.addfile(link)
    for name, content in (("link.tar.gz", buffer.getvalue()), ("x.tar.gz", packed("gz"))):
        (place / "host" / name).write_bytes(content)
    digests = [hashlib.sha256((place / "host" / name).read_bytes()).hexdigest() for name in ("link.tar.gz", "x.tar.gz")]
    (place / "victim").mkdir()
    text = f"package: {{name: x, version: 1}}\npipeline:\n{steps}".replace("LINK", digests[0]).replace("OTHER", digests[1])
    (place / "x.yaml").write_text(text)
    return dispatch.dispatch(["package", "source", "get", "x.yaml", "-o", "out", "--source-map", "map.yaml", "--allow-unpinned"])


LINK = "  - {uses: fetch, with: {uri: 'https://h.example/link.tar.gz', expected-sha256: LINK}}\n"


@pytest.mark.parametrize(
    "steps",
    [
        "  - {uses: fetch, with: {uri: 'https://h.example/x.tar.gz', expected-sha256: OTHER, directory: ../victim}}\n",
        "  - {uses: fetch, working-directory: ../victim, with: {uri: 'https://h.example/x.tar.gz', expected-sha256: OTHER}}\n",
        LINK + "  - {uses: fetch, with: {uri: 'https://h.example/x.tar.gz', expected-sha256: OTHER, directory: out}}\n",
        LINK + "  - {uses: fetch, with: {uri: 'https://h.example/x.tar.gz', expected-sha256: OTHER, directory: out/deep}}\n",
        LINK + "  - {uses: fetch, working-directory: out, with: {uri: 'https://h.example/x.tar.gz', expected-sha256: OTHER}}\n",
        LINK + "  - {uses: git-checkout, with: {repository: 'https://h.example/app', tag: v1, destination: out/app}}\n",
    ],
)
def test_nothing_is_written_outside(place: Path, steps: str) -> None:
    assert hostile(place, steps) != 0
    assert list((place / "victim").iterdir()) == []


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2", "", "zip"])
def test_archives_are_unpacked(place: Path, kind: str) -> None:
    data = packed(kind)
    (place / "host/x.archive").write_bytes(data)
    (place / "x").mkdir()
    (place / "x/one.patch").write_text(PATCH.format(name="f", old="old", new="new"))
    digest = hashlib.sha256(data).hexdigest()
    (place / "x.yaml").write_text(f"""package: {{name: x, version: 1, epoch: 0}}
pipeline:
  - uses: fetch
    with: {{uri: 'https://h.example/x.archive', expected-sha256: {digest}, directory: inner}}
  - uses: patch
    working-directory: inner
    with: {{patches: one.patch}}
  - uses: fetch
    with: {{uri: 'https://h.example/x.archive', expected-sha256: {digest}, extract: false}}
""")
    assert (
        dispatch.dispatch(["package", "source", "get", "x.yaml", "-o", "out", "--source-map", "map.yaml", "--allow-unpinned"])
        == 0
    )
    assert (place / "out/inner/f").read_text() == "new\n" and (place / "out/inner/link").readlink() == Path("f")
    assert (place / "out/inner/run.sh").stat().st_mode & 0o777 == 0o755
    assert (place / "out/x.archive").read_bytes() == data and (place / "out/one.patch").exists()


def test_headers_of_the_seventh_edition_are_read() -> None:
    data = bytearray(packed(""))
    for start in (0, 1024, 2048):
        if data[start]:
            data[start + 257 : start + 345] = bytes(88)
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    packed_again = gzip.compress(bytes(data))
    found = foreign_entries(io.BytesIO(packed_again), len(packed_again), Origin("t"), strip_components=1)
    assert [(entry.path, b"".join(content)) for entry, content in found][:2] == [("f", b"old\n"), ("run.sh", b"#!/bin/sh\n")]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_zip_archives_that_lead_out_are_refused(name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ApkilnError) as caught:
        list(foreign_entries(buffer, len(buffer.getvalue()), Origin("z")))
    assert caught.value.reason == "archive-path"


def test_what_is_no_archive() -> None:
    for data, reason in (
        (b"text" * 200, "archive-format"),
        (b"PK\x03\x04" + bytes(100), "archive-damaged"),
        (b"", "archive-format"),
    ):
        with pytest.raises(ApkilnError) as caught:
            list(foreign_entries(io.BytesIO(data), len(data), Origin("z")))
        assert caught.value.reason == reason


def test_kinds_of_zip_members() -> None:
    data = packed("zip")
    found = {entry.path: entry.type for entry, _ in foreign_entries(io.BytesIO(data), len(data), Origin("z"), strip_components=1)}
    assert found == {"f": EntryType.FILE, "run.sh": EntryType.FILE, "link": EntryType.SYMLINK}


class TestPatchSteps:
    TEXT = "package: {name: a, version: 1}\npipeline:\n- uses: git-checkout\n  with: {tag: v1}\n# end\n"

    def test_behind_the_checkout_when_there_was_no_patch(self) -> None:
        new = with_patches(self.TEXT.encode(), "a.yaml", ["0001-x.patch"]).decode()
        assert new == self.TEXT.replace("# end", "- uses: git-am\n  with:\n    patches: |\n      0001-x.patch\n# end")
        assert with_patches(new.encode(), "a.yaml", ["0001-x.patch"]).decode() == new

    def test_without_commits_the_steps_go(self) -> None:
        new = with_patches(self.TEXT.encode(), "a.yaml", ["0001-x.patch"])
        assert with_patches(new, "a.yaml", []) == self.TEXT.encode()

    @pytest.mark.parametrize("pipeline", ["", "pipeline: [{runs: x}]\n", "pipeline:\n- runs: x\n"])
    def test_there_must_be_a_place(self, pipeline: str) -> None:
        with pytest.raises(ApkilnError) as caught:
            with_patches(f"package: {{name: a, version: 1}}\n{pipeline}".encode(), "a.yaml", ["p"])
        assert caught.value.reason in ("no-checkout", "cannot-edit")
