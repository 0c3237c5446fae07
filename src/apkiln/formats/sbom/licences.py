"""Licence expressions of packages as SPDX has them: known parts kept, unknown ones turned into references with their text.

The table of identifiers is loaded on first use (0.2 ms); license-expression itself would cost 20 ms of import and is the oracle
of the tests instead.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern

NO_ASSERTION = "NOASSERTION"
_TOKEN = pattern(r"\(|\)|[^\s()]+")
_REFERENCE = pattern(r"LicenseRef-[A-Za-z0-9.-]+")
_OPERATORS = {"and": "AND", "or": "OR", "with": "WITH"}
_LONGEST = 4096
_DEEPEST = 32


class LicenceText(NamedTuple):
    """What a `LicenseRef-` stands for."""

    id: str
    text: str


class Expression(NamedTuple):
    """A licence expression that is valid SPDX, and the references it needs."""

    text: str
    """`NOASSERTION` when nothing is stated."""
    references: tuple[LicenceText, ...] = ()


@lru_cache(maxsize=4096)
def expression(text: str) -> Expression:
    """The SPDX form of a package's licence field.

    Identifiers get SPDX's own case, operators capitals.  In a well-formed expression each unknown identifier becomes a
    reference of its own; a text that is no expression (`MIT BSD`, `custom:see site`) becomes one as a whole.  Pure, memoised.
    """
    stated = text.strip()
    if not stated or stated in (NO_ASSERTION, "NONE"):
        return Expression(stated or NO_ASSERTION)
    if len(stated) <= _LONGEST:
        parser = _Parser(_TOKEN.findall(stated))
        if parser.is_expression():
            return Expression(parser.text(), tuple(sorted(parser.references.values())))
    reference = LicenceText(reference_id(stated), stated)
    return Expression(reference.id, (reference,))


def reference_id(text: str) -> str:
    """`LicenseRef-` and a form of `text`: itself where its characters allow, else with a digest so that no two texts collide."""
    clean = re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:40]
    if clean == text:
        return f"LicenseRef-{clean}"
    return f"LicenseRef-{clean}-{sha256(text.encode()).hexdigest()[:8]}".replace("--", "-")


@lru_cache(maxsize=1)
def _identifiers() -> tuple[dict[str, str], dict[str, str]]:
    """Lower-case form to SPDX's form: of licences, of exceptions."""
    from apkiln.formats.sbom.licence_ids import EXCEPTIONS, LICENCES

    return {key.lower(): key for key in LICENCES.split()}, {key.lower(): key for key in EXCEPTIONS.split()}


class _Parser:
    """expression = term {AND|OR term}; term = "(" expression ")" | identifier ["WITH" exception]."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.found: list[str] = []
        self.references: dict[str, LicenceText] = {}

    def is_expression(self) -> bool:
        return self._expression(0) and self.position == len(self.tokens)

    def text(self) -> str:
        return " ".join(self.found).replace("( ", "(").replace(" )", ")")

    def _expression(self, depth: int) -> bool:
        if depth > _DEEPEST or not self._term(depth):
            return False
        while self._operator() in ("AND", "OR"):
            self.found.append(self._operator())
            self.position += 1
            if not self._term(depth):
                return False
        return True

    def _term(self, depth: int) -> bool:
        token = self._next()
        if token == "(":
            self.found.append("(")
            closed = self._expression(depth + 1) and self._next() == ")"
            self.found.append(")")
            return closed
        if not token or token == ")" or token.lower() in _OPERATORS:
            return False
        self.found.append(self._identifier(token))
        return self._exception() if self._operator() == "WITH" else True

    def _exception(self) -> bool:
        """`WITH` needs an exception that SPDX knows; an unknown one makes the whole term a reference."""
        self.position += 1
        token = self._next()
        known = _identifiers()[1].get(token.lower())
        if not token or token in "()" or token.lower() in _OPERATORS:
            return False
        licence = self.found.pop()
        if known is not None:
            self.found += [licence, "WITH", known]
        else:
            self.found.append(self._reference(f"{licence} WITH {token}"))
        return True

    def _identifier(self, token: str) -> str:
        licences = _identifiers()[0]
        known = licences.get(token.lower())
        if known is not None:
            return known
        if token.endswith("+") and token[:-1].lower() in licences:
            return licences[token[:-1].lower()] + "+"
        return self._reference(token)

    def _reference(self, text: str) -> str:
        identifier = text if _REFERENCE.fullmatch(text) else reference_id(text)
        self.references[identifier] = LicenceText(identifier, text)
        return identifier

    def _operator(self) -> str:
        return _OPERATORS.get(self.tokens[self.position].lower(), "") if self.position < len(self.tokens) else ""

    def _next(self) -> str:
        token = self.tokens[self.position] if self.position < len(self.tokens) else ""
        self.position += 1
        return token
