"""A package held against its statement of origin (spec package.md §12).  Fails closed; pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from apkiln.core import canonical_json
from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk import signature
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.attestation import dsse
from apkiln.formats.attestation.statement import PROVENANCE, STATEMENT
from apkiln.package.compilation.resolving import parse
from apkiln.package.definition.rendering import document


class VerifiedOrigin(NamedTuple):
    """What a statement says that was found true, as far as a signature goes."""

    signed_by: str
    """File name of the key."""
    builder: str
    build_type: str
    hermetic: bool
    """Whether nothing but what is listed went in, by the builder's own word."""
    reasons: tuple[str, ...]
    """Why not."""
    dependencies: tuple[str, ...]
    """Names, or addresses of those without one, in order."""


def verify_origin(
    statement: bytes, source: str, package_sha256: bytes, keyring: Keyring, definition: bytes = b""
) -> VerifiedOrigin:
    """The facts of a statement, after its signature and its subject were checked.

    `statement`: the DSSE envelope; `package_sha256`: of the whole package file; `definition`: the one inside the package,
    compared with the one the statement is about when both are there.  Raises FormatError `bad-envelope`; VerificationError:
    those of `signature.signer_of`, `statement-type`, `statement-subject`, `statement-definition`.
    """
    origin = Origin(source)
    envelope = dsse.read(statement, origin)
    signatures = [("RSA256", item.key, item.value) for item in envelope.signatures]
    try:
        signed_by = signature.verify(signatures, envelope.signed_bytes, keyring, allow_sha1=False)
    except VerificationError as error:
        error.located(origin)
        raise
    return _checked(_decoded(envelope, origin), origin, package_sha256, signed_by, definition)


def _decoded(envelope: dsse.Envelope, origin: Origin) -> dict[str, Any]:
    """The statement; what the payload type and the types inside promise is there."""
    try:
        value = json.loads(envelope.payload)
    except (ValueError, RecursionError):
        value = None
    types = (value.get("_type"), value.get("predicateType")) if isinstance(value, dict) else ()
    if envelope.payload_type != dsse.IN_TOTO or types != (STATEMENT, PROVENANCE):
        raise _refused("this is no statement of origin", "statement-type", origin)
    assert isinstance(value, dict), "checked with the types"
    return value


def _checked(value: dict[str, Any], origin: Origin, sha256: bytes, signed_by: str, definition: bytes) -> VerifiedOrigin:
    subjects = [row for row in _rows(value, "subject") if _mapping(row, "digest").get("sha256") == sha256.hex()]
    if not subjects:
        raise _refused("the statement is about other files", "statement-subject", origin)
    predicate = _mapping(value, "predicate")
    build = _mapping(predicate, "buildDefinition")
    internal = _mapping(build, "internalParameters")
    stated = _mapping(internal, "resolvedDefinition").get("sha256")
    if definition and stated and stated != definition_digest(definition):
        raise _refused("the package carries another definition than it was built from", "statement-definition", origin)
    hermetic = _mapping(internal, "apkiln.hermetic")
    reasons = hermetic.get("reasons")
    return VerifiedOrigin(
        signed_by,
        str(_mapping(_mapping(predicate, "runDetails"), "builder").get("id", "")),
        str(build.get("buildType", "")),
        hermetic.get("value") is True,
        tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        tuple(str(row.get("name") or row.get("uri") or "") for row in _rows(build, "resolvedDependencies")),
    )


def definition_digest(definition: bytes) -> str:
    """SHA-256 of the canonical JSON of a resolved definition, hex.  Raises what reading it raises."""
    found, _ = parse(definition, ".melange.yaml")
    return hashlib.sha256(canonical_json.encode(document(found), sort_keys=True)).hexdigest()


def _mapping(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _rows(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _refused(message: str, reason: str, origin: Origin) -> VerificationError:
    return VerificationError(message, reason=reason, origin=origin)
