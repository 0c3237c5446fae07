"""The bill of materials of an image: every installed package once, valid for both validators, the same facts in both forms."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import FaultGroup, FormatError, VerificationError
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.sbom.cyclonedx_writer import serial_number, write_cyclonedx
from apkiln.formats.sbom.embedding import embedded_paths
from apkiln.formats.sbom.model import Document
from apkiln.formats.sbom.spdx_writer import spdx_namespace, write_spdx
from apkiln.image.configuration.model import SbomSettings
from apkiln.image.sbom import (
    AddedFile,
    ArchitectureFacts,
    Authorship,
    EmbeddedDocument,
    ImageFacts,
    InstalledPackage,
    LayerFacts,
    System,
    dependency_edges,
    external_document,
    image_sbom,
    index_sbom,
)

CONFORMANCE = Path(__file__).resolve().parents[3].parent / "shared" / "conformance"
SPDX_CASES = CONFORMANCE / "apko" / "spdx"
X86_64 = Arch.parse("x86_64")
AUTHORSHIP = Authorship("apkiln-1", SbomSettings(supplier="Example", creators=("Example Ltd",)), 1_700_000_000)


def digest(number: int) -> Digest:
    return Digest("sha256", bytes([number]) * 32)


def record(name: str, version: str = "1.0-r0", **values: Any) -> IndexRecord:
    values = {"maintainer": "Some One <some@example.com>", "license": "MIT", "origin": name} | values
    return IndexRecord(name, version, "x86_64", name.encode().ljust(20, b"\0")[:20], 100, 1000, **values)


def package(item: IndexRecord, layer: int = 0, embedded: bytes | None = None) -> InstalledPackage:
    url = f"https://user:secret@packages.example.com/os/x86_64/{item.name_version}.apk"
    document = None if embedded is None else EmbeddedDocument(embedded_paths(item.name, item.version)[0], embedded)
    return InstalledPackage(item, url, item.name.encode().ljust(32, b"\1")[:32], layer, document)


SAMPLE = ImageFacts(
    name="registry.example.com/team/app",
    digest=digest(1),
    arch=X86_64,
    layers=(LayerFacts(digest(2), digest(3)), LayerFacts(digest(4), digest(5))),
    packages=(
        package(record("base", provides="so:libc.so=1 cmd:sh=1.0-r0", license="GPL-2.0-or-later AND custom")),
        package(record("libstdc++", "13.2.1-r5", depends="so:libc.so=1", license="MIT BSD GPL2+"), 1),
        package(record("app", depends="base>=1 libstdc++ !other so:absent", origin="app-source", commit="c" * 40), 1),
    ),
    files=(AddedFile("/etc/motd", b"\2" * 20, b"\3" * 32, "paths-directive", 1),),
    system=System("testos", "Test OS", "1.2"),
    vcs_url="https://github.com/example/app@" + "a" * 40,
)


def spdx_faults(document: Document) -> list[str]:
    value = json.loads(write_spdx(document))
    parse = JsonLikeDictParser().parse  # type: ignore[no-untyped-call]
    return [message.validation_message for message in validate_full_spdx_document(parse(value))]


def cyclonedx_faults(document: Document) -> list[str]:
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(write_cyclonedx(document).decode(), all_errors=True)
    return [str(error.data) for error in errors or ()]


def build(facts: ImageFacts = SAMPLE) -> Document:
    return image_sbom(facts, AUTHORSHIP)[0]


def test_both_forms_are_valid() -> None:
    assert spdx_faults(build()) == []
    assert cyclonedx_faults(build()) == []


def test_every_installed_package_is_listed_once_with_its_facts() -> None:
    value = json.loads(write_spdx(build()))
    listed = {p["name"]: p for p in value["packages"] if p["SPDXID"].startswith("SPDXRef-Package-apk-")}
    assert sorted(listed) == ["app", "base", "libstdc++"]
    app = listed["app"]
    purl = "pkg:apk/testos/app@1.0-r0?arch=x86_64&distro=testos-1.2&upstream=app-source"
    assert [r["referenceLocator"] for r in app["externalRefs"]] == [purl]
    assert app["downloadLocation"] == "https://packages.example.com/os/x86_64/app-1.0-r0.apk"
    assert {c["algorithm"] for c in app["checksums"]} == {"SHA1", "SHA256"}
    assert app["supplier"] == "Person: Some One (some@example.com)"
    assert listed["libstdc++"]["SPDXID"] == "SPDXRef-Package-apk-libstdcC43C43-13.2.1-r5"


def test_relationships_lead_from_the_image_to_everything() -> None:
    document = build()
    edges = {(row.source, row.kind, row.target) for row in document.relationships}
    app, base = "Package-apk-app-1.0-r0", "Package-apk-base-1.0-r0"
    assert (app, "DEPENDS_ON", base) in edges
    assert ("Package-apk-libstdcC43C43-13.2.1-r5", "DEPENDS_ON", base) in edges
    assert ("Package-ImageLayer-" + str(digest(4)).replace(":", "-"), "CONTAINS", app) in edges
    assert not any(target.endswith("other") for _, kind, target in edges if kind == "DEPENDS_ON")
    reached, waiting = {document.subject}, [document.subject]
    while waiting:
        here = waiting.pop()
        fresh = {row.target for row in document.relationships if row.source == here} - reached
        reached |= fresh
        waiting += fresh
    assert {component.id for component in document.components} == reached
    layer = "Package-ImageLayer-" + str(digest(4)).replace(":", "-")
    assert [(fact.id, "EXPANDED_FROM_ARCHIVE", layer) in edges for fact in document.files] == [True]


def test_no_credential_is_written() -> None:
    assert b"secret" not in write_spdx(build()) + write_cyclonedx(build())


def test_order_of_packages_does_not_matter() -> None:
    shuffled = list(SAMPLE.packages)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        again = build(SAMPLE._replace(packages=tuple(shuffled)))
        assert write_spdx(again) == write_spdx(build())
        assert write_cyclonedx(again) == write_cyclonedx(build())


def test_order_inside_a_document_does_not_matter() -> None:
    document = build()
    turned = document._replace(
        components=document.components[::-1],
        relationships=document.relationships[::-1] + document.relationships[:1],
        licences=document.licences[::-1],
    )
    assert write_spdx(turned) == write_spdx(document)
    assert write_cyclonedx(turned) == write_cyclonedx(document)


def test_namespace_and_serial_number_tell_documents_apart() -> None:
    other = build(SAMPLE._replace(digest=digest(9)))
    assert spdx_namespace(build()) != spdx_namespace(other)
    assert serial_number(build()) != serial_number(other)
    assert "#" not in spdx_namespace(build())
    assert json.loads(write_cyclonedx(build()))["serialNumber"] == serial_number(build())


def test_licences_that_spdx_does_not_know_become_references_with_text() -> None:
    value = json.loads(write_spdx(build()))
    texts = {row["licenseId"]: row["extractedText"] for row in value["hasExtractedLicensingInfos"]}
    assert texts["LicenseRef-custom"] == "custom"
    assert "MIT BSD GPL2+" in texts.values()


def test_both_forms_hold_the_same_facts() -> None:
    spdx, cyclonedx = json.loads(write_spdx(build())), json.loads(write_cyclonedx(build()))
    components = [*cyclonedx["components"], cyclonedx["metadata"]["component"]]
    ours = {c["bom-ref"]: c for c in components}
    theirs = {p["SPDXID"].removeprefix("SPDXRef-"): p for p in [*spdx["packages"], *spdx["files"]]}
    assert ours.keys() == theirs.keys()
    for name, shown in ours.items():
        hashes = {h["alg"].replace("SHA-", "SHA"): h["content"] for h in shown.get("hashes", ())}
        assert hashes == {c["algorithm"]: c["checksumValue"] for c in theirs[name].get("checksums", ())}
        licences = [row["expression"] for row in shown.get("licenses", ())]
        assert licences == [text for text in [theirs[name].get("licenseDeclared")] if text not in (None, "NOASSERTION")]
    rows = {(row["ref"], target) for row in cyclonedx["dependencies"] for target in row.get("dependsOn", ())}
    edges = {
        (row["spdxElementId"].removeprefix("SPDXRef-"), row["relatedSpdxElement"].removeprefix("SPDXRef-"))
        for row in spdx["relationships"]
        if row["relationshipType"] == "DEPENDS_ON"
    }
    assert edges == {row for row in rows if row[0] != build().subject}


def embedded(name: str, version: str, **more: Any) -> bytes:
    own = {"SPDXID": "SPDXRef-Package-x", "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION"} | more
    other = {"SPDXID": "SPDXRef-Source", "name": "source", "versionInfo": name, "downloadLocation": "NOASSERTION"}
    relation = {"spdxElementId": own["SPDXID"], "relationshipType": "GENERATED_FROM", "relatedSpdxElement": "SPDXRef-Source"}
    value = {
        "spdxVersion": "SPDX-2.3",
        "documentDescribes": [own["SPDXID"]],
        "packages": [own, other],
        "relationships": [relation],
    }
    return json.dumps(value).encode()


def with_documents(*documents: bytes | None) -> ImageFacts:
    items = [package(record(f"p{number}"), 0, document) for number, document in enumerate(documents)]
    return SAMPLE._replace(packages=tuple(items), files=())


def test_an_embedded_document_is_merged_below_the_package() -> None:
    document = build(with_documents(embedded("p0", "1.0-r0", copyrightText="(c) somebody"), None))
    found = {component.id: component for component in document.components}
    assert found["Package-apk-p0-1.0-r0"].copyright == "(c) somebody"
    assert "Package-x" not in found
    assert ("Package-apk-p0-1.0-r0", "GENERATED_FROM", "Source") in document.relationships
    assert spdx_faults(document) == []


def test_one_identifier_with_two_contents_is_renamed_and_kept() -> None:
    document = build(with_documents(embedded("p0", "1.0-r0"), embedded("p1", "1.0-r0")))
    sources = [component for component in document.components if component.name == "source"]
    assert {component.version for component in sources} == {"p0", "p1"}
    assert len({component.id for component in sources}) == 2
    assert spdx_faults(document) == []


def test_one_licence_reference_with_two_texts_is_renamed_in_the_expressions_too() -> None:
    def document(name: str, text: str) -> bytes:
        value = json.loads(embedded(name, "1.0-r0"))
        value["packages"][1]["licenseDeclared"] = "LicenseRef-own AND MIT"
        value["hasExtractedLicensingInfos"] = [{"licenseId": "LicenseRef-own", "extractedText": text}]
        return json.dumps(value).encode()

    found = build(with_documents(document("p0", "one text"), document("p1", "another text")))
    texts = {licence.id: licence.text for licence in found.licences}
    sources = {component.version: component.licence for component in found.components if component.name == "source"}
    assert {texts[licence.split()[0]] for licence in sources.values()} == {"one text", "another text"}
    assert spdx_faults(found) == []


def test_an_installed_apk_in_an_embedded_document_is_the_installed_one() -> None:
    value = json.loads(embedded("p0", "1.0-r0"))
    for name in ("p1", "absent"):
        purl = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": f"pkg:apk/x/{name}@1.0-r0"}
        row = {"SPDXID": f"SPDXRef-{name}", "name": name, "versionInfo": "1.0-r0", "externalRefs": [purl]}
        value["packages"].append(row | {"downloadLocation": "NOASSERTION"})
        relation = {"relationshipType": "OTHER", "spdxElementId": "SPDXRef-Package-x", "relatedSpdxElement": f"SPDXRef-{name}"}
        value["relationships"].append(relation)
    document = build(with_documents(json.dumps(value).encode(), None))
    apks = [component.name for component in document.components if component.purl.startswith("pkg:apk/")]
    assert sorted(apks) == ["p0", "p1"]
    assert ("Package-apk-p0-1.0-r0", "OTHER", "Package-apk-p1-1.0-r0") in document.relationships


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"{", FormatError, "bad-sbom"),
        (b"[]", FormatError, "bad-sbom"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": [3]}', FormatError, "bad-sbom"),
        (b"[" * 100_000, FormatError, "bad-sbom"),
        (b"\xff", FormatError, "bad-sbom"),
        (embedded("other", "1.0-r0"), VerificationError, "sbom-of-another-package"),
        (embedded("p0", "2.0-r0"), VerificationError, "sbom-of-another-package"),
    ],
)
def test_a_broken_or_foreign_document_is_an_error_or_a_baseline(content: bytes, kind: type, reason: str) -> None:
    with pytest.raises(kind) as caught:
        build(with_documents(content))
    assert caught.value.reason == reason  # type: ignore[attr-defined]
    document, faults = image_sbom(with_documents(content), AUTHORSHIP, lenient=True)
    assert [fault.reason for fault in faults] == [reason]
    assert "Package-apk-p0-1.0-r0" in {component.id for component in document.components}


def test_all_broken_documents_are_reported_at_once() -> None:
    with pytest.raises(FaultGroup) as caught:
        build(with_documents(b"{", None, embedded("x", "1")))
    assert [fault.origin.package for fault in caught.value.faults] == ["p0-1.0-r0", "p2-1.0-r0"]


def test_the_index_refers_to_the_documents_of_its_images() -> None:
    images = []
    for number, name in enumerate(("x86_64", "aarch64")):
        arch = Arch.parse(name)
        document = build(SAMPLE._replace(arch=arch, digest=digest(20 + number)))
        external = external_document(arch, spdx_namespace(document), write_spdx(document))
        images.append(ArchitectureFacts(arch, digest(20 + number), external))
    index = index_sbom("team/app", digest(30), images, AUTHORSHIP)
    value = json.loads(write_spdx(index))
    assert [row["externalDocumentId"] for row in value["externalDocumentRefs"]] == ["DocumentRef-amd64", "DocumentRef-arm64"]
    variants = [row for row in value["relationships"] if row["relationshipType"] == "VARIANT_OF"]
    assert {row["relatedSpdxElement"] for row in variants} == set(value["documentDescribes"])
    assert len(variants) == 2
    assert spdx_faults(index) == []
    assert cyclonedx_faults(index) == []


def test_dependencies_are_resolved_through_providers() -> None:
    items = [
        record("a", depends="b so:x=1 !c !d<1 d>2"),
        record("b", "2.0-r0"),
        record("c", "1.0-r0", provides="so:x=1"),
        record("d", "1.0-r0"),
        record("e", depends="e"),
    ]
    assert dependency_edges(items) == {"a": ("b", "c"), "b": (), "c": (), "d": (), "e": ()}


@pytest.mark.parametrize("number", range(3))
def test_recorded_merges(number: int) -> None:
    """Packages, relationships and licences of the recorded image documents are all there, below our own elements."""
    if not SPDX_CASES.exists():
        pytest.skip("recorded SPDX merges are not there")
    case = json.loads((SPDX_CASES / "cases.json").read_text())["cases"][number]
    items = []
    for entry, name in zip(case["packages"], case["package_sboms"], strict=True):
        items.append(package(record(entry["name"], entry["version"]), 0, (SPDX_CASES / name).read_bytes()))
    system = System(case["os"]["id"], case["os"]["name"], case["os"]["version"])
    document = build(SAMPLE._replace(packages=tuple(items), files=(), system=system))
    expected = json.loads((SPDX_CASES / case["expected"]).read_text())
    found = {(component.name, component.version) for component in document.components}
    wanted = {(p["name"], p["versionInfo"]) for p in expected["packages"] if "ImageLayer" not in p["SPDXID"]}
    assert wanted <= found
    names = {component.id: component.name for component in document.components}
    edges = {(names.get(row.source), row.kind, names.get(row.target)) for row in document.relationships}
    theirs = {p["SPDXID"]: p["name"] for p in expected["packages"]}
    for row in expected["relationships"]:
        if "ImageLayer" not in row["spdxElementId"]:
            assert (theirs[row["spdxElementId"]], row["relationshipType"], theirs[row["relatedSpdxElement"]]) in edges
    assert len(names) == len(document.components)
    assert spdx_faults(document) == []
    assert cyclonedx_faults(document) == []
