"""Source packages of a signed archive in a directory: found by name and by digest, upstream's signature checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apkiln.cli import dispatch
from apkiln.core.errors import ApkilnError
from apkiln.core.origin import Origin
from apkiln.debian.snapshot import SuiteList
from apkiln.debian.source_packages import SourceCatalogue
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_writer import PLAIN
from apkiln.formats.archive.tar_writer import archive as tar_archive
from apkiln.formats.deb import writer
from apkiln.system.apt import HELPER


def needs(*programs: str) -> None:
    for program in programs:
        if not (shutil.which(program) or Path(program).is_file()):
            pytest.skip(f"`{program}` is not on this machine")


def gpg(home: Path, *arguments: str | Path, stdin: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with the keys of an archive and of an upstream."""
    needs("gpg", "gpgv", "apt-get", HELPER)
    place = tmp_path_factory.mktemp("gnupg")
    place.chmod(0o700)
    for who in ("archive", "upstream"):
        gpg(place, "--quick-generate-key", "--passphrase", "", f"{who}@example.test", "ed25519", "sign", "never")
    (place / "archive.gpg").write_bytes(gpg(place, "--export", "archive@example.test"))
    yield place
    subprocess.run(["gpgconf", "--homedir", place, "--kill", "all"], check=False)


def packaging(home: Path, *, key: bool) -> bytes:
    content = gpg(home, "--armor", "--export", "upstream@example.test")
    name = "debian/upstream/signing-key.asc" if key else "debian/other"
    members = [(Entry("debian", EntryType.DIRECTORY, 0o755), b""), (Entry(name, EntryType.FILE, size=len(content)), content)]
    return writer.compress(tar_archive(members, PLAIN), ".xz")


class Archive:
    """A suite `made` below `root`, signed."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home
        self.stanzas: list[str] = []
        (root / "pool").mkdir(parents=True)

    def package(self, name: str, version: str, files: dict[str, bytes]) -> None:
        rows = []
        for file, content in files.items():
            (self.root / "pool" / file).write_bytes(content)
            rows.append(f"\n {hashlib.sha256(content).hexdigest()} {len(content)} {file}")
        self.stanzas.append(f"Package: {name}\nVersion: {version}\nDirectory: pool\nChecksums-Sha256:{''.join(rows)}\n")

    def publish(self) -> str:
        lists = self.root / "dists/made/main/source"
        lists.mkdir(parents=True)
        text = "\n".join(self.stanzas).encode()
        (lists / "Sources").write_bytes(text)
        body = writer.write_release("made", (("main/source/Sources", text),), date=1_700_000_000)
        signed = gpg(self.home, "--local-user", "archive@example.test", "--clearsign", stdin=b"Architectures: amd64\n" + body)
        (self.root / "dists/made/InRelease").write_bytes(signed)
        return f"deb [signed-by={self.home}/archive.gpg] file:{self.root} made main\n"


@pytest.fixture
def place(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an apt source list for an archive of three packages."""
    made = Archive(tmp_path / "archive", home)
    original = b"upstream's archive" * 100
    signature = gpg(home, "--local-user", "upstream@example.test", "--armor", "--detach-sign", stdin=original)
    signed = {"good_1.0.orig.tar.xz": original, "good_1.0.orig.tar.xz.asc": signature}
    made.package("good", "1:1.0-2", {"good_1.0-2.dsc": b"d", **signed, "good_1.0-2.debian.tar.xz": packaging(home, key=True)})
    renamed = {name.replace("good", "keyless"): content for name, content in signed.items()}
    made.package("keyless", "1.0-1", renamed | {"keyless_1.0-1.debian.tar.xz": packaging(home, key=False)})
    bad = {"bad_1.0.orig.tar.xz": original + b"x", "bad_1.0.orig.tar.xz.asc": signature}
    made.package("bad", "1.0-1", bad | {"bad_1.0-1.debian.tar.xz": packaging(home, key=True)})
    made.package("plain", "2.0+dfsg-1", {"plain_2.0+dfsg.orig.tar.gz": b"repacked"})
    (tmp_path / "list.list").write_text(made.publish())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(words: str) -> int:
    return dispatch.dispatch([*words.split(), "--sources", "list.list"])


