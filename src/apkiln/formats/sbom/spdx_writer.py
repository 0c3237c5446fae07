"""A bill of materials as SPDX 2.3 JSON: sorted by identifier, keys in a fixed order, one line, final newline."""

from __future__ import annotations

from hashlib import sha256

from apkiln.core import canonical_json
from apkiln.formats.sbom.licences import NO_ASSERTION
from apkiln.formats.sbom.model import DOCUMENT, Component, Document, ExternalDocument, FileFact, Relationship

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LICENCE_LIST = "3.27"
_UNKNOWN_TEXT = "The text of this licence is not known."


def write_spdx(document: Document, *, indent: bool = False) -> bytes:
    """The bytes; the same document gives the same ones.  `indent`: in the form for people."""
    value = _value(document, spdx_namespace(document))
    return canonical_json.encode_pretty(value) if indent else canonical_json.encode(value) + b"\n"


def spdx_namespace(document: Document) -> str:
    """Base URI, subject and a digest of the whole content: no two different documents share one, no two writings differ."""
    digest = sha256(canonical_json.encode(_value(document, ""))).hexdigest()
    return f"{document.base.rstrip('/')}/{document.path}/{digest}"


def _value(document: Document, namespace: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SPDXID": _ref(DOCUMENT),
        "name": document.name,
        "spdxVersion": "SPDX-2.3",
        "creationInfo": {
            "created": document.created,
            "creators": list(document.creators),
            "licenseListVersion": LICENCE_LIST,
        },
        "dataLicense": "CC0-1.0",
        "documentNamespace": namespace,
        "documentDescribes": [_ref(document.subject)],
        "packages": [_package(component) for component in sorted(document.components)],
    }
    if document.files:
        value["files"] = [_file(fact) for fact in sorted(document.files)]
    value["relationships"] = [_relationship(row) for row in sorted(set(document.relationships))]
    if document.licences:
        value["hasExtractedLicensingInfos"] = [
            {"licenseId": licence.id, "extractedText": licence.text or _UNKNOWN_TEXT} for licence in sorted(document.licences)
        ]
    if document.external:
        value["externalDocumentRefs"] = [_external(external) for external in sorted(document.external)]
    return value


def _ref(identifier: str) -> str:
    return identifier if identifier.startswith("DocumentRef-") else f"SPDXRef-{identifier}"


def _package(component: Component) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SPDXID": _ref(component.id),
        "name": component.name,
        "versionInfo": component.version,
        "filesAnalyzed": False,
        "licenseConcluded": component.licence_concluded,
        "licenseDeclared": component.licence,
        "downloadLocation": component.download or NO_ASSERTION,
        "homepage": component.homepage,
        "summary": component.summary,
        "description": component.description,
        "comment": component.comment,
        "sourceInfo": component.source,
        "originator": component.originator,
        "supplier": component.supplier or NO_ASSERTION,
        "copyrightText": component.copyright or NO_ASSERTION,
        "builtDate": component.built,
        "primaryPackagePurpose": component.kind.value,
        "checksums": [{"algorithm": name, "checksumValue": digits} for name, digits in sorted(component.checksums)],
        "externalRefs": _references(component),
        "attributionTexts": list(component.attributions),
    }
    return {key: member for key, member in value.items() if member not in ("", [])}


def _references(component: Component) -> list[dict[str, str]]:
    rows = [("PACKAGE-MANAGER", "purl", component.purl)] if component.purl else []
    return [
        {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
        for category, kind, locator in [*rows, *sorted(component.references)]
    ]


def _file(fact: FileFact) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SPDXID": _ref(fact.id),
        "fileName": "." + fact.path,
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": fact.sha1},
            {"algorithm": "SHA256", "checksumValue": fact.sha256},
        ],
        "licenseConcluded": NO_ASSERTION,
        "licenseInfoInFiles": [NO_ASSERTION],
        "copyrightText": NO_ASSERTION,
    }
    return value | ({"comment": fact.comment} if fact.comment else {})


def _relationship(row: Relationship) -> dict[str, str]:
    return {"spdxElementId": _ref(row.source), "relationshipType": row.kind, "relatedSpdxElement": _ref(row.target)}


def _external(external: ExternalDocument) -> dict[str, Any]:
    return {
        "externalDocumentId": external.id,
        "checksum": {"algorithm": "SHA1", "checksumValue": external.sha1},
        "spdxDocument": external.uri,
    }
