"""Package URLs against packageurl-python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from apkiln.formats.sbom.purl import apk_purl, oci_purl, purl, source_purl

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)
PLAIN = NAMES.filter(lambda text: "/" not in text and text.strip("/") != "")


@given(st.sampled_from(["apk", "generic", "npm", "deb"]), st.lists(PLAIN, max_size=2), PLAIN, st.one_of(st.just(""), PLAIN))
def test_reads_back_as_what_was_written(kind: str, namespace: list[str], name: str, version: str) -> None:
    found = PackageURL.from_string(purl(kind, "/".join(namespace), name, version, {"arch": "x86_64", "empty": ""}))
    lower = kind in ("apk", "deb", "npm")
    assert (found.name.lower() if lower else found.name) == (name.lower() if lower else name)
    assert (found.version or "") == version
    assert found.qualifiers == {"arch": "x86_64"}


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "version", "qualifiers"),
    [
        ("apk", "wolfi", "libstdc++", "13.2.0-r1", {"arch": "x86_64", "distro": "wolfi-20230201"}),
        ("apk", "Alpine", "Curl", "8.1.2_rc1-r0~a", {"arch": "aarch64"}),
        ("oci", "", "app", "sha256:" + "a" * 64, {"mediaType": "application/vnd.oci.image.manifest.v1+json"}),
        ("deb", "debian", "bash", "2:5.2-3+b1", {"arch": "amd64"}),
    ],
)
def test_is_the_canonical_form(kind: str, namespace: str, name: str, version: str, qualifiers: dict[str, str]) -> None:
    ours = purl(kind, namespace, name, version, qualifiers)
    theirs = PackageURL(type=kind, namespace=namespace or None, name=name, version=version, qualifiers=qualifiers).to_string()
    assert PackageURL.from_string(ours) == PackageURL.from_string(theirs)
    # Writers differ in the case of the hex digits of an escape.
    assert ours.partition("?")[0].lower() == theirs.partition("?")[0].lower()


def test_of_an_apk_tells_release_and_origin() -> None:
    assert apk_purl("wolfi", "a", "1-r0", "x86_64") == "pkg:apk/wolfi/a@1-r0?arch=x86_64"
    told = apk_purl("wolfi", "a-doc", "1-r0", "x86_64", release="20230201", origin="a")
    assert told == "pkg:apk/wolfi/a-doc@1-r0?arch=x86_64&distro=wolfi-20230201&upstream=a"
    assert apk_purl("", "a", "1-r0", "x86_64").startswith("pkg:apk/unknown/")


def test_of_an_image_uses_the_last_part_of_its_repository() -> None:
    assert oci_purl("registry.example.com/team/App", "sha256:ab", arch="amd64") == "pkg:oci/app@sha256:ab?arch=amd64"


def test_of_a_source_knows_github() -> None:
    assert source_purl("https://github.com/example/app.git", "c0ffee") == "pkg:github/example/app@c0ffee"
    other = PackageURL.from_string(source_purl("https://git.example.com/project", "c0ffee"))
    assert other.qualifiers == {"vcs_url": "git+https://git.example.com/project@c0ffee"}
