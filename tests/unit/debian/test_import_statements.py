"""Statements about imports: every subject, every source, the same bytes for the same import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from apkiln.core.arch import Arch
from apkiln.debian.converting import ImportAccess
from apkiln.debian.importing import ImportRequest, ImportResult, import_packages
from apkiln.debian.staging import write_converted
from apkiln.debian.statements import PRUNE_PROOF, import_statements, package_subject
from apkiln.formats.attestation.statement import PROVENANCE, Resource
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.memory_store import MemoryStore

Deb = Callable[..., bytes]
Access = Callable[..., ImportAccess]


@pytest.fixture
def suites(deb: Deb) -> dict[str, list[bytes]]:
    return {
        "made": [
            deb("app", "2.0-1", {"usr/bin/app": b"#!/usr/bin/helper\n"}, Depends="helper (>= 1), debconf"),
            deb("helper", "1:1.5+x~rc1-2", {"usr/bin/helper": b"\x7fELF"}),
            deb("debconf", "1.5", {"usr/bin/debconf": b"x"}),
        ]
    }


def published(result: ImportResult, store: MemoryStore) -> list[Resource]:
    """Written one by one, as the command does; the digest is that of the file."""
    subjects = []
    for item in result.converted:
        output: list[bytes] = []
        sha256 = write_converted(item, store, canonical_codec(), output.append)
        assert sha256 == hashlib.sha256(b"".join(output)).digest()
        subjects.append(package_subject(f"{item.info.name_version}.apk", sha256))
    return subjects


def test_an_import_says_what_it_was_made_from(suites: dict[str, list[bytes]], access: Access) -> None:
    store = MemoryStore()
    request = ImportRequest(("app",), Arch.parse("x86_64"), prune="installer")
    result = import_packages(request, (), access(suites, store))
    subjects = published(result, store)
    origin, proof = (json.loads(payload) for payload in import_statements(result.lock, subjects))
    assert origin["predicateType"] == PROVENANCE and proof["predicateType"] == PRUNE_PROOF
    for document in (origin, proof):
        assert {item["name"]: item["digest"]["sha256"] for item in document["subject"]} == {
            item.name: dict(item.digests)["sha256"] for item in subjects
        }
    assert debs(origin) == {hashlib.sha256(data).hexdigest() for data in suites["made"][:2]}, "what was left out is no source"
    assert any(item.get("uri", "").startswith("pkg:deb/debian/helper@1:1.5%2Bx~rc1-2") for item in sources(origin))
    assert {item["package"] for item in proof["predicate"]["decisions"]} == {"debconf"}
    assert origin["predicate"]["buildDefinition"]["externalParameters"]["prune"] == "installer"
    assert import_statements(result.lock, subjects[::-1]) == import_statements(result.lock, subjects)


def test_nothing_is_said_about_pruning_where_nothing_was_asked(suites: dict[str, list[bytes]], access: Access) -> None:
    store = MemoryStore()
    result = import_packages(ImportRequest(("app",), Arch.parse("x86_64")), (), access(suites, store))
    (only,) = import_statements(result.lock, published(result, store))
    assert json.loads(only)["predicateType"] == PROVENANCE
    assert debs(json.loads(only)) == {hashlib.sha256(data).hexdigest() for data in suites["made"]}


def test_a_statement_is_about_something(suites: dict[str, list[bytes]], access: Access) -> None:
    result = import_packages(ImportRequest(("app",), Arch.parse("x86_64")), (), access(suites))
    with pytest.raises(AssertionError):
        import_statements(result.lock, ())


def sources(document: Any) -> list[dict[str, Any]]:
    return list(document["predicate"]["buildDefinition"]["resolvedDependencies"])


def debs(document: Any) -> set[str]:
    return {item["digest"]["sha256"] for item in sources(document) if item["name"].endswith(".deb")}
