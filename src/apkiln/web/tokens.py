"""Who may do what: tokens hashed at rest or subjects of an issuer, with scopes (spec repository.md §9)."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from apkiln.core.errors import ApkilnError, UnavailableError, ViolationError
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.quotas import UNLIMITED, Quota
from apkiln.web.oidc import Verifier

Verb = Literal["read", "publish", "withdraw", "restore", "approve", "key", "admin"]


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token as configured; its secret is not here."""

    name: str
    """Who it is: the actor of ledger rows."""
    sha256: str = ""
    """Hex SHA-256 of the secret; empty for a subject of an issuer."""
    verbs: tuple[Verb, ...] = ()
    repositories: tuple[str, ...] = ()
    """Names; empty = all."""
    prefixes: tuple[str, ...] = ()
    """Package names begin with one of these; empty = all."""
    arches: tuple[str, ...] = ()
    """Empty = all."""
    teams: tuple[str, ...] = ()
    expires: int = 0
    """Unix seconds; 0 = never."""
    issuer: str = ""
    """URL of the issuer of its tokens (`oidc`), instead of a secret."""
    subject: str = ""
    """Exactly the `sub` of them."""
    quota: Quota = UNLIMITED

    @property
    def provenance(self) -> str:
        """What rows of the ledger say of how somebody was recognised."""
        return self.sha256[:16] or f"{self.issuer} {self.subject}"


def authenticated(tokens: Sequence[Token], authorization: str, now: int, verifier: Verifier | None = None) -> Token:
    """The token of an `Authorization` header: `Bearer SECRET`, or `Basic` with the secret as password; a JWT where there is
    a `verifier`.

    UnavailableError `unauthorized` for none, an unknown or an expired one, and as `Verifier.verified`.
    """
    secret = secret_of(authorization)
    if secret and verifier is not None and verifier.looks_like_one(secret):
        identity = verifier.verified(secret, now)
        found = [token for token in tokens if token.subject and (token.issuer, token.subject) == identity]
    else:
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        found = [token for token in tokens if token.sha256 and hmac.compare_digest(token.sha256.encode(), digest.encode())]
    if not secret or not found:
        raise _unauthorized("a token is needed that is known here")
    if found[0].expires and now >= found[0].expires:
        raise _unauthorized(f"token `{found[0].name}` has expired")
    return found[0]


def secret_of(authorization: str) -> str:
    """What is to be checked; "" for none."""
    kind, _, credentials = authorization.partition(" ")
    if kind.lower() == "bearer":
        return credentials.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _unauthorized(message: str) -> ApkilnError:
    return UnavailableError(message, reason="unauthorized", hint="send `Authorization: Bearer …`")


def check_repository(token: Token, repository: str) -> None:
    """ViolationError `forbidden`: nothing of a repository is told to tokens of others."""
    if token.repositories and repository not in token.repositories:
        raise _forbidden(f"token `{token.name}` is not for `{repository}`")


def check_verb(token: Token, repository: str, verb: Verb) -> None:
    """ViolationError `forbidden`."""
    if verb not in token.verbs and "admin" not in token.verbs:
        raise _forbidden(f"token `{token.name}` may not {verb}")
    check_repository(token, repository)


def check_manifest(token: Token, repository: str, manifest: Manifest) -> None:
    """Every verb that a manifest needs, and every name and architecture in it."""
    needed: list[tuple[bool, Verb]] = [
        (bool(manifest.files), "publish"),
        (bool(manifest.withdraw or manifest.rollback), "withdraw"),
        (bool(manifest.restore), "restore"),
        (bool(manifest.keys), "key"),
    ]
    for wanted, verb in needed:
        if wanted:
            check_verb(token, repository, verb)
    if (manifest.rollback or manifest.keys) and (token.prefixes or token.arches):
        raise _forbidden(f"token `{token.name}` is for some packages only, and this concerns all")
    _check_names(token, (file.name for file in manifest.files), (file.arch for file in manifest.files))
    chosen = (*manifest.withdraw, *manifest.restore)
    _check_names(token, (item.name or item.origin for item in chosen), (item.arch for item in chosen))


def _check_names(token: Token, names: Iterable[str], arches: Iterable[str]) -> None:
    for name in names:
        if token.prefixes and not name.startswith(token.prefixes):
            raise _forbidden(f"token `{token.name}` is not for packages called `{name}`")
    for arch in arches:
        if token.arches and arch not in token.arches:
            raise _forbidden(f"token `{token.name}` is not for {arch or 'every architecture'}")


def _forbidden(message: str) -> ApkilnError:
    return ViolationError(message, reason="forbidden")
