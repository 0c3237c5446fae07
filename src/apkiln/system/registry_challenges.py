"""What a registry asks for: the `WWW-Authenticate` header, and scopes of tokens (RFC 9110 §11; supply-chain.md §7.1).  Pure."""

from __future__ import annotations

import re

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_NEXT = pattern(rf'[\s,]*(?:({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|({_WORD}))')
_LONGEST = 8192


class Challenge(NamedTuple):
    """One way to authenticate."""

    scheme: str
    """Lower case: `basic`, `bearer`."""
    parameters: tuple[tuple[str, str], ...]
    """Names in lower case."""

    def get(self, name: str) -> str:
        return dict(self.parameters).get(name, "")


class Scope(NamedTuple):
    """What we want to do with a repository."""

    repository: str
    """Path in the registry."""
    push: bool

    def __str__(self) -> str:
        return f"repository:{self.repository}:{'pull,push' if self.push else 'pull'}"


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header in order; what cannot be understood ends the list.  Never raises."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    position, text = 0, header[:_LONGEST]
    while match := _NEXT.match(text, position):
        name, quoted, plain, scheme = match.groups()
        if scheme is not None:
            found.append((scheme.lower(), []))
        elif not found:
            break
        else:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1][1].append((name.lower(), value))
        position = match.end()
    return tuple(Challenge(scheme, tuple(parameters)) for scheme, parameters in found)


def choose_challenge(header: str) -> Challenge | None:
    """The one that we answer: bearer before basic, anything else is not spoken."""
    known = {item.scheme: item for item in reversed(parse_challenges(header))}
    return known.get("bearer") or known.get("basic")
