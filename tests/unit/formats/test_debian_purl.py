"""Package URLs of Debian packages."""

from __future__ import annotations

import pytest
from packageurl import PackageURL

from apkiln.formats.sbom.purl import deb_purl


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("libssl3", "3.0.22-1~deb12u2", "amd64", "12", "openssl", "3.0.22-1~deb12u2"),
         "pkg:deb/debian/libssl3@3.0.22-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl"),
        (("libgcc-s1", "1:12.2.0-14+b1", "amd64", "12", "gcc-12", "12.2.0-14"),
         "pkg:deb/debian/libgcc-s1@1:12.2.0-14%2Bb1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14"),
        (("dash", "0.5-1", "all", "", "dash", "0.5-1"), "pkg:deb/debian/dash@0.5-1?arch=all"),
    ],
)  # fmt: skip
def test_names_in_debian(arguments: tuple[str, str, str, str, str, str], expected: str) -> None:
    name, version, arch, release, source, source_version = arguments
    text = deb_purl("debian", name, version, arch, release=release, source=source, source_version=source_version)
    assert text == expected
    read = PackageURL.from_string(text)
    assert (read.name, read.version) == (name, version)
