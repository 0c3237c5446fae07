"""Tokens of an OpenID Connect issuer: a signed JWT whose subject is configured here (spec repository.md §9).

Nothing in a token chooses how it is verified: issuer, audience, algorithms and keys are configured.  What cannot be
verified is refused, also while the issuer's keys cannot be had.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from apkiln.core.errors import ApkilnError, UnavailableError

SKEW = 60
"""Seconds by which clocks may differ."""
LONGEST = 86_400
"""Seconds that a token may be valid at most: long-lived ones are no better than passwords."""
_REFRESH = 300
_RETRY = 30
_STALE = 86_400
_LARGEST = 16 * 1024
Algorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"]
"""Only those with a public key: a secret that is shared with the issuer could be forged with."""


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[issuer]]`."""

    url: str
    """Exactly the `iss` of its tokens."""
    audience: str
    """Must be in `aud`."""
    jwks: str
    """Where its keys are: https URL, or a file."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")


class Identity(NamedTuple):
    """Who a verified token speaks for."""

    issuer: str
    subject: str


class KeySet:
    """The keys of one issuer, fetched when they are old or one is missing; at most every half minute."""

    def __init__(self, issuer: Issuer, fetch: Callable[[str], bytes]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._lock = threading.Lock()
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._fetched = 0.0
        self._tried = 0.0

    def key(self, name: str, now: float) -> Mapping[str, Any]:
        """The JWK of a `kid`.  UnavailableError `unauthorized` for an unknown one, `issuer-unavailable`."""
        with self._lock:
            if (name not in self._keys or now - self._fetched > _REFRESH) and now - self._tried > _RETRY:
                self._refresh(now)
            if now - self._fetched > _STALE:
                raise UnavailableError(
                    f"the keys of `{self._issuer.url}` cannot be had", reason="issuer-unavailable", retriable=True
                )
            if name not in self._keys:
                raise _refused("it is signed by a key that its issuer does not have")
            return self._keys[name]

    def _refresh(self, now: float) -> None:
        self._tried = now
        try:
            value = json.loads(self._fetch(self._issuer.jwks))
            keys = {str(item["kid"]): item for item in value["keys"] if item.get("kty") != "oct"}
        except (ApkilnError, ValueError, TypeError, KeyError, AttributeError):
            return  # the ones we have are good for a day
        self._keys, self._fetched = keys, now


class Verifier:
    """Tokens of the configured issuers."""

    def __init__(self, issuers: tuple[Issuer, ...], fetch: Callable[[str], bytes]) -> None:
        self._issuers = {issuer.url: (issuer, KeySet(issuer, fetch)) for issuer in issuers}

    def looks_like_one(self, secret: str) -> bool:
        """Whether a secret has the form of a JWT, and there is anybody to verify it by."""
        return bool(self._issuers) and re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", secret) is not None

    def verified(self, token: str, now: float) -> Identity:
        """Whom a token speaks for.  UnavailableError `unauthorized`, `issuer-unavailable`.  `now`: Unix seconds."""
        from joserfc import jwk, jws, jwt
        from joserfc.errors import JoseError

        if len(token) > _LARGEST:
            raise _refused("it is too long")
        try:
            unverified = jws.extract_compact(token.encode())
            issuer, keys = self._chosen(unverified.payload)
            header = unverified.headers()
            name, algorithm = header.get("kid"), header.get("alg")
            if not isinstance(name, str) or algorithm not in issuer.algorithms or "crit" in header:
                raise _refused("its header names no key and algorithm that are allowed")
            known = dict(keys.key(name, now))
            if known.get("alg", algorithm) != algorithm or known.get("use", "sig") != "sig":
                raise _refused("its algorithm is not the one of its key")
            key = jwk.import_key(known)
            claims = jwt.decode(token, key, algorithms=[str(algorithm)]).claims
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise _refused(f"it cannot be verified ({type(error).__name__})") from error
        return _checked(claims, issuer, now)

    def _chosen(self, payload: bytes) -> tuple[Issuer, KeySet]:
        """By what the token says of itself; everything else comes from the configuration."""
        claims = json.loads(payload)
        found = self._issuers.get(str(claims.get("iss"))) if isinstance(claims, dict) else None
        if found is None:
            raise _refused("its issuer is not known here")
        return found


def _checked(claims: Mapping[str, Any], issuer: Issuer, now: float) -> Identity:
    """The claims of a token whose signature is good."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer.url or issuer.audience not in audiences:
        raise _refused("it is for somebody else")
    expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None:
        raise _refused("it does not say from when until when it is good")
    if now >= expires + SKEW:
        raise _refused("it has expired")
    if issued > now + SKEW or (begins is not None and begins > now + SKEW):
        raise _refused("it is not good yet")
    if expires - issued > LONGEST:
        raise _refused("it is good for longer than a day")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _refused("it has no subject")
    return Identity(issuer.url, subject)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 40:
        raise _refused(f"its `{name}` is not a time")
    return value


def _refused(why: str) -> ApkilnError:
    return UnavailableError(f"the token is not accepted: {why}", reason="unauthorized", hint="ask its issuer for a new one")
