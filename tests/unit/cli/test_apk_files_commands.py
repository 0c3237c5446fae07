"""`apkiln apk info`, `verify` and `extract` as whole commands."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.crafted_packages import USR, block, directory, file, index, index_record, package
from tests.sample_packages import sample_package, sample_signer

from apkiln.cli.dispatch import dispatch
from apkiln.formats.apk.index import write_index
from apkiln.formats.deflate.codec import canonical_codec

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    signer = sample_signer()
    sample = sample_package("demo", "1.0-r0")
    (tmp_path / "demo.apk").write_bytes(sample.data)
    (tmp_path / signer.name).write_bytes(signer.public_key())
    (tmp_path / "APKINDEX.tar.gz").write_bytes(write_index([sample.record], "test", canonical_codec(), (signer,)))
    (tmp_path / "crafted.apk").write_bytes(package(USR + file(b"usr/a", b"abc") + block(b"usr/l", b"2", link=b"a")))
    (tmp_path / "bad.apk").write_bytes(package(USR + file(b"usr/../x")))
    (tmp_path / "hash.apk").write_bytes(package(USR, datahash="0" * 64))
    return tmp_path


def test_info_of_packages_and_indexes(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "info", "--files", "crafted.apk", "APKINDEX.tar.gz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "demo-1.0-r0 (x86_64)"
    assert "  file      0644 0:0         3 /usr/a" in lines
    assert "  symlink   0644 0:0         0 /usr/l -> a" in lines
    assert "index of 1 packages" in lines


def test_info_as_json(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "info", "--json", "crafted.apk", "APKINDEX.tar.gz"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["kind"], first["info"]["name"], first["info"]["depends"]) == ("package", "demo", ["libc>=1"])
    assert [entry["path"] for entry in first["entries"]] == ["usr", "usr/a", "usr/l"]
    assert [section["name"] for section in first["sections"]] == ["signature", "control", "data"]
    assert (second["kind"], second["records"][0]["name"]) == ("index", "demo")
    assert second["signatures"] == [{"algorithm": "RSA256", "key": "sample.rsa.pub"}]


def test_info_never_prints_control_characters(place: Path, capsys: Captured) -> None:
    (place / "APKINDEX").write_text(index_record(T="\x1b[2J", V="1.0-1"), encoding="utf-8")
    (place / "odd.apk").write_bytes(package(USR + file(b"usr/a", pax=b"")))
    dispatch(["apk", "info", "--files", "APKINDEX", "odd.apk"])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "1.0-r1" in captured.out and "no SHA-1 record" in captured.out


def test_info_shows_what_it_can_and_fails_for_the_rest(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "info", "bad.apk", "demo.apk"]) == 3
    captured = capsys.readouterr()
    assert "demo-1.0-r0" in captured.out and "bad.apk" in captured.err


def test_verify_names_the_rule(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "verify", "demo.apk", "crafted.apk", "APKINDEX.tar.gz"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert dispatch(["apk", "verify", "demo.apk", "bad.apk", "hash.apk"]) == 3
    captured = capsys.readouterr()
    assert "bad.apk: refused, name-dot-dot-component" in captured.out and "hash.apk: refused, data-hash-mismatch" in captured.out
    assert "bad.apk, data/usr/../x, byte 512" in captured.err
    assert dispatch(["apk", "verify", "hash.apk"]) == 4


def test_verify_signatures(place: Path, capsys: Captured) -> None:
    key = sample_signer().name
    assert dispatch(["apk", "verify", "--key", key, "APKINDEX.tar.gz"]) == 0
    assert f"signed by {key} (RSA256)" in capsys.readouterr().out
    assert dispatch(["apk", "verify", "--key", key, "crafted.apk"]) == 4
    assert "signature-missing" in capsys.readouterr().out
    other = sample_signer("other.rsa.pub")
    (place / other.name).write_bytes(other.public_key())
    assert dispatch(["apk", "verify", "--key", other.name, "APKINDEX.tar.gz"]) == 4
    assert "signature-unknown-key" in capsys.readouterr().out


def test_verify_against_an_index(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "verify", "--index", "APKINDEX.tar.gz", "demo.apk"]) == 0
    assert dispatch(["apk", "verify", "--index", "APKINDEX.tar.gz", "crafted.apk"]) == 4
    (place / "other").write_bytes(index(index_record(5)))
    capsys.readouterr()
    assert dispatch(["apk", "verify", "--index", "other", "demo.apk"]) == 4
    captured = capsys.readouterr()
    assert "identity-mismatch" in captured.out or "record-missing" in captured.out


def test_verify_without_privileges(place: Path, capsys: Captured) -> None:
    (place / "su.apk").write_bytes(package(USR + file(b"usr/su", mode=b"0004755\0")))
    assert dispatch(["apk", "verify", "su.apk"]) == 0
    assert dispatch(["apk", "verify", "--no-privileges", "su.apk"]) == 3
    assert "special-bits-not-allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "unknown-file"), (b"PK\x03\x04", "unknown-file"), (b"ADBd1234", "format-v3"), (b"\x1f\x8b", "gzip-truncated")],
)
def test_what_is_no_apk_file(place: Path, capsys: Captured, content: bytes, reason: str) -> None:
    (place / "x").write_bytes(content)
    assert dispatch(["apk", "verify", "x"]) == 3
    assert reason in capsys.readouterr().out


def test_missing_files(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "verify", "nothing.apk"]) == 8


def test_extract(place: Path, capsys: Captured) -> None:
    tree = USR + directory(b"usr/d") + file(b"usr/d/x", b"abc", mode=b"0000640\0", mtime=b"14524770400\0")
    tree += block(b"usr/h", b"1", link=b"usr/d/x") + block(b"usr/l", b"2", link=b"/etc/passwd")
    (place / "tree.apk").write_bytes(package(tree))
    assert dispatch(["apk", "extract", "tree.apk", "-C", "out"]) == 0
    path = place / "out/usr/d/x"
    assert path.read_bytes() == b"abc" and stat.S_IMODE(path.stat().st_mode) == 0o640 and path.stat().st_mtime == 1700000000
    assert (place / "out/usr/h").stat().st_ino == path.stat().st_ino
    assert (place / "out/usr/l").readlink() == Path("/etc/passwd")
    capsys.readouterr()
    assert dispatch(["apk", "extract", "tree.apk", "-C", "out"]) == 7


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (package(USR + block(b"usr/l", b"2", link=b"/tmp") + file(b"usr/l/x")), 3),
        (package(file(b"../x")), 3),
        (package(USR + file(b"usr/a", b"abc"), datahash="0" * 64), 4),
        (package(USR + file(b"usr/a", b"abc"), tail=b"x"), 3),
    ],
)
def test_nothing_is_written_of_a_bad_package(place: Path, data: bytes, code: int) -> None:
    (place / "evil.apk").write_bytes(data)
    assert dispatch(["apk", "extract", "evil.apk", "-C", "out"]) == code
    assert not (place / "out").exists()


def test_extract_into_a_link_stays_in_its_target(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    assert dispatch(["apk", "extract", "crafted.apk", "-C", "link"]) == 0
    assert (place / "real/usr/a").read_bytes() == b"abc"


def test_diff_of_packages(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "diff", "demo.apk", "demo.apk", "--exit-code"]) == 0
    assert capsys.readouterr().out == ""
    newer = sample_package("demo", "1.1-r0", files={"usr/bin/new": b"\x1b"}, depends=("libnew",))
    (place / "newer.apk").write_bytes(newer.data)
    assert dispatch(["apk", "diff", "demo.apk", "newer.apk", "--exit-code"]) == 10
    lines = capsys.readouterr().out.splitlines()
    assert "~ version: 1.0-r0 → 1.1-r0" in lines and "+ depends: libnew" in lines and "+ /usr/bin/new" in lines
    assert dispatch(["apk", "diff", "demo.apk", "newer.apk", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["equal"]) == ("package", False)
    assert {"field": "depends", "item": "libnew", "added": True} in found["changes"]["items"]


def test_diff_of_indexes(place: Path, capsys: Captured) -> None:
    (place / "APKINDEX").write_text(
        index_record(7, P="demo", V="1.0-r0", A="x86_64") + "\n" + index_record(8, P="new"), encoding="utf-8"
    )
    assert dispatch(["apk", "diff", "APKINDEX.tar.gz", "APKINDEX", "--exit-code"]) == 10
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("~ demo 1.0-r0: another package under the same version") and lines[1] == "+ new 1.0-r0"


def test_diff_refuses_two_kinds_and_names_a_damaged_file(place: Path, capsys: Captured) -> None:
    assert dispatch(["apk", "diff", "demo.apk", "APKINDEX.tar.gz"]) == 2
    assert "holds a package, `APKINDEX.tar.gz` an index" in capsys.readouterr().err
    assert dispatch(["apk", "diff", "demo.apk", "hash.apk"]) == 4
    assert "hash.apk" in capsys.readouterr().err


def test_diff_counts_paths_of_another_time(place: Path, capsys: Captured) -> None:
    later = package(USR + file(b"usr/a", b"abc", mtime=b"00000000001\0") + block(b"usr/l", b"2", link=b"a"))
    (place / "later.apk").write_bytes(later)
    assert dispatch(["apk", "diff", "crafted.apk", "later.apk"]) == 0
    assert "~ 1 path: mtime only" in capsys.readouterr().out
    assert dispatch(["apk", "diff", "crafted.apk", "later.apk", "--times"]) == 0
    assert "~ /usr/a: mtime" in capsys.readouterr().out
