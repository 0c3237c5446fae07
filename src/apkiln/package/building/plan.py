"""The plan of a build as a value: everything that its packages depend on, and the key that names their bytes (spec §8.1)."""

from __future__ import annotations

import hashlib
from typing import Any

from apkiln import __version__
from apkiln.core import canonical_json
from apkiln.core.value import value
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.definition.rendering import document
from apkiln.package.emission.request import EmissionRequest

RULES = "2"
"""Changes when equal plans give other bytes."""


@value
class BuildPlan:
    """What a build is made from.  Two plans with equal keys give packages of equal bytes, on any machine."""

    definition: PackageDefinition
    """Resolved, as it runs."""
    emission: EmissionRequest
    """With guest, accounts and materials."""
    codec: str
    signers: tuple[tuple[str, str], ...]
    """(name, SHA-256 hex of the public key) of each."""
    workspace: str
    """SHA-256 hex of what the source directory gives to the workspace; empty = nothing."""
    network: str

    def document(self) -> dict[str, Any]:
        """For people and for `key`."""
        emission = self.emission
        return {
            "rules": RULES,
            "tool": __version__,
            "arch": emission.arch.apk,
            "definition": document(self.definition),
            "date": emission.source_date,
            "guest": [
                [item.record.name, item.record.version, item.record.arch, item.record.identity.hex()] for item in emission.guest
            ],
            "accounts": _plain(emission.accounts),
            "materials": _plain(emission.materials),
            "origin": [emission.definition_path, emission.definition_digest, emission.git_commit, emission.git_repository],
            "labels": [emission.namespace, emission.definition_licence, _plain(emission.facts)],
            "identity": [emission.organization, emission.document_base, emission.builder],
            "switches": [
                *(emission.strip_origin, emission.strict_ids, emission.keep_user_xattrs, emission.allow_setcap),
                *(
                    emission.allow_secrets,
                    *(emission.provenance, emission.cyclonedx, emission.lint_results),
                    _plain(emission.lint.required),
                    _plain(emission.lint.warned),
                    _plain(emission.rules),
                ),
            ],
            "codec": self.codec,
            "signers": _plain(self.signers),
            "workspace": self.workspace,
            "network": self.network,
        }

    def key(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(canonical_json.encode(self.document())).hexdigest()


def _plain(item: Any) -> Any:
    """Tuples and sets as lists."""
    if isinstance(item, tuple):
        return [_plain(one) for one in item]
    if isinstance(item, frozenset):
        return sorted(item)
    return item
