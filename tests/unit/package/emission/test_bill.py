"""The bill of materials: sources of every kind, licences, names of products; valid for SPDX's own validator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from tests.package_workshop import DEMO, X86_64, read, tree, written

from apkiln.package.compilation.embedding import embedded
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.definition.licensing import licensing, reference
from apkiln.package.definition.model import NOWHERE, Copyright, Cpe
from apkiln.package.emission.bill import formatted_cpe
from apkiln.package.emission.request import EmissionRequest

HEX = "0123456789abcdef" * 4
COMMIT = "c195f151efe3369874c72662cd69ad43ee485128"
SOURCES = f"""
pipeline:
  - uses: fetch
    with: {{uri: "https://demo.example/demo-1.2.tar.gz", expected-sha256: {HEX}, expected-sha512: {HEX * 2}}}
  - name: group
    pipeline:
      - uses: git-checkout
        with: {{repository: "https://gitlab.test.org/a/b.git", tag: v1, expected-commit: {COMMIT}}}
      - if: "'x' == 'y'"
        uses: git-checkout
        with: {{repository: "https://gitlab.test.org/never", tag: v1, expected-commit: {COMMIT}}}
  - uses: git-checkout
    with: {{repository: "https://github.com/Google/go-x", tag: v2, expected-commit: {COMMIT}}}
subpackages:
  - name: demo-extra
    pipeline:
      - uses: fetch
        with: {{uri: "https://demo.example/extra.zip", expected-sha256: {HEX}, purl-name: extra, purl-version: "9"}}
"""


def bills(text: str, **fields: Any) -> dict[str, dict[str, Any]]:
    """The documents of all packages by package."""
    shown = embedded(resolve(load(text.encode(), "x.yaml"), X86_64, library_of([])).definition)
    asked = EmissionRequest(shown, X86_64, namespace="wolfi", **fields)
    names = [asked.definition.package.name.text, *(item.name.text for item in asked.definition.subpackages)]
    files = written(asked, *(tree(package=name) for name in names))
    found = {}
    for package, content in files.items():
        contents, inside = read(content)
        path = f"var/lib/db/sbom/{package.removesuffix('.apk')}.spdx.json"
        assert inside[path].startswith(b"{\n  ") and inside[path].endswith(b"}\n")
        found[contents.info.name] = json.loads(inside[path])
    return found


def sources(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["SPDXID"]: row for row in document["packages"] if row["primaryPackagePurpose"] == "SOURCE"}


def purl(row: dict[str, Any]) -> str:
    return next(str(item["referenceLocator"]) for item in row["externalRefs"] if item["referenceType"] == "purl")


def test_sources_of_all_steps_are_listed() -> None:
    found = bills(DEMO + SOURCES)
    main = sources(found["demo"])
    assert [purl(row) for _, row in sorted(main.items())] == [
        f"pkg:generic/demo@1.2?checksum=sha256:{HEX}%2Csha512:{HEX * 2}&download_url=https://demo.example/demo-1.2.tar.gz",
        "pkg:github/google/go-x@v2",
        f"pkg:generic/a/b@v1?vcs_url=git%2Bhttps://gitlab.test.org/a/b.git%40{COMMIT}",
    ]
    assert sorted(main) == [
        "SPDXRef-Package-Source-demo-1.2-0",
        f"SPDXRef-Package-Source-github.com-Google-go-x-v2-{COMMIT}-2",
        f"SPDXRef-Package-Source-gitlab.test.org-a-b-v1-{COMMIT}-1.0",
    ]
    fetched = main["SPDXRef-Package-Source-demo-1.2-0"]
    assert [item["algorithm"] for item in fetched["checksums"]] == ["SHA256", "SHA512"]
    assert fetched["supplier"] == "NOASSERTION" and "originator" not in fetched
    extra = {row["name"] for row in sources(found["demo-extra"]).values()}
    assert extra == {"demo", "go-x", "b", "extra"}
    edges = {(row["relationshipType"], row["relatedSpdxElement"]) for row in found["demo"]["relationships"]}
    assert {("GENERATED_FROM", name) for name in main} < edges


def test_documents_are_valid_and_differ_in_their_names() -> None:
    text = DEMO.replace("MIT", "custom:see site") + SOURCES
    namespaces = set()
    for document in bills(text, git_repository="https://git.example/os", git_commit="abc").values():
        problems = validate_full_spdx_document(JsonLikeDictParser().parse(document))  # type: ignore[no-untyped-call]
        assert [str(problem.validation_message) for problem in problems] == []
        namespaces.add(document["documentNamespace"])
    assert len(namespaces) == 2


def test_who_and_when() -> None:
    shown = bills(DEMO, source_date=86400, organization="Demo Corp", document_base="https://demo.example/spdx/")["demo"]
    assert shown["creationInfo"]["created"] == "1970-01-02T00:00:00Z"
    assert shown["creationInfo"]["creators"][1] == "Organization: Demo Corp"
    assert shown["documentNamespace"].startswith("https://demo.example/spdx/apk/x86_64/demo-1.2-r3/")
    own = next(row for row in shown["packages"] if row["SPDXID"] == "SPDXRef-Package-apk-demo-1.2-r3")
    assert purl(own) == "pkg:apk/wolfi/demo@1.2-r3?arch=x86_64&distro=wolfi" and own["supplier"] == "Organization: Wolfi"


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], "NOASSERTION"),
        (["MIT"], "MIT"),
        (["MIT OR Apache-2.0"], "MIT OR Apache-2.0"),
        (["MIT OR Apache-2.0", "BSD-3-Clause"], "(MIT OR Apache-2.0) AND BSD-3-Clause"),
        (["MIT", "my own_licence (c)"], "MIT AND LicenseRef-my-own-licence-c"),
        (["LicenseRef-x"], "LicenseRef-x"),
        (["MIT", ""], "MIT"),
        (["FOOOR"], "LicenseRef-FOOOR"),
    ],
)
def test_licences_are_joined(texts: list[str], wanted: str) -> None:
    from apkiln.formats.yamlnode.reader import Text

    assert licensing([Copyright(Text(text, NOWHERE)) for text in texts], {}).expression == wanted


def test_a_licence_without_letters_is_named_by_its_digest() -> None:
    assert len(reference("§§")) == 11 + 16 and reference("§§") != reference("§")


def test_texts_of_licences() -> None:
    from apkiln.formats.yamlnode.reader import Text

    entries = [
        Copyright(Text("mine", NOWHERE), attestation="(c) A", license_path=Text("COPYING", NOWHERE)),
        Copyright(Text("yours", NOWHERE), attestation="(c) B"),
    ]
    found = licensing(entries, {"COPYING": "all of it"})
    assert [tuple(item) for item in found.texts] == [
        ("LicenseRef-mine", "all of it"),
        ("LicenseRef-yours", "Non-SPDX License: yours"),
    ]
    assert found.copyright == "(c) A\n(c) B\n" and found.unknown == ("yours",)


@pytest.mark.parametrize(
    ("cpe", "version", "wanted"),
    [
        (Cpe(), "1", ""),
        (Cpe(vendor="v", product="p"), "1.2", "cpe:2.3:a:v:p:1.2:*:*:*:*:*:*:*"),
        (Cpe(part="o", vendor="v", product="p", target_sw="linux"), "1", "cpe:2.3:o:v:p:1:*:*:*:*:linux:*:*"),
        (Cpe(vendor="v", product="p+q"), "1+2_a", "cpe:2.3:a:v:p\\+q:1\\+2_a:*:*:*:*:*:*:*"),
    ],
)
def test_names_of_products(cpe: Cpe, version: str, wanted: str) -> None:
    assert formatted_cpe(cpe, version) == wanted
