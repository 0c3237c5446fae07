"""Subject hashes, compared with OpenSSL's own where it is there."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type as Asn1
from cryptography.x509.oid import NameOID

from apkiln.core.errors import FormatError
from apkiln.formats.x509_subject import pem_certificates, subject_hash


def certificate(*attributes: tuple[str, Asn1]) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _type=kind) for text, kind in attributes])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), datetime(2040, 1, 1))
    return builder.sign(key, hashes.SHA256())


NAMES = [
    [("Plain", Asn1.UTF8String)],
    [("  Many   Blanks\t In ", Asn1.UTF8String)],
    [("Größe ÄÖÜ", Asn1.UTF8String)],
    [("Print Able", Asn1.PrintableString), ("Second", Asn1.UTF8String)],
    [("Größe", Asn1.BMPString)],
    [("a" * 60 + "B" * 4, Asn1.UTF8String)],
]


@pytest.mark.parametrize("attributes", NAMES)
def test_the_hash_is_that_of_openssl(attributes: list[tuple[str, Asn1]], tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on PATH")
    path = tmp_path / "c.pem"
    path.write_bytes(certificate(*attributes).public_bytes(Encoding.PEM))
    command = [openssl, "x509", "-in", str(path), "-noout", "-subject_hash"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert subject_hash(pem_certificates(path.read_bytes())[0]) == said


def test_case_and_blanks_do_not_matter() -> None:
    one = certificate(("Some  Name", Asn1.UTF8String)).public_bytes(Encoding.DER)
    other = certificate((" some name", Asn1.PrintableString)).public_bytes(Encoding.DER)
    assert subject_hash(one) == subject_hash(other)


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x05\x30", b"\x30\x80", b"\x30\x03\x30\x01\x00", b"\x02\x01\x01"])
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        subject_hash(data)
    assert caught.value.reason == "certificate-invalid"


def test_pem_texts() -> None:
    text = certificate(("A", Asn1.UTF8String)).public_bytes(Encoding.PEM)
    assert len(pem_certificates(b"# comment\n" + text + text)) == 2
    with pytest.raises(FormatError):
        pem_certificates(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
