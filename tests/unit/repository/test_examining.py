"""Policies: refusal, quarantine until a second person agrees, and nothing through while one does not answer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, BOB, created, names, places, publish, started

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.repository.equipment import Policy
from apkiln.repository.examining import Examined, ProgramExaminer, RuleExaminer, Verdict
from apkiln.repository.ledger.actions import Finding
from apkiln.repository.ledger.state import Step
from apkiln.repository.reconciling import compare
from apkiln.repository.service import RepositoryService
from apkiln.system.process import Command, Completed

A = sample_package("a")


class Fixed:
    """Says what it was told to say, and remembers what it was asked."""

    def __init__(self, verdict: Verdict | None) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, str, tuple[Examined, ...]]] = []

    def examine(self, repository: str, actor: str, packages: Sequence[Examined]) -> Verdict:
        self.asked.append((repository, actor, tuple(packages)))
        if self.verdict is None:
            raise UnavailableError("down", reason="policy-unavailable", retriable=True)
        return self.verdict


def service_with(examiner: Fixed, policy: Policy | None = None) -> RepositoryService:
    where = places()
    created(where)
    return started(where, policy or Policy(sign_packages=False), examiners=[examiner])


def test_refusal() -> None:
    service = service_with(Fixed(Verdict(refuse=(Finding("scan", "it has a hole"),))))
    done = publish(service, A)
    assert (done.step, done.findings[0].code) == (Step.REJECTED, "scan")
    assert names(service) == []


@pytest.mark.parametrize("two_persons", [True, False])
def test_quarantine(two_persons: bool) -> None:
    examiner = Fixed(Verdict(hold=(Finding("scan", "look at it"),)))
    service = service_with(examiner, Policy(sign_packages=False, two_persons=two_persons))
    held = publish(service, A)
    assert (held.step, held.held[0].message, names(service)) == (Step.VERIFIED, "look at it", [])
    with pytest.raises(ApkilnError):
        service.equipment.public.fetch("direct:/os/x86_64/a-1.0-r0.apk", lambda _: None, limit=1 << 20)
    assert service.recover() == (held,), "time does not let it out"
    assert ("quarantined", str(held.number)) in {(item.kind, item.subject) for item in compare(service)}
    examiner.verdict = Verdict()
    assert publish(service, sample_package("b")).step is Step.LIVE, "others go past it"
    with pytest.raises(ApkilnError) as caught:
        service.approve(ALICE, held.number)
    assert caught.value.reason == "same-person"
    assert service.approve(BOB, held.number).step is Step.LIVE
    assert names(service) == ["a-1.0-r0", "b-1.0-r0"]
    assert not [item for item in compare(service) if item.kind == "quarantined"]


def test_a_quarantined_transaction_can_be_given_up() -> None:
    service = service_with(Fixed(Verdict(hold=(Finding("scan", "look at it"),))))
    held = publish(service, A)
    assert service.abort(ALICE, held.number).step is Step.ABORTED
    with pytest.raises(ApkilnError):
        service.approve(BOB, held.number + 1)
    assert service.approve(BOB, held.number).step is Step.ABORTED
    assert names(service) == []


def test_no_answer_is_no_agreement() -> None:
    examiner = Fixed(None)
    service = service_with(examiner)
    with pytest.raises(ApkilnError) as caught:
        publish(service, A)
    assert caught.value.reason == "policy-unavailable"
    assert names(service) == []
    examiner.verdict = Verdict()
    assert service.recover() == ()
    assert names(service) == ["a-1.0-r0"], "and it goes on by itself"


def test_examiners_see_what_a_package_replaces() -> None:
    examiner = Fixed(Verdict())
    service = service_with(examiner)
    publish(service, A)
    publish(service, sample_package("a", "2.0-r0"))
    (_, actor, first), (_, _, second) = examiner.asked
    assert (actor, first[0].predecessor) == ("alice", None)
    assert second[0].predecessor is not None
    assert second[0].predecessor.version == "1.0-r0"


def test_built_in_rules() -> None:
    rules = RuleExaminer(("apache-2.0",), 2.0)
    small, big = sample_package("a"), sample_package("a", "2.0-r0", files={"usr/x": bytes(10_000)})
    where = places()
    service = created(where)
    publish(service, small)
    checking = started(where, examiners=[RuleExaminer((), 2.0)])
    assert publish(checking, big).held[0].code == "needs-ack"
    denying = started(where, examiners=[rules])
    assert publish(denying, sample_package("other")).findings[0].message == "its licence is apache-2.0"


class Answers:
    """A runner whose programs say one thing."""

    def __init__(self, stdout: bytes, exit_code: int = 0) -> None:
        self.done = Completed(exit_code, stdout, b"why")
        self.commands: list[Command] = []

    def run(self, command: Command) -> Completed:
        self.commands.append(command)
        return self.done


def test_a_program_is_asked_in_json() -> None:
    runner = Answers(b'{"hold":[{"code":"scan","message":"m"}]}')
    where = places()
    created(where)
    service = started(where, examiners=[ProgramExaminer("scan", ["/bin/scan"], runner)])
    assert publish(service, A).held == (Finding("scan", "m"),)
    question = json.loads(runner.commands[0].stdin)
    assert (question["repository"], question["actor"], question["packages"][0]["package"]["name"]) == ("os", "alice", "a")


@pytest.mark.parametrize(
    ("stdout", "code"), [(b"", 0), (b"[]", 0), (b'{"refuse":1}', 0), (b'{"surprise":[]}', 0), (b"{}", 1), (b'{"refuse":[{}]}', 0)]
)
def test_programs_that_give_no_verdict(stdout: bytes, code: int) -> None:
    with pytest.raises(ApkilnError) as caught:
        ProgramExaminer("scan", ["/bin/scan"], Answers(stdout, code)).examine("os", "alice", ())
    assert caught.value.reason == "policy-unavailable"
