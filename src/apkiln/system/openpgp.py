"""OpenPGP signatures of release files, checked by `gpgv` against one keyring (spec debian.md §11, first link)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.files import Files
from apkiln.system.process import Command, Runner

MAXIMUM_KEYRING = 16 * MIB
MAXIMUM_SIGNED = 64 * MIB
_BAD = {"BADSIG", "ERRSIG_EXPIRED", "REVKEYSIG", "EXPSIG", "EXPKEYSIG"}
_EXPIRED_KEY = "EXPKEYSIG"
_PRIVATE = 0o600


class ClearSigned(NamedTuple):
    """A document whose signature holds."""

    body: bytes
    signed_by: tuple[str, ...]
    """Fingerprints of the primary keys, sorted."""


class DetachedSignature(NamedTuple):
    """A signature in a file of its own that holds."""

    signed_by: tuple[str, ...]
    """Fingerprints of the primary keys, sorted."""
    expired: bool
    """A key has expired since: releases stay, keys do not."""


class SignatureVerifier:
    """Runs `gpgv` in a directory of its own; no key outside the given keyring counts."""

    def __init__(self, runner: Runner, files: Files, directory: Path, environment: Mapping[str, str]) -> None:
        self._runner = runner
        self._files = files
        self._directory = directory
        self._environment = (("LC_ALL", "C"), ("PATH", environment.get("PATH", "/usr/bin:/bin")))

    def verify(self, document: Path, keyring: Path) -> ClearSigned:
        """The signed body of a clear-signed file.

        Needs at least one good signature and none that is bad, expired or by a revoked key; a signature by a key that the
        keyring does not hold is ignored, since suites are signed by the keys of two releases.  What counts as signed is what
        `gpgv` wrote out, not our reading of the armour.  Raises VerificationError (`chain-signature`), EnvironmentFault
        (`missing-program`), UnavailableError (`missing-file`).
        """
        self._files.make_directory(self._directory, 0o700)
        output = self._directory / f"{document.name}.body"
        self._files.remove(output)
        done = self._runner.run(
            Command(
                (
                    "gpgv", "--homedir", str(self._directory), "--keyring", str(self._binary_keyring(keyring)),
                    "--status-fd", "1", "--output", str(output), str(document),
                ),
                self._environment,
            )
        )  # fmt: skip
        good, bad = read_status(done.stdout)
        if not good or bad:
            raise VerificationError(
                "the release file has no good signature" if not bad else f"the release file is signed badly: {', '.join(bad)}",
                reason="chain-signature",
                origin=Origin(source=str(document)),
                hint=f"the keys come from `{keyring}`",
                details=done.stderr.decode("utf-8", "replace").splitlines()[:20],
            )
        return ClearSigned(self._files.read(output, MAXIMUM_SIGNED), good)

    def verify_detached(self, signature: Path, document: Path, keyring: Path) -> DetachedSignature:
        """Whose good signature a separate file holds; the rules of `verify`, but that a key may have expired since.

        Raises VerificationError (`upstream-signature`), EnvironmentFault (`missing-program`), UnavailableError.
        """
        self._files.make_directory(self._directory, 0o700)
        words = ("gpgv", "--homedir", str(self._directory), "--keyring", str(self._binary_keyring(keyring)), "--status-fd", "1")
        done = self._runner.run(Command((*words, str(signature), str(document)), self._environment))
        good, bad = read_status(done.stdout)
        bad = tuple(word for word in bad if word != _EXPIRED_KEY)
        if not good or bad:
            raise VerificationError(
                f"`{document.name}` has no good signature" + (f": {', '.join(bad)}" if bad else ""),
                reason="upstream-signature",
                origin=Origin(source=str(signature)),
                hint=f"the keys come from `{keyring}`",
                details=done.stderr.decode("utf-8", "replace").splitlines()[:20],
            )
        return DetachedSignature(good, _EXPIRED_KEY.encode() in done.stdout)

    def _binary_keyring(self, keyring: Path) -> Path:
        """The keyring itself, or its binary form when it is armoured (`gpgv` reads only binary ones)."""
        data = self._files.read(keyring, MAXIMUM_KEYRING)
        if not data.lstrip().startswith(b"-----BEGIN PGP"):
            return keyring.absolute()
        target = self._directory / "keyring.gpg"
        with self._files.create(target, _PRIVATE, replace=True) as stream:
            stream.write(unarmour(data, Origin(source=str(keyring))))
        return target


def read_status(status: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(fingerprints of primary keys with good signatures, words of bad signatures), each sorted and distinct."""
    good: set[str] = set()
    bad: set[str] = set()
    for line in status.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "[GNUPG:]":
            continue
        if words[1] == "VALIDSIG":
            good.add(words[-1])
        elif words[1] in _BAD:
            bad.add(words[1])
    return tuple(sorted(good)), tuple(sorted(bad))


def unarmour(data: bytes, origin: Origin) -> bytes:
    """The binary form of all armoured blocks of a key file.  Raises FormatError (`keyring-armour`)."""
    blocks: list[bytes] = []
    for block in data.split(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")[1:]:
        body = block.partition(b"-----END")[0].replace(b"\r", b"").partition(b"\n\n")[2]
        lines = [line.strip() for line in body.split(b"\n")]
        text = b"".join(line for line in lines if line and not line.startswith(b"="))
        try:
            blocks.append(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise FormatError("the armour of the keyring is damaged", reason="keyring-armour", origin=origin) from error
    if not any(blocks):
        raise FormatError("the keyring holds no public key block", reason="keyring-armour", origin=origin)
    return b"".join(blocks)
