"""A repository seen through a filter: an index without what a policy keeps back, and the rule for who asks for it anyway.

Leaving a package out of the index makes solvers choose another version; leaving out its file alone would break installations
(spec repository.md, wishes).  The policy is about the moment, not about the ledger: nothing is withdrawn.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import unquote

from apkiln.core.errors import ApkilnError, FaultCollector, FormatError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk import version
from apkiln.formats.apk.dependency import is_package_name
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.front import CANDIDATE, CURRENT, GZIP, JSON, NEVER, Answer, found, package_key, refusal
from apkiln.repository.generations import IndexImage, changed_image, hex_digest, index_bytes
from apkiln.repository.layout import INDEX, NOARCH
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.state import Accepted, RepositoryState
from apkiln.repository.service import RepositoryService

DAY = 86_400
MOST_LINES = 1_000_000


@value
class ViewPolicy:
    """What is kept back; every rule that is empty keeps nothing back."""

    denied_licenses: frozenset[str] = frozenset()
    """SPDX identifiers in lower case; one that a licence expression mentions anywhere counts."""
    minimum_age: int = 0
    """Seconds since a package was accepted."""
    blocked: tuple[tuple[str, str, str], ...] = ()
    """(name, version or "" for all, why)."""


def parse_block_list(text: str, source: str) -> tuple[tuple[str, str, str], ...]:
    """Lines `NAME REASON` or `NAME=VERSION REASON`; blank lines and `#` comments count for nothing.

    FormatError `block-list` for each line that cannot be read: a list that is not understood keeps nothing from anybody.
    """
    faults, rules = FaultCollector.empty(), []
    for number, line in enumerate(text.split("\n")[:MOST_LINES], 1):
        words = line.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        name, _, wanted = words[0].partition("=")
        if len(words) < 2 or not is_package_name(name) or ("=" in words[0] and not version.is_valid(wanted)):
            faults.add(
                FormatError(
                    "this is no rule",
                    reason="block-list",
                    origin=Origin(source=source, line=number),
                    hint="write `NAME REASON` or `NAME=VERSION REASON`",
                )
            )
            continue
        rules.append((name, wanted, words[1].strip()))
    faults.raise_if_any()
    return tuple(rules)


class Gatekeeper:
    """A policy at one moment, asked about many packages."""

    def __init__(self, policy: ViewPolicy, now: int) -> None:
        """`now`: Unix seconds."""
        self._policy = policy
        self._newest = (now - policy.minimum_age) * 1000
        self._blocked = {(name, wanted): reason for name, wanted, reason in policy.blocked}

    def objection(self, accepted: Accepted) -> str:
        """The rule that keeps a package back, in words; "" when none does."""
        package = accepted.package
        for place in ((package.name, package.version), (package.name, "")):
            if place in self._blocked:
                return f"blocked: {self._blocked[place]}"
        if self._policy.denied_licenses:
            words = {word.strip("()").lower() for word in package.license.split()}
            denied = sorted(words & self._policy.denied_licenses)
            if denied:
                return f"its licence mentions {denied[0]}"
        if self._policy.minimum_age and accepted.changed > self._newest:
            return f"it is younger than {self._policy.minimum_age // DAY} days"
        return ""


class _Made(NamedTuple):
    """One filtered index."""

    key: tuple[int, ViewPolicy, int]
    """Generation, policy, day."""
    data: bytes
    digest: str


class FilteredView:
    """A repository through a policy, under a name of its own.  Methods may be called from several threads."""

    def __init__(self, name: str, service: RepositoryService, policy: Callable[[], ViewPolicy]) -> None:
        """`policy` is asked for each answer; what it raises is the answer (503): without a policy nothing is let through."""
        self.name = name
        self.service = service
        self._policy = policy
        self._images: dict[str, IndexImage] = {}
        self._listed: dict[str, dict[Key, Package]] = {}
        self._made: dict[str, _Made] = {}
        self._writing = threading.Lock()

    def answer(self, path: str, now: int) -> Answer:
        """What is at `path` below the view.  `now`: Unix seconds.

        An index costs a look at every current package when the generation, the policy or the day is another one than
        last time, and a compression of the pieces that changed.
        """
        try:
            policy, day = self._policy(), now // DAY
            parts = path.split("/")
            if len(parts) == 2 and parts[1] == INDEX:
                return self._index(parts[0], policy, day)
            with self.service.reading() as state:
                return self._found(state, path, Gatekeeper(policy, day * DAY), now)
        except ApkilnError as error:
            return refusal(503, error.reason, error.message)

    def _found(self, state: RepositoryState, path: str, gatekeeper: Gatekeeper, now: int) -> Answer:
        plain, parts = found(state, path, now), path.split("/")
        if parts[0] == "keys":
            return plain
        if path == "blocked.json":
            return self._blocked(state, gatekeeper)
        if len(parts) != 2 or parts[0].startswith("@") or parts[0] == CANDIDATE:
            return refusal(404, "not-found", "there is nothing at this path")
        key = package_key(state, *map(unquote, parts))
        objection = gatekeeper.objection(state.accepted[key]) if key is not None else ""
        return refusal(403, "policy", f"{self.name} keeps this package back: {objection}") if objection else plain

    def _index(self, arch: str, policy: ViewPolicy, day: int) -> Answer:
        with self._writing:
            with self.service.reading() as state:
                generation = state.generations.get(state.current)
                if generation is None or arch not in {index.arch for index in generation.indexed.arches}:
                    return refusal(404, "not-found", f"there is no index for {arch}")
                current, keys = state.current, state.signing_keys()
                made = self._made.get(arch)
                if made is None or made.key != (current, policy, day):
                    made, wanted = None, _wanted(state, arch, Gatekeeper(policy, day * DAY))
            if made is None:
                data = self._write(arch, wanted, f"{self.name} {current}", keys)
                made = self._made[arch] = _Made((current, policy, day), data, hex_digest(data))
        return Answer(200, body=made.data, content_type=GZIP, cache=CURRENT, generation=current, digest=made.digest)

    def _write(self, arch: str, wanted: dict[Key, Package], description: str, keys: Iterable[str]) -> bytes:
        listed, codec = self._listed.get(arch, {}), canonical_codec()
        change = ListingChange(_but(wanted, listed), _but(listed, wanted))
        image = self._images.get(arch, IndexImage())
        if any(change):
            image = changed_image(image, change, codec)
        self._images[arch], self._listed[arch] = image, wanted
        return index_bytes(image, description, codec, [self.service.equipment.signers.signer(name) for name in keys])

    def _blocked(self, state: RepositoryState, gatekeeper: Gatekeeper) -> Answer:
        """Every current package that is kept back, with the rule."""
        rows = []
        for package in sorted(state.listing(), key=lambda package: package.key):
            objection = gatekeeper.objection(state.accepted[package.key])
            if objection:
                rows.append({"arch": package.arch, "name": package.name, "version": package.version, "rule": objection})
        body = json.dumps({"generation": state.current, "blocked": rows}, ensure_ascii=False).encode()
        return Answer(200, body=body, content_type=JSON, cache=NEVER)


def _wanted(state: RepositoryState, arch: str, gatekeeper: Gatekeeper) -> dict[Key, Package]:
    """What the index of an architecture lists, without what is kept back."""
    own = (package for package in state.listing() if package.arch in (arch, NOARCH))
    return {package.key: package for package in own if not gatekeeper.objection(state.accepted[package.key])}


def _but(first: dict[Key, Package], second: dict[Key, Package]) -> tuple[Package, ...]:
    return tuple(package for key, package in first.items() if key not in second)
