"""How packages came about, as a signed statement (spec package.md §12)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import apkiln
from apkiln.core import canonical_json
from apkiln.formats.apk.package_writer import WrittenPackage
from apkiln.formats.attestation.statement import PROVENANCE, Resource, statement
from apkiln.formats.oci.documents import created_time
from apkiln.formats.sbom.purl import purl
from apkiln.package.definition.rendering import document
from apkiln.package.emission.information import locked
from apkiln.package.emission.request import EmissionRequest, GuestPackage, Material

BUILD_TYPE = "urn:apkiln:build-type:package:v1"
"""The schema of our parameters: `docs/package-analysis.md`, provenance."""
BUILDER = "urn:apkiln:builder:local:v1"
"""Builder where none is configured."""


def subject(written: WrittenPackage, control_sha256: str) -> Resource:
    """One package file by its own digest; those of its parts stand beside."""
    parts = (("apk:control", control_sha256), ("apk:datahash", written.info.data_hash))
    return Resource(f"{written.info.name_version}.apk", digests=(("sha256", written.sha256.hex()),), annotations=parts)


def provenance(request: EmissionRequest, subjects: Sequence[Resource], codec: str) -> bytes:
    """The statement about all packages of one build.  The same build gives the same bytes unless it has times."""
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _external(request),
            "internalParameters": _internal(request, codec),
            "resolvedDependencies": [item.value() for item in _dependencies(request)],
        },
        "runDetails": {
            "builder": {"id": request.builder or BUILDER, "version": {"apkiln": apkiln.__version__}},
            "metadata": _metadata(request),
            "byproducts": [
                Resource(name, digests=(("sha256", digest),)).value() for name, digest in sorted(request.facts.by_products)
            ],
        },
    }
    return statement(tuple(subjects), PROVENANCE, predicate)


def _external(request: EmissionRequest) -> dict[str, Any]:
    path = request.definition_path or f"{request.definition.package.name.text}.yaml"
    digest = {"sha256": request.definition_digest} if request.definition_digest else {}
    definition = {"uri": request.git_repository, "path": path, "digest": digest}
    return {
        "definition": {key: item for key, item in definition.items() if item},
        "arch": request.arch.apk,
        "sourceDate": request.source_date,
        "namespace": request.namespace,
        "parameters": dict(sorted(request.facts.parameters)),
    }


def _internal(request: EmissionRequest, codec: str) -> dict[str, Any]:
    resolved = canonical_json.encode(document(locked(request)), sort_keys=True)
    return {
        "resolvedDefinition": {"sha256": hashlib.sha256(resolved).hexdigest()},
        "runner": request.facts.runner,
        "codec": codec,
        "apkiln.hermetic": {"value": not request.facts.impurities, "reasons": list(request.facts.impurities)},
        "parameters": dict(sorted(request.facts.internal_parameters)),
    }


def _dependencies(request: EmissionRequest) -> Iterator[Resource]:
    if request.git_repository and request.git_commit:
        commit = (("gitCommit", request.git_commit),)
        yield Resource("definitions", f"git+{request.git_repository}@{request.git_commit}", commit)
    yield from (_material(item) for item in sorted(set(request.materials)))
    yield from (_guest(item, request) for item in sorted(request.guest, key=lambda item: item.record[:2]))


def _material(material: Material) -> Resource:
    notes = (("purl", material.purl),) if material.purl else ()
    return Resource(material.name, material.uri, material.digests, notes)


def _guest(package: GuestPackage, request: EmissionRequest) -> Resource:
    """A package of the guest.  Its identity is a SHA-1 in indexes of version 2, which is no digest of the file."""
    record = package.record
    location = purl("apk", request.namespace, record.name, record.version, {"arch": record.arch or request.arch.apk})
    digests = [("sha256", package.sha256)] if package.sha256 else []
    digests.append(("apkControlSha1" if len(record.identity) == 20 else "apkControlSha256", record.identity.hex()))
    notes = (("repository", package.repository),) if package.repository else ()
    return Resource(record.name_version, location, tuple(sorted(digests)), notes)


def _metadata(request: EmissionRequest) -> dict[str, str]:
    facts = request.facts
    shown = {
        "invocationId": facts.invocation,
        "startedOn": "" if facts.started is None else created_time(facts.started),
        "finishedOn": "" if facts.finished is None else created_time(facts.finished),
    }
    return {key: item for key, item in shown.items() if item}
