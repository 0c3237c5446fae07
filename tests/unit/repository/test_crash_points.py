"""A part of `make crash`, and that it sees what it looks for: services with a wrong order of writes are caught."""

from __future__ import annotations

import hashlib

from tests.crash_back_ends import InMemory
from tests.crash_faults import FAULTS
from tests.crash_points import POLICY, SCENARIOS, Report, enumerate_points
from tests.service_workshop import Places, started

from apkiln.core.digest import Digest
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import Transaction
from apkiln.repository.promotion import Promotion
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import pieces

DEATHS = FAULTS[:2]
PUBLISH = SCENARIOS[:1]


Wrong = type[RepositoryService] | type[Promotion]


def turned(where: Places, kind: Wrong) -> RepositoryService:
    """A service on these places, of another class or one whose generations another class makes."""
    service = started(where, POLICY)
    if issubclass(kind, Promotion):
        service.promotion.__class__ = kind
    else:
        service.__class__ = kind
    return service


def points(kind: Wrong | None = None) -> Report:
    if kind is None:
        return enumerate_points(InMemory(), PUBLISH, DEATHS)
    return enumerate_points(InMemory(), PUBLISH, DEATHS, lambda where: turned(where, kind))


def test_publishing_survives_death_at_every_write() -> None:
    report = points()
    assert sum(report.points.values()) >= 60, "the enumeration shrank"
    assert report.violations == ()


class PointsBeforeItWrites(Promotion):
    """F4: the pointer moves first, the files come after."""

    def _keep(self, data: bytes) -> str:
        self.__dict__.setdefault("late", []).append(data)
        return hashlib.sha256(data).hexdigest()

    def _finish_candidate(self, indexed: actions.Indexed) -> None:
        self._journal.append(
            Author("hasty"),
            lambda state: (actions.Live(indexed.generation, indexed.document),) if state.candidate == indexed else (),
        )
        for data in self.__dict__.pop("late", []):
            self._equipment.blobs.put(Digest.sha256(hashlib.sha256(data).digest()), pieces(data))


class NeverResumes(RepositoryService):
    """The next run works on what the next run built."""

    def recover(self) -> tuple[Transaction, ...]:
        self.refresh()
        return ()


class PublishesHalf(RepositoryService):
    """F1: architectures become visible one after the other."""

    def commit(self, author: Author, number: int) -> Transaction:
        manifest = self.state.transactions[number].manifest
        for arch in ("x86_64", "aarch64"):
            part = actions.Manifest(files=tuple(file for file in manifest.files if file.arch == arch))
            opened = self.open(author, part, f"{number} {arch}")
            super().commit(author, opened.number)
        return super().commit(author, number)


def test_a_pointer_before_its_files_is_caught() -> None:
    assert points(PointsBeforeItWrites).violations


def test_a_service_that_does_not_resume_is_caught() -> None:
    assert any("I2" in violation for violation in points(NeverResumes).violations)


def test_half_a_build_is_caught() -> None:
    assert any("I4" in violation for violation in points(PublishesHalf).violations)
