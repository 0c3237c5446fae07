"""Recorded OCI documents byte for byte, and merges of SPDX documents that packages embed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.apko_tables import recognise
from tests.conformance.suites.image_definitions import is_runs

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.oci.documents import encode_configuration, encode_index, encode_manifest
from apkiln.formats.oci.parsing import parse_configuration, parse_index, parse_manifest
from apkiln.formats.sbom.model import Document
from apkiln.image.sbom import Authorship, EmbeddedDocument, ImageFacts, InstalledPackage, LayerFacts, System, image_sbom


def _golden(folder: Path) -> Iterable[Outcome]:
    root = folder / "cli" / "testdata" / "golden"
    blobs = [path for path in sorted(root.glob("blobs/sha256/*")) if path.read_bytes()[:1] == b"{"]
    return (_same_bytes(folder, path) for path in [root / "index.json", *blobs])


def _recorded(folder: Path) -> Iterable[Outcome]:
    names = ("index.json", "manifest-", "config-")
    paths = (path for path in sorted(folder.glob("cases/*/expect/*.json")) if path.name.startswith(names))
    return (_same_bytes(folder, path) for path in paths)


def _same_bytes(folder: Path, path: Path) -> Outcome:
    content, file = path.read_bytes(), path.relative_to(folder).as_posix()
    try:
        again = _again(content)
    except ApkilnError as fault:
        return Outcome(FAILED, file, path.name, str(fault))
    return Outcome(PASSED if again == content else FAILED, file, path.name, "other bytes")


def _again(content: bytes) -> bytes:
    value = json.loads(content)
    if "manifests" in value:
        return encode_index(parse_index(content))
    return encode_manifest(parse_manifest(content)) if "layers" in value else encode_configuration(parse_configuration(content))


def merges(folder: Path) -> Iterable[Outcome]:
    """Packages, relationships and licences of the recorded image document, below our own elements."""
    file = "spdx/cases.json"
    for row in json.loads((folder / file).read_text(encoding="utf-8"))["cases"]:
        expected = json.loads((folder / "spdx" / row["expected"]).read_bytes())
        try:
            document = _merged(folder / "spdx", row)
            wrong = _difference(document, expected)
        except ApkilnError as fault:
            wrong = str(fault)
        yield Outcome(FAILED if wrong else PASSED, file, row["name"], wrong)


def _merged(folder: Path, row: dict[str, Any]) -> Document:
    packages = []
    for package, path in zip(row["packages"], row["package_sboms"], strict=True):
        record = IndexRecord(package["name"], package["version"], "x86_64", bytes(20), 1, 1)
        packages.append(InstalledPackage(record, "", b"", 0, EmbeddedDocument(path, (folder / path).read_bytes())))
    digest = Digest.sha256(bytes(32))
    system = System(row["os"]["id"], row["os"]["name"], row["os"]["version"])
    layers = (LayerFacts(digest, digest),)
    facts = ImageFacts("image", digest, Arch.parse("x86_64"), layers, tuple(packages), system=system)
    return image_sbom(facts, Authorship("apkiln-1"))[0]


def _difference(document: Document, expected: dict[str, Any]) -> str:
    rows = [row for row in expected["packages"] if "ImageLayer" not in row["SPDXID"]]
    names = {component.id: component.name for component in document.components}
    if len(names) != len(document.components):
        return "an identifier occurs twice"
    found = {(component.name, component.version, component.licence) for component in document.components}
    missing = {(row["name"], row["versionInfo"], row.get("licenseDeclared", "NOASSERTION")) for row in rows} - found
    if missing:
        return f"missing packages: {sorted(missing)}"
    theirs = {row["SPDXID"]: row["name"] for row in rows}
    edges = {(names.get(row.source), row.kind, names.get(row.target)) for row in document.relationships}
    wanted = {
        (theirs[row["spdxElementId"]], row["relationshipType"], theirs[row["relatedSpdxElement"]])
        for row in expected["relationships"]
        if row["spdxElementId"] in theirs
    }
    if wanted - edges:
        return f"missing relationships: {sorted(wanted - edges)}"
    licences = {row["licenseId"] for row in expected.get("hasExtractedLicensingInfos", ())}
    lost = licences - {licence.id for licence in document.licences}
    return f"missing licences: {sorted(lost)}" if lost else ""


SUITES = (
    Suite("apko/oci-documents", recognise, _golden),
    Suite("apko/spdx", recognise, merges),
    Suite("apko-runs/oci-documents", is_runs, _recorded),
)
