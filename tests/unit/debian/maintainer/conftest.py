"""Following made-up scripts of a made-up package."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from apkiln.debian.file_tree import FileTree, build_tree
from apkiln.debian.maintainer.translating import ScriptOverride, Translation, translate_scripts
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.package import ControlFile, DebControl

FILES = {
    "usr/bin/tool": b"#!/bin/sh\n", "etc/tool/tool.conf": b"a=1\n", "usr/share/tool/default": b"x\n", "var/log/tool/old": b"",
    "etc/init.d/tool": b"", "usr/share/tool/a.hook": b"", "usr/share/tool/b.hook": b"",
}  # fmt: skip


def make_tree(files: Mapping[str, bytes]) -> FileTree:
    members = [(Entry(path, EntryType.FILE, 0o644, size=len(content)), content) for path, content in files.items()]
    return build_tree(members, "tool", 9)


def translation(
    postinst: str | bytes = "",
    *,
    preinst: str = "",
    templates: str = "",
    files: Mapping[str, bytes] = FILES,
    overrides: Mapping[tuple[str, str], ScriptOverride] | None = None,
    shebang: str = "#!/bin/sh\n",
) -> Translation:
    """Scripts without their first line."""
    text = postinst if isinstance(postinst, bytes) else f"{shebang}{postinst}".encode()
    found = [ControlFile("postinst", text, 0)] if postinst else []
    found += [ControlFile("preinst", f"#!/bin/sh\n{preinst}".encode(), 0)] if preinst else []
    found += [ControlFile("templates", templates.encode(), 0)] if templates else []
    control = DebControl(Stanza((("Package", "tool"), ("Version", "1"))), tuple(found))
    return translate_scripts(control, make_tree(files), "amd64", overrides or {})


@pytest.fixture
def translate() -> Callable[..., Translation]:
    return translation


@pytest.fixture
def tree() -> FileTree:
    return make_tree(FILES)


@pytest.fixture(scope="session")
def authority() -> bytes:
    """A certificate authority as PEM."""
    return make_authority("Made  Up\tAuthority ÄÖ")


def make_authority(name: str, organisation: str = "Some Body") -> bytes:
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, datetime(2020, 1, 1), datetime(2040, 1, 1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
