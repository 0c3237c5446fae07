"""Keys, signatures and indexes by melange's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.sample_packages import sample_package, sample_signer

from apkiln.cli import dispatch
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.signature import signer_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def key(folder: Path, capsys: pytest.CaptureFixture[str]) -> Keyring:
    assert dispatch.dispatch(["melange", "keygen", "local-melange.rsa", "--key-size", "2048"]) == 0
    capsys.readouterr()
    return Keyring.of([parse_public_key("local-melange.rsa.pub", (folder / "local-melange.rsa.pub").read_bytes())])


def save(folder: Path, *packages: object, **given: str) -> list[str]:
    names = []
    for number, name in enumerate(packages):
        package = sample_package(str(name), signer=sample_signer(), **given)  # type: ignore[arg-type]
        (folder / f"{number}-{package.file_name}").write_bytes(package.data)
        names.append(f"{number}-{package.file_name}")
    return names


def test_keys_are_private_and_are_not_overwritten(folder: Path, key: Keyring, capsys: pytest.CaptureFixture[str]) -> None:
    private = (folder / "local-melange.rsa").read_bytes()
    assert private.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert (folder / "local-melange.rsa").stat().st_mode & 0o777 == 0o600
    assert dispatch.dispatch(["melange", "keygen", "local-melange.rsa", "--key-size", "2048"]) != 0
    assert "--force" in capsys.readouterr().err and (folder / "local-melange.rsa").read_bytes() == private
    assert dispatch.dispatch(["key", "generate", "local-melange.rsa", "--key-size", "2048", "--force"]) == 0
    assert (folder / "local-melange.rsa").read_bytes() != private
    assert dispatch.dispatch(["key", "generate", "weak.rsa", "--key-size", "1024"]) == 2


def test_signing_replaces_only_the_signature(folder: Path, key: Keyring) -> None:
    name, other = save(folder, "a", "b")
    before = (folder / name).read_bytes()
    assert dispatch.dispatch(["melange", "sign", name, other]) == 0
    with (folder / name).open("rb") as stream:
        contents = read_package(stream, keyring=key)
    assert [item[1] for item in contents.signatures] == ["local-melange.rsa.pub"]
    start = sample_package("a", signer=sample_signer()).borders[0]
    assert (folder / name).read_bytes()[contents.sections[1][0] :] == before[start:]


def test_a_damaged_package_is_not_signed(folder: Path, key: Keyring, capsys: pytest.CaptureFixture[str]) -> None:
    (name,) = save(folder, "a")
    damaged = bytearray((folder / name).read_bytes())
    damaged[-20] ^= 1
    (folder / name).write_bytes(damaged)
    assert dispatch.dispatch(["apk", "sign", "-k", "local-melange.rsa", name]) != 0
    assert name in capsys.readouterr().err and (folder / name).read_bytes() == bytes(damaged)


def records(folder: Path, name: str = "APKINDEX.tar.gz") -> list[str]:
    found = parse_index_text(read_index((folder / name).read_bytes()).text).records
    return [f"{record.name_version}.{record.arch}" for record in found]


def test_indexes(folder: Path, key: Keyring, capsys: pytest.CaptureFixture[str]) -> None:
    b, a = save(folder, "b", "a")
    words = ["melange", "index", "--signing-key", "local-melange.rsa", "-o", "APKINDEX.tar.gz"]
    assert dispatch.dispatch([*words, b, a]) == 0
    first = (folder / "APKINDEX.tar.gz").read_bytes()
    index = read_index(first)
    assert signer_of(index.signatures, index.signed_bytes, key).key_name == "local-melange.rsa.pub"
    assert records(folder) == ["a-1.0-r0.x86_64", "b-1.0-r0.x86_64"]
    assert dispatch.dispatch([*words, a, b]) == 0
    assert (folder / "APKINDEX.tar.gz").read_bytes() == first
    (folder / "a-1.0-r0.apk").write_bytes((folder / a).read_bytes())
    (c,) = save(folder, "c", arch="noarch")
    (d,) = save(folder, "d", arch="aarch64")
    capsys.readouterr()
    assert dispatch.dispatch(["apk", "index", "--merge", "-a", "amd64", c, d, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["added"] == ["c-1.0-r0"] and told["packages"] == 3
    assert records(folder) == ["a-1.0-r0.x86_64", "b-1.0-r0.x86_64", "c-1.0-r0.x86_64"]
    assert not read_index((folder / "APKINDEX.tar.gz").read_bytes()).signatures
    assert dispatch.dispatch(["apk", "index", "--merge", "--prune"]) == 0
    assert records(folder) == ["a-1.0-r0.x86_64"]


def test_index_refuses_what_is_damaged_or_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (a,) = save(folder, "a")
    (folder / "other.apk").write_bytes(sample_package("a", description="another").data)
    assert dispatch.dispatch(["apk", "index", a, "other.apk"]) != 0
    assert "different packages" in capsys.readouterr().err
    assert not (folder / "APKINDEX.tar.gz").exists()
    (folder / "APKINDEX.tar.gz").write_bytes(b"\x1f\x8b damaged")
    assert dispatch.dispatch(["apk", "index", "--merge", a]) != 0
    assert "--merge" in capsys.readouterr().err
    assert dispatch.dispatch(["apk", "index"]) == 2


def test_signing_an_index_is_done_once(folder: Path, key: Keyring) -> None:
    (a,) = save(folder, "a")
    assert dispatch.dispatch(["apk", "index", a]) == 0
    bare = (folder / "APKINDEX.tar.gz").read_bytes()
    words = ["melange", "sign-index", "--signing-key", "local-melange.rsa", "APKINDEX.tar.gz"]
    assert dispatch.dispatch(words) == 0
    signed = (folder / "APKINDEX.tar.gz").read_bytes()
    assert signed.endswith(bare) and len(signed) > len(bare)
    assert dispatch.dispatch(words) == 0
    assert (folder / "APKINDEX.tar.gz").read_bytes() == signed
    assert dispatch.dispatch(["key", "generate", "other.rsa", "--key-size", "2048"]) == 0
    assert dispatch.dispatch(["melange", "sign-index", "--signing-key", "other.rsa", "-f", "APKINDEX.tar.gz"]) == 0
    names = [item.key_name for item in read_index((folder / "APKINDEX.tar.gz").read_bytes()).signatures]
    assert names == ["other.rsa.pub"]
