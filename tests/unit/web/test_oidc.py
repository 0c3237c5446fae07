"""Tokens of an issuer: every way of being wrong is refused, also while its keys cannot be had."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

import pytest
from joserfc import jwk, jwt

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.web.oidc import LONGEST, SKEW, Identity, Issuer, Verifier
from apkiln.web.tokens import Token, authenticated

URL, AUDIENCE, SUBJECT, NOW = "https://ci.example", "apkiln", "repo:org/recipes:ref:refs/heads/main", 1_700_000_000
ISSUER = Issuer(URL, AUDIENCE, "jwks.json")


@cache
def key(name: str, kind: str = "RSA") -> Any:
    if kind == "EC":
        return jwk.ECKey.generate_key("P-256", {"kid": name, "use": "sig"})
    return jwk.RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


class Keys:
    """What the issuer publishes; an error while it is down."""

    def __init__(self, *keys: Any, **more: Any) -> None:
        self.keys = [item.as_dict(private=False) | more for item in keys]
        self.down = False
        self.asked = 0

    def fetch(self, _: str) -> bytes:
        self.asked += 1
        if self.down:
            raise UnavailableError("down", reason="connection-failed")
        return json.dumps({"keys": self.keys}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    given = {"iss": URL, "aud": AUDIENCE, "sub": SUBJECT, "iat": NOW - 10, "exp": NOW + 300} | changes
    return {name: value for name, value in given.items() if value is not None}


def token(signer: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    signer = signer or key("one")
    return jwt.encode({"alg": "RS256", "kid": "one"} | (header or {}), claims(**changes), signer)


def verifier(keys: Keys | None = None, issuer: Issuer = ISSUER) -> Verifier:
    return Verifier((issuer,), (keys or Keys(key("one"))).fetch)


def refused(text: str, keys: Keys | None = None, now: float = NOW, issuer: Issuer = ISSUER) -> str:
    with pytest.raises(ApkilnError) as caught:
        verifier(keys, issuer).verified(text, now)
    return caught.value.reason


def test_a_good_token() -> None:
    assert verifier().verified(token(), NOW) == Identity(URL, SUBJECT)
    assert verifier().verified(token(aud=["other", AUDIENCE]), NOW) == Identity(URL, SUBJECT)
    elliptic = jwt.encode({"alg": "ES256", "kid": "two"}, claims(), key("two", "EC"))
    assert verifier(Keys(key("two", "EC"))).verified(elliptic, NOW).subject == SUBJECT


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"aud": None},
        {"aud": [AUDIENCE + "x"]},
        {"iss": "https://ci.example/"},
        {"iss": None},
        {"iss": ["https://ci.example"]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"iat": None},
        {"exp": NOW - SKEW},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("inf")},
        {"iat": NOW + SKEW + 1},
        {"nbf": NOW + SKEW + 1},
        {"iat": NOW - 10, "exp": NOW + LONGEST},
    ],
)
def test_wrong_claims(changes: dict[str, Any]) -> None:
    assert refused(token(**changes)) == "unauthorized"


def test_clocks_may_differ_a_little() -> None:
    each: list[dict[str, Any]] = [{"exp": NOW - SKEW + 1}, {"iat": NOW + SKEW}, {"nbf": NOW + SKEW}]
    for changes in each:
        assert verifier().verified(token(**changes), NOW).subject == SUBJECT


def part(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_no_algorithm_is_chosen_by_the_token() -> None:
    """`none`, a MAC made with the public key as its secret, and a key type that does not fit."""
    unsigned = f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims())}."
    assert refused(unsigned) == "unauthorized"
    assert refused(unsigned + "AA") == "unauthorized"
    public = key("one").as_pem(private=False)
    body = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims())}"
    mac = hmac.new(public, body.encode(), hashlib.sha256).digest()
    assert refused(f"{body}.{urlsafe_b64encode(mac).decode().rstrip('=')}") == "unauthorized"
    stronger = jwt.encode({"alg": "RS512", "kid": "one"}, claims(), key("one"), algorithms=["RS512"])
    assert refused(stronger) == "unauthorized", "good, and not allowed"
    assert refused(token(header={"alg": "RS256"}), Keys(key("one"), alg="RS512")) == "unauthorized"
    assert refused(token(), Keys(key("one"), use="enc")) == "unauthorized"
    renamed = jwk.ECKey.generate_key("P-256", {"kid": "one"})
    assert refused(token(), Keys(renamed)) == "unauthorized"


def test_secrets_among_the_published_keys_are_no_keys() -> None:
    shared = jwk.OctKey.generate_key(256, {"kid": "one"})
    keys = Keys(key("two"))
    keys.keys.append(shared.as_dict(private=True))
    forged = jwt.encode({"alg": "HS256", "kid": "one"}, claims(), shared, algorithms=["HS256"])
    assert refused(forged, keys) == "unauthorized"


def test_keys_inside_the_token_are_not_looked_at() -> None:
    mine = key("mine")
    for header in ({"jwk": mine.as_dict(private=False)}, {"jku": "https://evil.example/keys"}, {"kid": "mine"}):
        text = jwt.encode({"alg": "RS256", "kid": "one"} | header, claims(), mine)
        assert refused(text) == "unauthorized"
    critical = f"{part({'alg': 'RS256', 'kid': 'one', 'crit': ['x'], 'x': 1})}.{part(claims())}.AAAA"
    assert refused(critical) == "unauthorized"


def test_changed_tokens() -> None:
    head, body, signature = token().split(".")
    assert refused(f"{head}.{part(claims(sub='repo:evil'))}.{signature}") == "unauthorized"
    assert refused(f"{head}.{body}.{signature[:-4]}AAAA") == "unauthorized"
    assert refused(f"{head}.{body}.") == "unauthorized"
    for text in ("a.b.c", "...", f"{part([])}.{part([])}.AA", f"{part({})}.{part({'iss': URL})}.AA", "x" * 20_000):
        assert refused(text) == "unauthorized"


def test_rotation_of_the_issuer() -> None:
    keys = Keys(key("one"))
    checking = verifier(keys)
    assert checking.verified(token(), NOW).subject == SUBJECT
    keys.keys = [key("new").as_dict(private=False)]
    fresh = token(key("new"), {"kid": "new"})
    assert refused_by(checking, fresh, NOW + 1) == "unauthorized", "asked a moment ago: not again at once"
    assert checking.verified(fresh, NOW + 31).subject == SUBJECT
    assert refused_by(checking, token(), NOW + 32) == "unauthorized", "the old key is gone"


def refused_by(checking: Verifier, text: str, now: float) -> str:
    with pytest.raises(ApkilnError) as caught:
        checking.verified(text, now)
    return caught.value.reason


def test_unknown_keys_do_not_hammer_the_issuer() -> None:
    keys = Keys(key("one"))
    checking = verifier(keys)
    for number in range(20):
        refused_by(checking, token(header={"kid": f"x{number}"}), NOW + number)
    assert keys.asked == 1


def test_an_issuer_that_is_down() -> None:
    keys = Keys(key("one"))
    keys.down = True
    checking = verifier(keys)
    assert refused_by(checking, token(), NOW) == "issuer-unavailable"
    keys.down = False
    assert checking.verified(token(), NOW + 31).subject == SUBJECT
    keys.down = True
    later = token(iat=NOW + 80_000, exp=NOW + 80_300)
    assert checking.verified(later, NOW + 80_000).subject == SUBJECT, "its keys are good for a day"
    much_later = token(iat=NOW + 100_000, exp=NOW + 100_300)
    assert refused_by(checking, much_later, NOW + 100_000) == "issuer-unavailable"


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"keys":{}}', b'{"keys":[{}]}', b'{"keys":[1]}', b"\xff"])
def test_key_sets_that_are_none(answer: bytes) -> None:
    assert refused_by(Verifier((ISSUER,), lambda _: answer), token(), NOW) in ("issuer-unavailable", "unauthorized")


def test_a_subject_is_a_token_of_the_configuration() -> None:
    known = Token("ci", verbs=("publish",), issuer=URL, subject=SUBJECT)
    other = Token("other", verbs=("admin",), issuer="https://else.example", subject=SUBJECT)
    checking = verifier()
    assert authenticated([other, known], f"Bearer {token()}", NOW, checking) == known
    for subject in (SUBJECT + "x", SUBJECT.upper()):
        with pytest.raises(ApkilnError) as caught:
            authenticated([known], f"Bearer {token(sub=subject)}", NOW, checking)
        assert caught.value.reason == "unauthorized"
    with pytest.raises(ApkilnError):
        authenticated([known], f"Bearer {token()}", NOW)
    with pytest.raises(ApkilnError):
        authenticated([Token("empty", verbs=("admin",))], "Bearer ", NOW, checking)
