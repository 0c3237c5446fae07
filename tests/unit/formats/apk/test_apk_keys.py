"""Public keys and signatures (spec apk.md §2.2, §12.3 "signature member")."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.sample_packages import keyring_of, sample_signer

from apkiln.core.errors import ApkilnError, FormatError, VerificationError
from apkiln.formats.apk.keys import Keyring, is_key_name, parse_public_key
from apkiln.formats.apk.signature import Signature, signer_of, verify
from apkiln.formats.apk.signing import signature_section, signatures_of
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.gzip import inflate

FIRST, SECOND = sample_signer(), sample_signer("second.rsa.pub")
DATA = b"signed"


Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


def pem(key: Key, form: str = "SubjectPublicKeyInfo") -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, getattr(serialization.PublicFormat, form))


def signed(*signers: tuple[str, object]) -> list[Signature]:
    return [Signature(algorithm, signer.name, signer.sign(DATA, algorithm)) for algorithm, signer in signers]  # type: ignore[attr-defined]


def refused(signatures: list[Signature], keyring: Keyring, **options: bool) -> str:
    with pytest.raises(VerificationError) as caught:
        signer_of(signatures, DATA, keyring, **options)
    return caught.value.reason


def test_keys_have_one_form() -> None:
    content = FIRST.public_key()
    key = parse_public_key("a.rsa.pub", content)
    assert key.pem == content and (key.kind, key.bits) == ("rsa", 2048)
    loaded = serialization.load_pem_public_key(content)
    assert isinstance(loaded, rsa.RSAPublicKey)
    for other in (b"\n\n" + content, content.replace(b"\n", b"\r\n"), pem(loaded, "PKCS1")):
        assert parse_public_key("a.rsa.pub", other) == key
    assert parse_public_key("b.rsa.pub", content).fingerprint == key.fingerprint


def test_elliptic_keys_are_kept_for_other_formats() -> None:
    key = parse_public_key("x.pub", pem(ec.generate_private_key(ec.SECP256R1()).public_key()))
    assert (key.kind, key.bits) == ("ec", 256)
    assert refused([Signature("RSA256", "x.pub", b"")], Keyring.of([key])) == "signature-key-kind"


def test_bad_keys_are_refused() -> None:
    good = FIRST.public_key()
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    weak = pem(rsa.generate_private_key(65537, 1024).public_key())
    for name, content, reason in (
        ("../x", good, "key-name"), (".x", good, "key-name"), ("-x", good, "key-name"), ("a b", good, "key-name"),
        ("a\0b", good, "key-name"), ("", good, "key-name"), ("x", private, "key-private"), ("x", good * 2, "key-not-one"),
        ("x", b"", "key-not-one"), ("x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "key-invalid"),
        ("x", weak, "key-too-small"), ("x", pem(ed25519.Ed25519PrivateKey.generate().public_key()), "key-kind"),
        ("x", good + bytes(65536), "key-too-large"),
    ):  # fmt: skip
        with pytest.raises(FormatError) as caught:
            parse_public_key(name, content)
        assert caught.value.reason == reason, (name, content[:30])


def test_keyrings() -> None:
    first, second = (parse_public_key(signer.name, signer.public_key()) for signer in (FIRST, SECOND))
    assert Keyring.of([first, second, first]).keys == Keyring.of([second, first]).keys
    assert Keyring.of([first]).named("other") is None
    with pytest.raises(FormatError) as caught:
        Keyring.of([first, parse_public_key(first.name, second.pem)])
    assert caught.value.reason == "key-name-twice"


@pytest.mark.parametrize("algorithm", ["RSA", "RSA256", "RSA512"])
def test_all_algorithms(algorithm: str) -> None:
    found = signer_of(signed((algorithm, FIRST)), DATA, keyring_of(FIRST))
    assert found == (FIRST.name, algorithm) and found.weak == (algorithm == "RSA")
    assert verify(signed((algorithm, FIRST)), DATA, keyring_of(FIRST)) == FIRST.name


def test_the_first_known_key_decides() -> None:
    """As in apk: unknown keys are skipped, and a bad signature by a known key is not healed by a later one."""
    both = signed(("RSA256", FIRST), ("RSA256", SECOND))
    assert verify(both, DATA, keyring_of(SECOND)) == SECOND.name
    assert verify(both, DATA, keyring_of(FIRST, SECOND)) == FIRST.name
    bad_first = [both[0]._replace(value=b"x" * 256), both[1]]
    assert refused(bad_first, keyring_of(FIRST, SECOND)) == "signature-bad"
    assert verify(bad_first, DATA, keyring_of(SECOND)) == SECOND.name


def test_sha1_can_be_forbidden() -> None:
    weak = signed(("RSA", FIRST))
    assert refused(weak, keyring_of(FIRST), allow_sha1=False) == "signature-sha1"
    both = signed(("RSA", FIRST), ("RSA256", FIRST))
    assert signer_of(both, DATA, keyring_of(FIRST)).algorithm == "RSA"
    assert signer_of(both, DATA, keyring_of(FIRST), allow_sha1=False).algorithm == "RSA256"


def test_refusals() -> None:
    keyring = keyring_of(FIRST)
    (good,) = signed(("RSA256", FIRST))
    assert refused([], keyring) == "signature-missing"
    assert refused(signed(("RSA256", SECOND)), keyring) == "signature-unknown-key"
    assert refused([good], Keyring()) == "signature-unknown-key"
    assert refused([good._replace(algorithm="DSA")], keyring) == "signature-unknown-key"
    assert refused([good._replace(algorithm="RSA512")], keyring) == "signature-bad"
    assert refused([good._replace(value=b"")], keyring) == "signature-bad"
    assert refused([good._replace(value=good.value + b"\0")], keyring) == "signature-bad"
    # Another key under the trusted name.
    other = Keyring.of([parse_public_key(FIRST.name, SECOND.public_key())])
    assert refused([good], other) == "signature-bad"


def test_signature_sections() -> None:
    signatures = signatures_of(DATA, (FIRST, SECOND), ("RSA256", "RSA"))
    assert [(item.algorithm, item.key_name) for item in signatures] == [
        ("RSA256", FIRST.name), ("RSA256", SECOND.name), ("RSA", FIRST.name), ("RSA", SECOND.name),
    ]  # fmt: skip
    tar = inflate(signature_section(signatures, canonical_codec(), mtime=7), 100_000)
    entries = list(TarReader([tar]))
    assert [entry.path for entry in entries] == [item.entry_name for item in signatures]
    assert {(entry.mode, entry.mtime, entry.uname) for entry in entries} == {(0o644, 7, "root")}
    assert not tar.endswith(bytes(1024)) and signature_section((), canonical_codec()) == b""


class Renamed:
    """A signer under another name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def sign(self, data: bytes, algorithm: str) -> bytes:
        return FIRST.sign(data, algorithm)


@pytest.mark.parametrize(
    ("signers", "algorithms", "reason"),
    [
        ((Renamed("a/b"),), ("RSA256",), "signature-key-name"),
        ((FIRST, FIRST), ("RSA256",), "signature-repeated"),
        ((FIRST,), ("DSA",), "signature-algorithm"),
    ],
)
def test_bad_signers_are_refused(signers: tuple[Renamed, ...], algorithms: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        signatures_of(DATA, signers, algorithms)
    assert caught.value.reason == reason


def test_key_names() -> None:
    good = ["wolfi-signing.rsa.pub", "alpine-devel@lists.alpinelinux.org-616ae350.rsa.pub", "é", "a" * 240]
    assert all(map(is_key_name, good))
    assert not any(map(is_key_name, ["", ".", "..", "a/b", "a\n", "-a", "a" * 241]))
