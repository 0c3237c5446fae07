"""How imported packages came about, and the proof for what was left out, as statements to be signed (debian.md §7, §11)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import apkiln
from apkiln.formats.attestation.statement import PROVENANCE, Resource, statement
from apkiln.formats.sbom.purl import purl

BUILD_TYPE = "urn:apkiln:build-type:debian-import:v1"
PRUNE_PROOF = "urn:apkiln:predicate:prune-proof:v1"
"""Predicate type of the statement about dependencies that were left out: the rules' version and every decision with evidence."""
BUILDER = "urn:apkiln:builder:local:v1"


def package_subject(name: str, sha256: bytes) -> Resource:
    """A published package file."""
    return Resource(name, digests=(("sha256", sha256.hex()),))


def import_statements(lock: bytes, subjects: Sequence[Resource]) -> tuple[bytes, ...]:
    """Payloads about the packages that one import published: provenance, and the proof of pruning where something was decided.

    `lock`: what the import says of itself (`lock_document`), which holds everything that decided.  The same import gives the
    same bytes.
    """
    value = json.loads(lock)
    ordered = tuple(sorted(subjects))
    made = [statement(ordered, PROVENANCE, _provenance(value, lock))]
    if value["pruning"]["decisions"]:
        made.append(statement(ordered, PRUNE_PROOF, value["pruning"]))
    return tuple(made)


def _provenance(value: dict[str, Any], lock: bytes) -> dict[str, Any]:
    lists = [{"suite": item["suite"], "component": item["component"]} for item in value["suites"]]
    ledger = "".join(f"{json.dumps(row, sort_keys=True)}\n" for row in value["versions"]).encode()
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "names": value["names"],
                "arch": value["architecture"],
                "prune": value["prune"],
                "essential": value["essential"],
                "overrides": {"sha256": value["overrides"]} if value["overrides"] else {},
                "suites": lists,
            },
            "internalParameters": {"converter": value["converter"], "versions": {"sha256": hashlib.sha256(ledger).hexdigest()}},
            "resolvedDependencies": [item.value() for item in (*_lists(value), *_files(value))],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"apkiln": apkiln.__version__}},
            "metadata": {},
            "byproducts": [Resource("import lock", digests=(("sha256", hashlib.sha256(lock).hexdigest()),)).value()],
        },
    }


def _lists(value: dict[str, Any]) -> Iterator[Resource]:
    """The signed releases, with who signed them, and the lists that they name."""
    for item in value["suites"]:
        signed = (("signedBy", " ".join(item["signed_by"])),) if item["signed_by"] else ()
        yield Resource(f"{item['suite']} InRelease", digests=(("sha256", item["release_sha256"]),), annotations=signed)
        yield Resource(f"{item['suite']} {item['component']} Packages", digests=(("sha256", item["list_sha256"]),))


def _files(value: dict[str, Any]) -> Iterator[Resource]:
    """Every `.deb` once, by path."""
    found = {plan["source"]["path"]: plan["source"] for plan in value["plans"] if plan["source"] is not None}
    for path in sorted(found):
        file = found[path]
        name = path.rpartition("/")[2]
        arch = name.removesuffix(".deb").rpartition("_")[2]
        location = purl("deb", "debian", file["name"], file["version"], {"arch": arch})
        yield Resource(name, location, (("sha256", file["sha256"]),), (("suite", file["suite"]),))
