"""No pointer moves to what cannot be read back as it was written (I1, I6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
from tests.sample_packages import keyring_of, sample_index, sample_package, sample_signer
from tests.service_workshop import ALICE, OLD, created, manifest_of, names, places, publish, started, upload

from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.repository.direct import DirectPath
from apkiln.repository.ledger.actions import Indexed
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.state import Step
from apkiln.repository.promotion import Promotion
from apkiln.repository.read_back import check_index
from apkiln.repository.service import RepositoryService
from apkiln.system.memory_files import Crash
from apkiln.system.transfer import NO_VALIDATORS, Fetched, Transfer, Validators, Write

A, B = sample_package("a"), sample_package("b")


class Between:
    """A cache between the service and its public URL that changes some bodies."""

    def __init__(self, inner: Transfer, ending: str, change: Callable[[bytes], bytes]) -> None:
        self._inner = inner
        self._ending = ending
        self._change = change

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        received = bytearray()
        answer = self._inner.fetch(location, received.extend, limit=limit, known=known)
        write(self._change(bytes(received)) if location.endswith(self._ending) else bytes(received))
        return answer


def behind(service: RepositoryService, ending: str, change: Callable[[bytes], bytes]) -> RepositoryService:
    """The same repository, read back through something that changes bodies."""
    equipment = service.equipment
    box: list[RepositoryService] = []
    between = Between(DirectPath(lambda: box[0].state, equipment.blobs), ending, change)
    changed = type(equipment)(
        equipment.ledgers, equipment.blobs, equipment.signers, between, equipment.public_url, equipment.clock, jobs=1
    )
    box.append(RepositoryService(service.name, changed, service.policy))
    box[0].refresh()
    return box[0]


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("a-1.0-r0.apk", flipped),
        ("a-1.0-r0.apk", lambda _: B.data),
        ("a-1.0-r0.apk", lambda data: data[:-1]),
        ("APKINDEX.tar.gz", flipped),
        ("APKINDEX.tar.gz", lambda _: sample_index([A], sample_signer("stranger.rsa.pub"))),
        ("generation.json", lambda data: data.replace(b'"generation":2', b'"generation":3')),
        ("generation.json.sig", lambda _: b"[]"),
    ],
)
def test_a_path_that_changes_bodies_stops_the_pointer(ending: str, change: Callable[[bytes], bytes]) -> None:
    where = places()
    honest = created(where)
    service = behind(honest, ending, change)
    opened = service.open(ALICE, manifest_of(A))
    upload(service, opened, [A])
    with pytest.raises(ApkilnError):
        service.commit(ALICE, opened.number)
    honest.refresh()
    assert honest.state.current == 1
    assert names(honest) == []
    assert honest.state.transactions[opened.number].step is Step.VERIFIED, "it is not lost"
    assert honest.recover() == ()
    assert names(honest) == ["a-1.0-r0"]


class DiesBeforeItTidiesUp(Promotion):
    def _drop(self, indexed: Indexed) -> None:
        raise Crash


def test_a_candidate_that_a_dead_process_left_broken_is_made_anew() -> None:
    """The index blob of the candidate is lost; whoever comes next writes another candidate."""
    where = places()
    broken = behind(created(where), "APKINDEX.tar.gz", flipped)
    broken.promotion.__class__ = DiesBeforeItTidiesUp
    opened = broken.open(ALICE, manifest_of(A))
    upload(broken, opened, [A])
    with pytest.raises(Crash):
        broken.commit(ALICE, opened.number)
    later = started(where)
    candidate = later.state.candidate
    assert candidate is not None
    contents = where.blobs.contents  # type: ignore[attr-defined]
    del contents[next(digest for digest in contents if digest.hex == candidate.arches[0].sha256)]
    assert later.recover() == ()
    assert names(later) == ["a-1.0-r0"]


@pytest.mark.parametrize("count", [3, 60])
def test_every_record_of_a_change_is_looked_for(count: int) -> None:
    """Few in the text, many in a table of all records."""
    service = created()
    publish(service, *(sample_package(f"p{number}") for number in range(count)))
    listed = tuple(service.state.listing())
    index = service.state.generations[service.state.current].indexed.arches[0]

    def check(added: Sequence[Package], removed: Sequence[Package] = ()) -> None:
        place = "direct:/os/x86_64/APKINDEX.tar.gz"
        check_index(place, index, ListingChange(tuple(added), tuple(removed)), keyring_of(OLD), service.equipment)

    check(listed)
    for wrong in (msgspec.structs.replace(listed[0], size=1), msgspec.structs.replace(listed[0], name="p")):
        with pytest.raises(VerificationError, match="does not list"):
            check((*listed, wrong))
        check(listed, (wrong,))
    with pytest.raises(VerificationError, match="still lists"):
        check(listed[1:], listed[:1])
