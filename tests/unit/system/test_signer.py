from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_elliptic
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from apkiln.core.errors import ConflictError, EnvironmentFault, FormatError
from apkiln.system.files import DiskFiles
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.signer import KeyPair, generate_key_pair, load_signer, public_name, signer_from_pem, write_key_pair


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return generate_key_pair("test.rsa.pub", bits=2048)


@pytest.mark.parametrize("algorithm", ["RSA", "RSA256", "RSA512"])
def test_signatures_verify_with_the_public_key_and_only_over_these_bytes(pair: KeyPair, algorithm: str) -> None:
    key = load_pem_public_key(pair.signer.public_key())
    assert isinstance(key, RSAPublicKey)
    signature = pair.signer.sign(b"data", algorithm)
    digests: dict[str, hashes.HashAlgorithm] = {"RSA": hashes.SHA1(), "RSA256": hashes.SHA256(), "RSA512": hashes.SHA512()}
    key.verify(signature, b"data", PKCS1v15(), digests[algorithm])
    assert pair.signer.sign(b"data", algorithm) == signature
    assert pair.signer.sign(b"date", algorithm) != signature


def test_files_have_safe_modes_and_read_back(pair: KeyPair, tmp_path: Path) -> None:
    private, public = tmp_path / "test.rsa", tmp_path / "test.rsa.pub"
    write_key_pair(pair, private, public, DiskFiles())
    assert private.stat().st_mode & 0o777 == 0o600
    signer = load_signer(private, DiskFiles())
    assert signer.name == "test.rsa.pub"
    assert signer.public_key() == public.read_bytes()
    assert signer.sign(b"data", "RSA256") == pair.signer.sign(b"data", "RSA256")


def test_an_existing_key_is_never_overwritten(pair: KeyPair, tmp_path: Path) -> None:
    (tmp_path / "test.rsa").write_text("precious")
    with pytest.raises(ConflictError):
        write_key_pair(pair, tmp_path / "test.rsa", tmp_path / "test.rsa.pub", DiskFiles())
    assert (tmp_path / "test.rsa").read_text() == "precious"
    assert not (tmp_path / "test.rsa.pub").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_is_refused(pair: KeyPair, mode: int) -> None:
    files = MemoryFiles()
    files.put("/key.rsa", pair.private_key, mode)
    with pytest.raises(EnvironmentFault) as caught:
        load_signer(PurePosixPath("/key.rsa"), files)
    assert caught.value.reason == "key-file-exposed"


def elliptic_key() -> bytes:
    return generate_elliptic(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def encrypted_key() -> bytes:
    key = generate_elliptic(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    "pem",
    [b"", b"nonsense", elliptic_key(), encrypted_key(), generate_key_pair("x", bits=1024).private_key],
    ids=["empty", "nonsense", "elliptic", "encrypted", "short"],
)
def test_other_keys_are_refused(pem: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        signer_from_pem(pem, "x.rsa.pub", "x.rsa")
    assert (caught.value.reason, caught.value.origin.source) == ("bad-private-key", "x.rsa")


@pytest.mark.parametrize(("private", "public"), [("a.rsa", "a.rsa.pub"), ("a", "a.pub"), ("a.rsa.pem", "a.rsa.pub")])
def test_the_public_name_follows_the_private_one(private: str, public: str) -> None:
    assert public_name(private) == public
