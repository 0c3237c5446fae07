"""in-toto statements, version 1: subjects by digest, and a predicate about them (spec supply-chain.md §5, package.md §12)."""

from __future__ import annotations

from typing import Any

from apkiln.core import canonical_json
from apkiln.core.named_tuple import NamedTuple

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
"""Predicate type of SLSA provenance."""


class Resource(NamedTuple):
    """Something with digests: a subject, a dependency, a by-product.  Empty fields are left out."""

    name: str = ""
    uri: str = ""
    digests: tuple[tuple[str, str], ...] = ()
    """(algorithm, hex), sorted."""
    annotations: tuple[tuple[str, str], ...] = ()
    """By name, sorted."""

    def value(self) -> dict[str, Any]:
        """JSON form."""
        shown: dict[str, Any] = {
            "name": self.name,
            "uri": self.uri,
            "digest": dict(self.digests),
            "annotations": dict(self.annotations),
        }
        return {key: item for key, item in shown.items() if item}


def statement(subjects: tuple[Resource, ...], predicate_type: str, predicate: dict[str, Any]) -> bytes:
    """The payload.  Every subject has a digest (AssertionError): a statement about nothing in particular proves nothing."""
    assert subjects and all(subject.digests for subject in subjects), "subjects are named by digests"
    return canonical_json.encode(
        {
            "_type": STATEMENT,
            "subject": [subject.value() for subject in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )
