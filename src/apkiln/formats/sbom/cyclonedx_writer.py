"""A bill of materials as CycloneDX 1.6 JSON, with the facts of the SPDX form; what CycloneDX has no word for is a property."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from apkiln.core import canonical_json
from apkiln.formats.sbom.licences import NO_ASSERTION
from apkiln.formats.sbom.model import Component, Document, FileFact, Kind

_TYPES = {
    Kind.CONTAINER: "container",
    Kind.LAYER: "container",
    Kind.OPERATING_SYSTEM: "operating-system",
    Kind.PACKAGE: "library",
    Kind.LIBRARY: "library",
    Kind.SOURCE: "application",
    Kind.RECIPE: "file",
    Kind.OTHER: "application",
}
_ALGORITHMS = {
    "MD5": "MD5",
    "SHA1": "SHA-1",
    "SHA256": "SHA-256",
    "SHA384": "SHA-384",
    "SHA512": "SHA-512",
    "SHA3-256": "SHA3-256",
    "SHA3-384": "SHA3-384",
    "SHA3-512": "SHA3-512",
    "BLAKE2b-256": "BLAKE2b-256",
    "BLAKE2b-384": "BLAKE2b-384",
    "BLAKE2b-512": "BLAKE2b-512",
    "BLAKE3": "BLAKE3",
}
"""SPDX's names of checksum algorithms that CycloneDX knows, in its spelling."""


def write_cyclonedx(document: Document) -> bytes:
    """The bytes; the same document gives the same ones."""
    return canonical_json.encode(_with_serial(_value(document))) + b"\n"


def serial_number(document: Document) -> str:
    """The `urn:uuid:` of the document, derived from its content."""
    return _serial(_value(document))


def _with_serial(value: dict[str, Any]) -> dict[str, Any]:
    head = {key: value[key] for key in ("$schema", "bomFormat", "specVersion")}
    return head | {"serialNumber": _serial(value)} | value


def _serial(value: dict[str, Any]) -> str:
    """A version 8 UUID: 122 bits of the content's SHA-256."""
    digits = sha256(canonical_json.encode(value)).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _value(document: Document) -> dict[str, Any]:
    subject = next(component for component in document.components if component.id == document.subject)
    others = sorted(component for component in document.components if component.id != document.subject)
    relations = _relations(document)
    tools = [
        {"type": "application", "name": maker.removeprefix("Tool: ")} for maker in document.creators if maker.startswith("Tool: ")
    ]
    authors = [{"name": maker.partition(": ")[2]} for maker in document.creators if not maker.startswith("Tool: ")]
    metadata: dict[str, Any] = {
        "timestamp": document.created,
        "tools": {"components": tools},
        "authors": authors,
        "component": _component(subject, relations),
        "properties": [{"name": f"apkiln:licence:{licence.id}", "value": licence.text} for licence in sorted(document.licences)],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": _filled(metadata),
        "components": [_component(component, relations) for component in others]
        + [_file(fact, relations) for fact in sorted(document.files)],
        "externalReferences": [
            {"type": "bom", "url": row.uri, "comment": row.id, "hashes": [{"alg": "SHA-256", "content": row.sha256}]}
            for row in sorted(document.external)
        ],
        "dependencies": _dependencies(document),
    }


def _relations(document: Document) -> dict[str, list[tuple[str, str]]]:
    """By source: (kind, target) of every relation that is no dependency."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in sorted(set(document.relationships)):
        if row.kind != "DEPENDS_ON":
            found.setdefault(row.source, []).append((row.kind, row.target))
    return found


def _component(component: Component, relations: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": _TYPES[component.kind],
        "bom-ref": component.id,
        "supplier": _organization(component.supplier),
        "manufacturer": _organization(component.originator) if component.originator.startswith("Organization: ") else {},
        "authors": _persons(component.originator),
        "name": component.name,
        "version": component.version,
        "description": component.description or component.summary,
        "hashes": [
            {"alg": _ALGORITHMS[name], "content": text} for name, text in sorted(component.checksums) if name in _ALGORITHMS
        ],
        "licenses": [] if component.licence in (NO_ASSERTION, "NONE") else [{"expression": component.licence}],
        "copyright": component.copyright if component.copyright not in (NO_ASSERTION, "NONE") else "",
        "cpe": next((locator for _, kind, locator in component.references if kind.startswith("cpe23")), ""),
        "purl": component.purl,
        "externalReferences": _external(component),
        "properties": _properties(component, relations.get(component.id, [])),
    }
    return _filled(value)


def _file(fact: FileFact, relations: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": "file",
        "bom-ref": fact.id,
        "name": fact.path,
        "description": fact.comment,
        "hashes": [{"alg": "SHA-1", "content": fact.sha1}, {"alg": "SHA-256", "content": fact.sha256}],
        "properties": _relation_properties(relations.get(fact.id, [])),
    }
    return _filled(value)


def _properties(component: Component, relations: list[tuple[str, str]]) -> list[dict[str, str]]:
    facts = {
        "apkiln:built": component.built,
        "apkiln:comment": component.comment,
        "apkiln:licence-concluded": "" if component.licence_concluded == NO_ASSERTION else component.licence_concluded,
        "apkiln:purpose": component.kind.value,
        "apkiln:source": component.source,
        "apkiln:summary": component.summary if component.description else "",
    }
    rows = [{"name": name, "value": value} for name, value in facts.items() if value]
    rows += [{"name": f"apkiln:{name}", "value": value} for name, value in sorted(component.properties)]
    rows += [{"name": "apkiln:attribution", "value": text} for text in component.attributions]
    return rows + _relation_properties(relations)


def _relation_properties(relations: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"apkiln:relationship:{kind}", "value": target} for kind, target in relations]


def _external(component: Component) -> list[dict[str, str]]:
    rows = [("website", component.homepage), ("distribution", component.download)]
    found = [{"type": kind, "url": url} for kind, url in rows if url and url not in (NO_ASSERTION, "NONE")]
    others = [row for row in component.references if not row[1].startswith("cpe23")]
    return found + [{"type": "other", "url": locator, "comment": f"{category} {kind}"} for category, kind, locator in others]


def _organization(text: str) -> dict[str, Any]:
    name = text.partition(": ")[2] if text.startswith(("Organization: ", "Person: ")) else ""
    return {"name": name} if name else {}


def _persons(text: str) -> list[dict[str, str]]:
    return [{"name": text.removeprefix("Person: ")}] if text.startswith("Person: ") else []


def _dependencies(document: Document) -> list[dict[str, Any]]:
    """DEPENDS_ON edges; the subject depends on every package it contains through its layers."""
    edges: dict[str, set[str]] = {component.id: set() for component in document.components}
    for row in document.relationships:
        if row.kind == "DEPENDS_ON" and row.source in edges and row.target in edges:
            edges[row.source].add(row.target)
    edges[document.subject] |= {item.id for item in document.components if item.kind is Kind.PACKAGE}
    return [_filled({"ref": source, "dependsOn": sorted(targets)}) for source, targets in sorted(edges.items())]


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in ("", [], {})}
