"""Which of a machine's sources count, the selection of a suite, and reading of `gpgv`'s answers."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from apkiln.core.errors import ApkilnError, FormatError, VerificationError
from apkiln.core.origin import Origin
from apkiln.debian.suites import select_sources
from apkiln.formats.deb.sources import Source
from apkiln.system.apt_sources import machine_sources
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.openpgp import SignatureVerifier, read_status, unarmour
from apkiln.system.process import Command, Completed

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

MAIN = f"Types: deb\nURIs: http://a.test/debian\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n".encode()


def machine(**lists: bytes) -> MemoryFiles:
    files = MemoryFiles()
    files.make_directory(PurePosixPath("/etc/apt/sources.list.d"))
    files.make_directory(PurePosixPath("/usr/share/keyrings"))
    for name in (KEYRING, "/usr/share/keyrings/vendor.gpg"):
        with files.create(PurePosixPath(name)) as stream:
            stream.write(b"keys")
    for name, content in lists.items():
        with files.create(PurePosixPath("/etc/apt") / name.replace("__", "/").replace("_", ".")) as stream:
            stream.write(content)
    return files


def test_only_the_distribution_itself_counts() -> None:
    files = machine(
        sources_list=b"deb http://a.test/debian bookworm main\n",
        sources_list_d__main_sources=MAIN,
        sources_list_d__vendor_list=b"deb [signed-by=/usr/share/keyrings/vendor.gpg] http://v.test x main\n",
        sources_list_d__gone_list=b"deb [signed-by=/usr/share/keyrings/debian-archive-gone.gpg] http://g.test x main\n",
        sources_list_d__broken_list=b"nonsense\n",
        sources_list_d__old_list_disabled=b"deb http://d.test x main\n",
    )
    found = machine_sources(files, PurePosixPath("/etc/apt"))
    assert [(source.uri, source.suite, source.signed_by) for source in found.sources] == [
        ("http://a.test/debian", "bookworm", KEYRING),
        ("http://a.test/debian", "trixie", KEYRING),
    ]
    assert len(found.skipped) == 3
    assert not any("test" in line for line in found.skipped)


def test_a_machine_without_apt_has_no_sources() -> None:
    assert machine_sources(MemoryFiles(), PurePosixPath("/etc/apt")).sources == ()


def sources(*suites: str) -> list[Source]:
    return [Source("http://a.test", suite, ("main",), KEYRING) for suite in suites]


@pytest.mark.parametrize(
    ("configured", "wanted", "expected"),
    [
        (("a", "a-updates", "a-security", "a-backports", "a-proposed-updates"), "", ["a", "a-updates", "a-security"]),
        (("bookworm", "trixie"), "trixie", ["trixie"]),
        (("bookworm", "bookworm-security"), "trixie", ["trixie", "trixie-security"]),
        (("bookworm", "bookworm-security"), "sid", ["sid"]),
        (("buster", "buster/updates"), "", ["buster", "buster/updates"]),
    ],
)  # fmt: skip
def test_suites(configured: tuple[str, ...], wanted: str, expected: list[str]) -> None:
    assert [source.suite for source in select_sources(sources(*configured), wanted)] == expected


@pytest.mark.parametrize(("configured", "reason"), [(("bookworm", "trixie"), "ambiguous-suite"), ((), "no-archive")])
def test_no_suite(configured: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        select_sources(sources(*configured), "")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("status", "good", "bad"),
    [
        (b"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG A x\n[GNUPG:] VALIDSIG F1 d 1 0 4 0 1 8 01 P1\n", ("P1",), ()),
        (b"[GNUPG:] VALIDSIG F1 d 1 0 4 0 1 8 01 P1\n[GNUPG:] ERRSIG B 1 8 01 1 9 -\n[GNUPG:] NO_PUBKEY B\n", ("P1",), ()),
        (b"[GNUPG:] VALIDSIG F1 d 1 0 4 0 1 8 01 P1\n[GNUPG:] BADSIG B x\n", ("P1",), ("BADSIG",)),
        (b"[GNUPG:] EXPKEYSIG B x\n", (), ("EXPKEYSIG",)),
        (b"gpgv: VALIDSIG F1 P1\n", (), ()),
        (b"", (), ()),
    ],
)
def test_status_lines(status: bytes, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert read_status(status) == (good, bad)


class Gpgv:
    """Answers with given status lines and writes a body, as `gpgv` does even for a bad signature."""

    def __init__(self, files: MemoryFiles, status: bytes) -> None:
        self._files = files
        self._status = status

    def run(self, command: Command) -> Completed:
        output = command.arguments[command.arguments.index("--output") + 1]
        with self._files.create(PurePosixPath(output)) as stream:
            stream.write(b"body")
        return Completed(0, self._status, b"gpgv: told\n")


@pytest.mark.parametrize(
    ("status", "good"),
    [
        (b"[GNUPG:] VALIDSIG F1 d 1 0 4 0 1 8 01 P1\n", True),
        (b"[GNUPG:] VALIDSIG F1 d 1 0 4 0 1 8 01 P1\n[GNUPG:] BADSIG B x\n", False),
        (b"[GNUPG:] ERRSIG B 1 8 01 1 9 -\n[GNUPG:] NO_PUBKEY B\n", False),
        (b"", False),
    ],
)
def test_a_signature_must_be_good_whatever_the_exit_code(status: bytes, good: bool) -> None:
    files = machine()
    verifier = SignatureVerifier(Gpgv(files, status), files, Path("/state"), {})
    if good:
        assert verifier.verify(Path("/InRelease"), Path(KEYRING)) == (b"body", ("P1",))
        return
    with pytest.raises(VerificationError) as caught:
        verifier.verify(Path("/InRelease"), Path(KEYRING))
    assert (caught.value.reason, caught.value.details) == ("chain-signature", ("gpgv: told",))


def test_armour() -> None:
    block = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\naGVs\r\nbG8=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    assert unarmour(block + block, Origin()) == b"hellohello"
    for text in (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", block.replace(b"aGVs", b"a*Vs")):
        with pytest.raises(FormatError) as caught:
            unarmour(text, Origin("k"))
        assert caught.value.reason == "keyring-armour"
