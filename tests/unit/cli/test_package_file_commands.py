"""`apkiln package import`, `lint` and `scan`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from apkiln.cli import dispatch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/demo").write_text("#!/bin/bash\n")
    (root / "usr/bin/demo").chmod(0o755)
    os.link(root / "usr/bin/demo", root / "usr/bin/other")
    os.symlink("demo", root / "usr/bin/link")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


IMPORT = ["package", "import", "root", "--name", "demo", "--version", "1.2", "--arch", "x86_64", "--license", "MIT"]


def test_a_directory_becomes_a_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch([*IMPORT, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["depends"] == ["cmd:bash"] and shown["provides"] == ["cmd:demo=1.2-r0", "cmd:other=1.2-r0"]
    assert shown["path"] == str(folder / "packages/x86_64/demo-1.2-r0.apk")
    assert dispatch.dispatch(["apk", "verify", shown["path"]]) == 0


def test_bytes_do_not_depend_on_times_umask_or_place(folder: Path) -> None:
    assert dispatch.dispatch(IMPORT) == 0
    first = (folder / "packages/x86_64/demo-1.2-r0.apk").read_bytes()
    (folder / "root").rename(folder / "elsewhere")
    os.utime(folder / "elsewhere/usr/bin/demo", (5, 5))
    before = os.umask(0o077)
    try:
        assert dispatch.dispatch([*["elsewhere" if word == "root" else word for word in IMPORT], "--out-dir", "again"]) == 0
    finally:
        os.umask(before)
    assert (folder / "again/x86_64/demo-1.2-r0.apk").read_bytes() == first


def test_another_tree_of_the_same_version_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(IMPORT) == 0
    (folder / "root/usr/bin/demo").write_text("#!/bin/ash\n")
    assert dispatch.dispatch(IMPORT) == 7
    assert "--overwrite" in capsys.readouterr().err
    assert dispatch.dispatch([*IMPORT, "--overwrite"]) == 0


def test_a_definition_describes_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d.yaml").write_text(
        "package: {name: d, version: 2, epoch: 1, dependencies: {runtime: [x]}}\npipeline: [{runs: exit 1}]\n"
    )
    assert dispatch.dispatch(["package", "import", "root", "--definition", "d.yaml", "--arch", "x86_64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["depends"] == ["cmd:bash", "x"]


def test_documents_and_signature(folder: Path) -> None:
    from apkiln.system.files import DiskFiles
    from apkiln.system.signer import generate_key_pair, write_key_pair

    pair = generate_key_pair("demo.rsa.pub", 2048)
    write_key_pair(pair, folder / "demo.rsa", folder / "demo.rsa.pub", DiskFiles())
    words = ["--signing-key", "demo.rsa", "--generate-provenance", "--cyclonedx", "--persist-lint-results"]
    assert dispatch.dispatch([*IMPORT, *words]) == 0
    place = folder / "packages/x86_64"
    assert sorted(path.name for path in place.iterdir()) == [
        "demo-1.2-r0.apk",
        "demo-1.2-r0.apk.intoto.jsonl",
        "demo-1.2-r0.cdx.json",
        "lint-demo-1.2-r0.json",
    ]
    assert dispatch.dispatch(["apk", "verify", str(place / "demo-1.2-r0.apk"), "--key", "demo.rsa.pub"]) == 0
    assert stat.S_IMODE((place / "demo-1.2-r0.apk").stat().st_mode) & 0o400


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["package", "import", "nowhere", "--name", "a", "--version", "1"], 8),
        (["package", "import", "root", "--name", "a", "--version", "1:2"], 2),
        (["package", "import", "root"], 2),
        ([*IMPORT, "--lint-require", "nope"], 2),
        ([*IMPORT, "--generate-provenance"], 2),
        (["package", "lint"], 2),
        (["package", "lint", "nowhere.apk"], 8),
        (["package", "scan", "--all", "-r", "nowhere"], 8),
        (["package", "scan", "--all", "-r", "a", "-r", "b"], 2),
    ],
)
def test_bad_requests(words: list[str], code: int) -> None:
    assert dispatch.dispatch(words) == code


def test_lint_tells_and_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "root/opt").mkdir()
    (folder / "root/opt/x").write_text("x")
    assert dispatch.dispatch(IMPORT) == 0
    package = "packages/x86_64/demo-1.2-r0.apk"
    capsys.readouterr()
    assert dispatch.dispatch(["package", "lint", package]) == 0
    assert "demo-1.2-r0: warning: opt:" in capsys.readouterr().out
    assert dispatch.dispatch(["package", "lint", package, "--lint-require", "opt", "--json", "--persist-lint-results"]) == 10
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["findings"]["opt"][0]["details"] == {"paths": ["opt/x"]}
    assert json.loads((folder / "packages/x86_64/lint-demo-1.2-r0.json").read_text())["package_name"] == "demo-1.2-r0"
    assert dispatch.dispatch(["package", "lint", "--list"]) == 0
    assert "usrmerge" in capsys.readouterr().out


def test_scan_compares_with_what_was_published(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(IMPORT) == 0
    capsys.readouterr()
    assert dispatch.dispatch(["package", "scan", "--all"]) == 0
    assert capsys.readouterr().out == "1 packages, 0 differ\n"
    (folder / "d.yaml").write_text(
        "package: {name: demo, version: 1.2, options: {no-commands: true}, copyright: [{license: MIT}]}\n"
    )
    assert dispatch.dispatch(["package", "scan", "d.yaml", "--diff"]) == 10
    shown = capsys.readouterr().out
    assert "-depend = cmd:bash\n" in shown and "-provides = cmd:demo=1.2-r0\n" in shown
    assert dispatch.dispatch(["package", "scan", "d.yaml"]) == 0
    assert "pkgname = demo\n" in capsys.readouterr().out
    assert dispatch.dispatch(["package", "scan", "d.yaml", "--diff", "--json"]) == 10
    assert json.loads(capsys.readouterr().out)["summary"][0] == {"field": "depend", "rule": "cmd", "added": 0, "removed": 1}


def test_a_debian_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from apkiln.formats.archive.entry import Entry, EntryType
    from apkiln.formats.deb.deb822 import Stanza
    from apkiln.formats.deb.writer import write_deb

    fields = {
        "Package": "demo",
        "Version": "1:2.5-4+b1",
        "Architecture": "arm64",
        "Description": "a demo\n more",
        "Homepage": "https://x.example",
    }
    entries = [(Entry(path, EntryType.DIRECTORY, 0o755), b"") for path in ("bin", "usr", "usr/share")]
    entries.append((Entry("bin/demo", EntryType.FILE, 0o755, size=11), b"#!/bin/bash"))
    (folder / "demo.deb").write_bytes(write_deb(Stanza(tuple(fields.items())), entries))
    assert dispatch.dispatch(["package", "import", "demo.deb", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["version"], shown["depends"]) == ("demo", "2.5-r4", ["cmd:bash"])
    assert shown["path"].endswith("/aarch64/demo-2.5-r4.apk")


def test_a_package_and_its_statement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from apkiln.system.files import DiskFiles
    from apkiln.system.signer import generate_key_pair, write_key_pair

    for name in ("demo", "other"):
        write_key_pair(
            generate_key_pair(f"{name}.rsa.pub", 2048), folder / f"{name}.rsa", folder / f"{name}.rsa.pub", DiskFiles()
        )
    assert dispatch.dispatch([*IMPORT, "--signing-key", "demo.rsa", "--generate-provenance"]) == 0
    package = "packages/x86_64/demo-1.2-r0.apk"
    words = ["package", "verify", package, "--provenance", f"{package}.intoto.jsonl", "--key"]
    capsys.readouterr()
    assert dispatch.dispatch([*words, "demo.rsa.pub"]) == 0
    assert "ok, signed by demo.rsa.pub" in capsys.readouterr().out
    assert dispatch.dispatch([*words, "other.rsa.pub"]) == 4
    assert dispatch.dispatch([*words, "demo.rsa.pub", "--hermetic"]) == 4
    assert "made elsewhere" in capsys.readouterr().err
    assert dispatch.dispatch([*IMPORT, "--out-dir", "again", "--epoch", "7"]) == 0
    capsys.readouterr()
    several = ["package", "verify", package, "again/x86_64/demo-1.2-r7.apk", *words[3:], "demo.rsa.pub", "--json"]
    assert dispatch.dispatch(several) == 4
    captured = capsys.readouterr()
    assert [row["package"] for row in json.loads(captured.out)] == ["demo-1.2-r0"]
    assert json.loads(captured.err)["error"]["reason"] == "statement-subject"