def test_files_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("package source debian good plain --json") == 0
    good, plain = json.loads(capsys.readouterr().out)["files"]
    assert good["upstreamSignature"] == "good" and len(good["upstreamSignedBy"]) == 1 and not good["repacked"]
    assert plain["upstreamSignature"] == "absent" and plain["repacked"]
    cached = place / "cache/sources" / f"sha256:{good['sha256']}"
    assert cached.read_bytes() == (place / "archive/pool/good_1.0.orig.tar.xz").read_bytes()
    assert json.loads((place / "cache/sources" / f"{cached.name}.origin").read_text()) == good
    assert run("package source debian good=1.0") == 0
    shown = capsys.readouterr().out
    assert good["sha256"] in shown and good["upstreamSignedBy"][0] in shown and f"file:{place}/archive/pool/" in shown
    assert run("package source debian keyless --json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["upstreamSignature"] == "no-key"


def test_a_bad_signature_is_no_source(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("package source debian bad --json") != 0
    assert json.loads(capsys.readouterr().err)["error"]["reason"] == "upstream-signature"
    assert not list((place / "cache/sources").glob("sha256:*"))


def test_files_by_digest(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = hashlib.sha256((place / "archive/pool/good_1.0.orig.tar.xz").read_bytes()).hexdigest()
    (place / "map.yaml").write_text("only: true\n")
    (place / "good.yaml").write_text(
        "package: {name: good, version: 1.0, epoch: 0}\npipeline:\n"
        f"- uses: fetch\n  with: {{uri: 'https://gone.example/good-1.0.tar.xz', expected-sha256: {digest}}}\n"
    )
    assert run("package source fetch good.yaml --debian --source-map map.yaml --json") == 0
    (row,) = json.loads(capsys.readouterr().out)["sources"]
    assert row["from"] == "debian: good 1:1.0-2 (made)"
    record = json.loads((place / "cache/sources" / f"sha256:{digest}.origin").read_text())
    assert record["package"] == "good" and record["upstreamSignature"] == "good"


def test_unknown_names_and_versions_have_hints(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("package source debian goood") != 0
    assert "`good`" in capsys.readouterr().err
    assert run("package source debian good=7") != 0
    assert "1:1.0-2" in capsys.readouterr().err


SOURCES = b"""Package: a
Version: 1.0-1
Directory: pool/a
Checksums-Sha256:
 %s 10 a_1.0.orig.tar.gz
 %s 20 a_1.0-1.debian.tar.xz

Package: a
Version: 1.0-10
Directory: pool/a
Checksums-Sha256:
 %s 30 a_1.0.orig-part.tar.gz

Package: native
Version: 3
Directory: pool/n
Checksums-Sha256:
 %s 40 native_3.tar.xz
""" % tuple(bytes([letter]) * 64 for letter in b"1234")


def catalogue(text: bytes = SOURCES) -> SourceCatalogue:
    return SourceCatalogue([SuiteList("made", "main", "0" * 64, 0, ("f",), "0" * 64, text, "file:/archive made")])


def test_the_newest_version_counts_and_originals_are_known() -> None:
    assert catalogue().package("a").version == "1.0-10"
    older = catalogue().package("a", "1.0-1")
    assert [file.name for file in older.originals] == ["a_1.0.orig.tar.gz"] and older.archive == "file:/archive"
    assert [file.name for file in catalogue().package("native").originals] == ["native_3.tar.xz"]
    assert [file.name for file in catalogue().package("a").originals] == ["a_1.0.orig-part.tar.gz"]


@pytest.mark.parametrize("number", range(4))
def test_every_file_is_found_by_its_digest(number: int) -> None:
    digest = "1234"[number] * 64
    found = catalogue().with_file(digest)
    assert found is not None and found[1].wanted.sha256 == digest and found[1] in found[0].files
    assert catalogue().with_file("5" * 64) is None


def test_damaged_lists_are_told() -> None:
    with pytest.raises(ApkilnError) as caught:
        catalogue(SOURCES.replace(b" 10 a_1", b" ten a_1")).package("a", "1.0-1")
    assert caught.value.reason == "control-field" and caught.value.origin == Origin("file:/archive made", package="a")
