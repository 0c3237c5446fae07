"""apt, gpgv and dpkg themselves: a signed archive in a directory, and a small package of the machine's own suite."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apkiln.cli import exit_codes
from apkiln.cli.main import main
from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.debian.suites import select_sources
from apkiln.formats.apk.package import read_package
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.deb import version, writer
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.package import DebReader
from apkiln.formats.deb.sources import Source
from apkiln.system.apt import HELPER, AptArchive
from apkiln.system.apt_sources import machine_sources
from apkiln.system.files import DiskFiles
from apkiln.system.memory_store import MemoryStore
from apkiln.system.package_archive import WantedFile
from apkiln.system.process import SystemRunner
from apkiln.system.signer import generate_key_pair, write_key_pair

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def needs(*programs: str) -> None:
    for program in programs:
        if not (shutil.which(program) or Path(program).is_file()):
            pytest.skip(f"`{program}` is not on this machine")


@pytest.fixture(scope="module")
def signing_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with one key, and its exported public half."""
    needs("gpg", "gpgv", "apt-get", HELPER)
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg(home, "--quick-generate-key", "--passphrase", "", "archive@example.test", "ed25519", "sign", "never")
    (home / "key.gpg").write_bytes(gpg(home, "--export"))
    (home / "key.asc").write_bytes(gpg(home, "--armor", "--export"))
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def gpg(home: Path, *arguments: str | Path, stdin: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def made_deb(name: str, **fields: str) -> bytes:
    content = b"#!/bin/sh\necho " + name.encode() + b"\n"
    data = [
        (Entry("bin", EntryType.DIRECTORY, 0o755), b""),
        (Entry(f"bin/{name}", EntryType.FILE, 0o755, size=len(content), mtime=5), content),
    ]
    control = [("Package", name), ("Version", "1.0-1"), ("Architecture", "amd64"), ("Maintainer", "A <a@b.test>")]
    return writer.write_deb(Stanza((*control, *fields.items(), ("Description", "made"))), data, mtime=7)


def write_archive(root: Path, home: Path, debs: list[bytes]) -> Source:
    """A suite `made` below `root`, signed."""
    suite = root / "dists" / "made"
    (suite / "main" / "binary-amd64").mkdir(parents=True)
    (root / "pool").mkdir()
    stanzas = []
    for number, deb in enumerate(debs):
        (root / "pool" / f"{number}.deb").write_bytes(deb)
        stanzas.append(writer.package_stanza(DebReader(io.BytesIO(deb)).control().fields, deb, f"pool/{number}.deb"))
    packages = writer.write_package_list(stanzas)
    (suite / "main" / "binary-amd64" / "Packages").write_bytes(packages)
    body = writer.write_release("made", (("main/binary-amd64/Packages", packages),), date=1_700_000_000)
    (suite / "InRelease").write_bytes(gpg(home, "--clearsign", stdin=b"Architectures: amd64\n" + body))
    return Source(f"file:{root}", "made", ("main",), str(home / "key.gpg"))


def archive(place: Path, source: Source, store: MemoryStore, *, offline: bool = False) -> AptArchive:
    files = DiskFiles(durable=False)
    return AptArchive(SystemRunner(), files, store, place / "apt", [source], "amd64", ENVIRONMENT, offline=offline)


@pytest.mark.parametrize("scheme", ["file", "copy"])
def test_releases_lists_and_files(tmp_path: Path, signing_home: Path, scheme: str) -> None:
    deb = made_deb("tool")
    source = write_archive(tmp_path / "archive", signing_home, [deb])
    source = Source(source.uri.replace("file:", f"{scheme}:"), source.suite, source.components, source.signed_by)
    store = MemoryStore()
    place = archive(tmp_path, source, store)
    (release,) = place.releases()
    assert b"Suite: made" in release.body and b"BEGIN PGP" not in release.body
    assert len(release.signed_by) == 1 and len(release.signed_by[0]) == 40
    assert b"Package: tool" in place.package_list(0, "main")
    wanted = WantedFile(0, "pool/0.deb", len(deb), hashlib.sha256(deb).hexdigest())
    place.download([wanted, wanted])
    assert [digest.hex for digest in store.blobs()] == [wanted.sha256]
    again = archive(tmp_path, source, store, offline=True)
    assert again.releases() == (release,)
    again.download([wanted])
    with pytest.raises(UnavailableError) as caught:
        place.package_list(0, "contrib")
    assert caught.value.reason == "missing-package-list"


def test_an_armoured_keyring(tmp_path: Path, signing_home: Path) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    armoured = Source(source.uri, source.suite, source.components, str(signing_home / "key.asc"))
    assert archive(tmp_path, armoured, MemoryStore()).releases()[0].signed_by


def test_files_that_are_not_what_the_list_says(tmp_path: Path, signing_home: Path) -> None:
    deb = made_deb("tool")
    source = write_archive(tmp_path / "archive", signing_home, [deb])
    place = archive(tmp_path, source, MemoryStore())
    place.releases()
    for size, digest in ((len(deb), "0" * 64), (len(deb) - 1, hashlib.sha256(deb).hexdigest())):
        with pytest.raises(VerificationError) as caught:
            place.download([WantedFile(0, "pool/0.deb", size, digest)])
        assert caught.value.reason == "chain-hash"
    with pytest.raises(UnavailableError) as missing:
        place.download([WantedFile(0, "pool/1.deb", 1, "0" * 64)])
    assert missing.value.reason == "download-failed"


def test_a_changed_release_is_refused(tmp_path: Path, signing_home: Path) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    release = tmp_path / "archive" / "dists" / "made" / "InRelease"
    release.write_bytes(release.read_bytes().replace(b"Label: Debian", b"Label: Xebian"))
    with pytest.raises(ApkilnError) as caught:
        archive(tmp_path, source, MemoryStore()).releases()
    assert caught.value.reason in ("archive-unavailable", "chain-signature")


def test_our_own_check_does_not_rely_on_apt(tmp_path: Path, signing_home: Path) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    store = MemoryStore()
    archive(tmp_path, source, store).releases()
    (kept,) = (tmp_path / "apt").glob("*/lists/*_InRelease")
    content = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(content.replace(b"Label: Debian", b"Label: Xebian"))
    with pytest.raises(VerificationError) as caught:
        archive(tmp_path, source, store, offline=True).releases()
    assert caught.value.reason == "chain-signature"


def test_a_key_that_is_not_in_the_keyring(tmp_path: Path, signing_home: Path) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    empty = tmp_path / "empty.gpg"
    empty.write_bytes(b"")
    with pytest.raises(ApkilnError) as caught:
        archive(tmp_path, Source(source.uri, source.suite, source.components, str(empty)), MemoryStore()).releases()
    assert caught.value.reason in ("archive-unavailable", "chain-signature")


def test_offline_without_anything_kept(tmp_path: Path, signing_home: Path) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    with pytest.raises(UnavailableError) as caught:
        archive(tmp_path, source, MemoryStore(), offline=True).releases()
    assert caught.value.reason == "archive-unavailable"


def repository(tmp_path: Path) -> tuple[Path, Path]:
    """An empty repository and its private key."""
    directory, key = tmp_path / "repo", tmp_path / "keys" / "test.rsa"
    directory.mkdir()
    key.parent.mkdir()
    pair = generate_key_pair("test.rsa.pub", 2048)
    write_key_pair(pair, key, key.with_name("test.rsa.pub"), DiskFiles(durable=False))
    return directory, key


def test_the_command(tmp_path: Path, signing_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool", Depends="lib"), made_deb("lib")])
    (tmp_path / "made.list").write_text(f"deb {source.uri} made main\n")
    directory, key = repository(tmp_path)
    words = ["deb", "import", "tool", "--repo", str(directory), "--key", str(key), "--arch", "x86_64", "--json", "-q"]
    words += [
        "--sources",
        str(tmp_path / "made.list"),
        "--keyring",
        str(signing_home / "key.gpg"),
        "--cache-dir",
        str(tmp_path / "c"),
    ]
    assert main(words) == 0
    first = json.loads(capsys.readouterr().out)
    assert [package["name"] for package in first["packages"]] == ["debian-base-layout", "lib", "tool"]
    assert len(first["added"]) == 3
    with (directory / "x86_64" / "tool-1.0-r100.apk").open("rb") as stream:
        package = read_package(stream)
    assert [item[:2] for item in package.signatures] == [("RSA256", "test.rsa.pub")]
    lock = (directory / "debian" / "tool.x86_64.json").read_bytes()
    assert main([*words, "--offline"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["added"], second["packages"]) == ([], first["packages"])
    assert (directory / "debian" / "tool.x86_64.json").read_bytes() == lock
    assert second["unchanged"] == ["debian-base-layout-1-r1", "lib-1.0-r100", "tool-1.0-r100"]
    (directory / "x86_64" / "lib-1.0-r100.apk").unlink()
    assert main(words) == 0
    assert (directory / "x86_64" / "lib-1.0-r100.apk").is_file()
    assert json.loads(capsys.readouterr().out)["unchanged"] == second["unchanged"]
    (directory / "debian" / "suite").write_text("other\n")
    assert main(words) == 7
    assert json.loads(capsys.readouterr().err)["error"]["reason"] == "suite-mixed"


def test_errors_of_the_command(tmp_path: Path, signing_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_archive(tmp_path / "archive", signing_home, [made_deb("tool")])
    (tmp_path / "made.list").write_text(f"deb {source.uri} made main\n")
    directory, key = repository(tmp_path)
    words = ["deb", "import", "--repo", str(directory), "--key", str(key), "--arch", "x86_64", "--json", "-q"]
    words += ["--sources", str(tmp_path / "made.list"), "--cache-dir", str(tmp_path / "c")]
    keyring = ["--keyring", str(signing_home / "key.gpg")]
    for further, code, reason in (
        (["tool"], 2, "missing-keyring"),
        (["absent", *keyring], 5, "missing-package"),
        (["tool", *keyring, "--arch", "mips"], 2, "unknown-architecture"),
        (["tool", *keyring, "--repo", str(tmp_path / "none")], 8, "missing-repository"),
    ):
        assert main([*words, *further]) == code
        assert json.loads(capsys.readouterr().err)["error"]["reason"] == reason
    assert not list(directory.rglob("*.apk"))


def test_the_order_agrees_with_dpkg() -> None:
    needs("dpkg")
    randomness = random.Random(20)
    texts: list[str] = []
    while len(texts) < 400:
        text = randomness.choice(["", "1:"]) + str(randomness.randrange(9))
        text += "".join(randomness.choice("009.~+-abz") for _ in range(randomness.randrange(6)))
        if version.is_valid(text):
            texts.append(text)
    for left, right in zip(texts[::2], texts[1::2], strict=True):
        word = {-1: "lt", 0: "eq", 1: "gt"}[version.compare(left, right)]
        assert subprocess.run(["dpkg", "--compare-versions", left, word, right], check=False).returncode == 0, (left, word, right)


def test_dpkg_reads_what_we_write(tmp_path: Path) -> None:
    needs("dpkg-deb")
    (tmp_path / "a.deb").write_bytes(made_deb("tool"))
    subprocess.run(["dpkg-deb", "-x", tmp_path / "a.deb", tmp_path / "root"], check=True)
    assert (tmp_path / "root" / "bin" / "tool").read_bytes() == b"#!/bin/sh\necho tool\n"
    field = subprocess.run(["dpkg-deb", "-f", tmp_path / "a.deb", "Version"], capture_output=True, check=True)
    assert field.stdout == b"1.0-1\n"


@pytest.mark.network
def test_a_real_package_against_dpkg_deb(tmp_path: Path) -> None:
    """`hostname` of the machine's own suite: the same files, modes and links, but for the merged paths and what we add."""
    needs("apt-get", HELPER, "gpgv", "dpkg-deb", "dpkg")
    found = machine_sources(DiskFiles(), Path("/etc/apt"))
    try:
        select_sources(found.sources, "")
    except ApkilnError as fault:
        pytest.skip(f"no archive is configured on this machine: {fault.reason}")
    directory, key = repository(tmp_path)
    words = ["deb", "import", "hostname", "--repo", str(directory), "--key", str(key), "--prune", "installer", "-q"]
    code = main([*words, "--cache-dir", str(tmp_path / "cache")])
    if code == exit_codes.exit_code(UnavailableError("", reason="")):
        pytest.skip("the machine's archive cannot be reached")
    assert code == 0
    (lock_file,) = (directory / "debian").glob("hostname.*.json")
    entry = next(item for item in json.loads(lock_file.read_bytes())["packages"] if item["name"] == "hostname")
    (blob,) = (tmp_path / "cache" / "blobs" / entry["deb_sha256"][:2]).glob(f"{entry['deb_sha256'][2:]}-*")
    subprocess.run(["dpkg-deb", "-x", blob, tmp_path / "root"], check=True)
    ours: dict[str, ContentEntry] = {}
    for package in ("hostname", "hostname-doc"):  # manual pages and changelogs go into a package of their own
        (apk,) = directory.glob(f"*/{package}-{entry['version']}.apk")
        with apk.open("rb") as stream:
            entries = read_package(stream).entries
        ours |= {item.entry.path: item for item in entries if item.entry.type is not EntryType.DIRECTORY}
    theirs = {
        path.relative_to(tmp_path / "root") for path in (tmp_path / "root").rglob("*") if path.is_symlink() or path.is_file()
    }
    merged = {(f"usr/{path}" if path.parts[0] in ("bin", "sbin", "lib") else str(path)): path for path in theirs}
    assert set(ours) - set(merged) == {"var/lib/dpkg/status.d/hostname", "var/lib/dpkg/status.d/hostname.md5sums"}
    assert set(merged) <= set(ours)
    for name, path in merged.items():
        real = tmp_path / "root" / path
        if real.is_symlink():
            assert ours[name].entry.target == os.readlink(real)
        else:
            assert ours[name].sha256 == hashlib.sha256(real.read_bytes()).digest()
            assert ours[name].entry.mode == real.stat().st_mode & 0o7777
