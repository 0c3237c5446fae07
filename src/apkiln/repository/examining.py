"""Policies of others: who may refuse a verified transaction, or hold it for a second person (spec repository.md §3.7 V14).

An examiner that does not answer holds everything up, and lets nothing through: the transaction stays as it is and is
examined again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.repository.ledger.actions import Finding
from apkiln.repository.ledger.packages import Package
from apkiln.system.process import Command, Runner


class Examined(NamedTuple):
    """One package, and what it replaces."""

    package: Package
    predecessor: Package | None
    """The newest live one of its name and architecture."""


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an examiner says; nothing is agreement."""

    refuse: tuple[Finding, ...] = ()
    hold: tuple[Finding, ...] = ()
    """Quarantine: published when a second person agrees."""


class Examiner(Protocol):
    """A policy."""

    def examine(self, repository: str, actor: str, packages: Sequence[Examined]) -> Verdict:
        """The verdict on a transaction.  UnavailableError `policy-unavailable`."""


class ProgramExaminer:
    """A program that reads `{repository, actor, packages: [{package, predecessor}]}` and writes
    `{"refuse": [{code, message, package, arch}], "hold": […]}`, both as JSON."""

    def __init__(self, name: str, arguments: Sequence[str], runner: Runner, timeout: float = 60.0) -> None:
        self._name = name
        self._arguments = tuple(arguments)
        self._runner = runner
        self._timeout = timeout

    def examine(self, repository: str, actor: str, packages: Sequence[Examined]) -> Verdict:
        question = {"repository": repository, "actor": actor, "packages": [item._asdict() for item in packages]}
        command = Command(
            self._arguments,
            environment=(("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C.UTF-8")),
            stdin=msgspec.json.encode(question),
            output_limit=MIB,
            timeout=self._timeout,
        )
        try:
            done = self._runner.run(command)
        except ApkilnError as error:
            raise self._unavailable(error.message) from error
        if done.exit_code:
            raise self._unavailable(f"exit code {done.exit_code}: {done.stderr[-500:].decode(errors='replace')}")
        try:
            return msgspec.json.decode(done.stdout, type=Verdict)
        except msgspec.MsgspecError as error:
            raise self._unavailable(str(error)) from error

    def _unavailable(self, why: str) -> ApkilnError:
        return UnavailableError(
            f"policy `{self._name}` gives no verdict: {why}",
            reason="policy-unavailable",
            origin=Origin(source=self._name),
            hint="nothing is published until it does",
            retriable=True,
        )


class RuleExaminer:
    """Built-in rules (V14): licences that are never published, and packages that grew suspiciously."""

    def __init__(self, denied_licenses: Sequence[str] = (), largest_growth: float = 0.0) -> None:
        """`largest_growth`: times the installed size of the predecessor; 0 = any."""
        self._denied = frozenset(item.lower() for item in denied_licenses)
        self._growth = largest_growth

    def examine(self, repository: str, actor: str, packages: Sequence[Examined]) -> Verdict:
        refuse, hold = [], []
        for package, predecessor in packages:
            words = {word.strip("()").lower() for word in package.license.split()}
            for word in sorted(words & self._denied):
                refuse.append(_finding("needs-ack", f"its licence is {word}", package))
            before = predecessor.installed_size if predecessor is not None else 0
            if self._growth and before and package.installed_size > before * self._growth:
                hold.append(_finding("needs-ack", f"it grew from {before} to {package.installed_size} bytes", package))
        return Verdict(tuple(refuse), tuple(hold))


def _finding(code: str, message: str, package: Package) -> Finding:
    return Finding(code, message, package.key.name_version, package.arch)


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """All of them."""
    refuse = tuple(finding for verdict in verdicts for finding in verdict.refuse)
    return Verdict(refuse, tuple(finding for verdict in verdicts for finding in verdict.hold))
