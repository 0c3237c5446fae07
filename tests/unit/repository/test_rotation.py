"""Keys: what may be changed, several signatures, emergency revocation, the keyring package, a client through a rotation."""

from __future__ import annotations

import io
import json

import pytest
from tests.sample_packages import keyring_of, sample_package, sample_signer
from tests.service_workshop import ALICE, BOB, NEW, OLD, created, fetch, key_change, names, places, publish, started

from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.formats.apk.generation import check_signatures, read_generation
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.equipment import Policy
from apkiln.repository.keyring import KEY_DIRECTORY, keyring_package, keyring_version, publish_keyring
from apkiln.repository.ledger.actions import KeyChange, Manifest
from apkiln.repository.ledger.state import Step
from apkiln.repository.rotation import key_uses, promotion, signed_since
from apkiln.repository.service import RepositoryService
from apkiln.system.signer import RsaSigner, generate_key_pair

ALONE = Policy(sign_packages=False, two_persons=False)
THIRD = sample_signer("os-third.rsa.pub")


def change(service: RepositoryService, *changes: KeyChange) -> Step:
    return service.run(ALICE, Manifest(keys=changes)).step


def refused(service: RepositoryService, *changes: KeyChange) -> str:
    with pytest.raises(ApkilnError) as caught:
        service.run(ALICE, Manifest(keys=changes))
    return caught.value.reason


def opens_with(service: RepositoryService, *signers: RsaSigner) -> bool:
    """Whether a client that trusts these keys reads index and generation."""
    index = read_index(fetch(service, "x86_64/APKINDEX.tar.gz"))
    document, signatures = fetch(service, "generation.json"), fetch(service, "generation.json.sig")
    try:
        verify(index.signatures, index.signed_bytes, keyring_of(*signers), allow_sha1=False)
        read_generation(document, signatures, keyring_of(*signers))
    except VerificationError:
        return False
    return True


def test_clients_of_either_key_read_through_a_whole_rotation() -> None:
    """Those of the old key until it retires, those of the new one since it is active, those of both always (I6)."""
    service = created(policy=ALONE)
    publish(service, sample_package("a"))
    steps = [
        ((key_change(NEW, "staged"),), True, False),
        (promotion_of(NEW), True, True),
        ((KeyChange(OLD.name, "retired"),), False, True),
        ((KeyChange(OLD.name, "revoked"),), False, True),
    ]
    for changes, old, new in steps:
        assert change(service, *(changes or promotion(service.state, NEW.name))) is Step.LIVE
        assert (opens_with(service, OLD), opens_with(service, NEW), opens_with(service, OLD, NEW)) == (old, new, True)
        assert names(service) == ["a-1.0-r0"]


def promotion_of(_: RsaSigner) -> tuple[KeyChange, ...]:
    """Computed from the state where it is used."""
    return ()


def test_every_step_but_the_last_can_be_taken_back() -> None:
    service = created(policy=ALONE)
    change(service, key_change(NEW, "active"))
    change(service, KeyChange(OLD.name, "retiring"))
    change(service, KeyChange(OLD.name, "retired"))
    assert change(service, KeyChange(OLD.name, "active")) is Step.LIVE
    change(service, KeyChange(OLD.name, "revoked"))
    assert refused(service, KeyChange(OLD.name, "active")) == "key-revoked"
    assert refused(service, key_change(OLD, "staged")) == "key-revoked"


def test_a_leaked_key_is_gone_at_once() -> None:
    where = places()
    service = created(where, ALONE)
    publish(service, sample_package("a"))
    change(service, key_change(NEW, "staged"))
    since = int(where.clock.now()) + 10
    where.clock.advance(20)
    suspicious = publish(service, sample_package("b"))
    content = service.state.generations[service.state.current].indexed.arches
    assert change(service, *(item for item in promotion(service.state, NEW.name) if item.name != OLD.name)) is Step.LIVE
    assert change(service, KeyChange(OLD.name, "revoked")) is Step.LIVE
    assert not opens_with(service, OLD)
    assert opens_with(service, NEW)
    assert [item.packages for item in service.state.generations[service.state.current].indexed.arches] == [
        item.packages for item in content
    ], "the content is the same, from the ledger"
    with pytest.raises(ApkilnError):
        fetch(service, f"keys/{OLD.name}")
    listed = json.loads(fetch(service, "keys/index.json"))
    assert [item["file"] for item in listed["keys"]] == [NEW.name]
    assert [item["file"] for item in listed["revoked"]] == [OLD.name], "clients that pin it learn of it"
    assert suspicious.number in signed_since(service.state, OLD.name, since)
    assert len(signed_since(service.state, OLD.name, 0)) > len(signed_since(service.state, OLD.name, since))


def test_replacing_the_only_key_in_one_step() -> None:
    service = created(policy=ALONE)
    change(service, key_change(NEW, "staged"))
    assert change(service, KeyChange(NEW.name, "active"), KeyChange(OLD.name, "revoked")) is Step.LIVE
    assert opens_with(service, NEW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([KeyChange(OLD.name, "revoked")], "no-signing-key"),
        ([KeyChange(OLD.name, "retired")], "no-signing-key"),
        ([KeyChange("unknown.rsa.pub", "active")], "unknown-key"),
        ([KeyChange(OLD.name, "active", NEW.public_key().decode())], "key-name-taken"),
        ([KeyChange("other-name.rsa.pub", "staged", OLD.public_key().decode())], "key-twice"),
        ([key_change(NEW, "retired")], "key-not-published"),
        ([KeyChange("x.rsa.pub", "staged", "no key")], "key-not-one"),
        ([KeyChange("../x.rsa.pub", "staged", NEW.public_key().decode())], "key-name"),
        ([key_change(generate_key_pair("small.rsa.pub", 1024).signer, "staged")], "key-too-small"),
    ],
)
def test_changes_that_may_not_be(changes: list[KeyChange], reason: str) -> None:
    assert refused(created(policy=ALONE), *changes) == reason


def test_two_changes_that_together_leave_no_key() -> None:
    """Each was fine when it was opened; the second one is refused for good, and publishing goes on."""
    service = created(policy=Policy(sign_packages=False))
    first = service.run(ALICE, Manifest(keys=(key_change(NEW, "active"),)))
    service.approve(BOB, first.number)
    one = service.run(ALICE, Manifest(keys=(KeyChange(OLD.name, "retired"),)))
    two = service.run(ALICE, Manifest(keys=(KeyChange(NEW.name, "retired"),)))
    assert service.approve(BOB, one.number).step is Step.LIVE
    assert [finding.code for finding in service.approve(BOB, two.number).findings] == ["no-signing-key"]
    assert publish(service, sample_package("a")).step is Step.LIVE


def test_keys_need_a_second_person() -> None:
    service = created(policy=Policy(sign_packages=False))
    waiting = service.run(ALICE, Manifest(keys=(key_change(NEW, "active"),)))
    assert waiting.step is Step.VERIFIED
    with pytest.raises(ApkilnError) as caught:
        service.approve(ALICE, waiting.number)
    assert caught.value.reason == "same-person"
    assert not opens_with(service, NEW)
    assert service.approve(BOB, waiting.number).step is Step.LIVE


def test_the_keyring_package_brings_the_next_key() -> None:
    service = created(policy=ALONE)
    change(service, key_change(NEW, "staged"))
    done = publish_keyring(service, ALICE, "os-keyring")
    assert done.step is Step.LIVE, done.findings
    served = fetch(service, f"x86_64/os-keyring-{keyring_version(service.state)}.apk")
    contents = read_package(io.BytesIO(served))
    files = [item.entry.path for item in contents.entries if item.entry.size]
    assert files == [f"{KEY_DIRECTORY}/{NEW.name}", f"{KEY_DIRECTORY}/{OLD.name}"]
    assert {item.entry.mode for item in contents.entries if item.entry.size} == {0o644}
    verify(contents.signatures, *_signed(served, contents.sections), keyring_of(OLD))
    publish_keyring(service, ALICE, "os-keyring")
    assert names(service) == [f"os-keyring-{keyring_version(service.state)}"], "again is nothing new"
    change(service, KeyChange(NEW.name, "active"))
    change(service, KeyChange(OLD.name, "revoked"))
    assert publish_keyring(service, ALICE, "os-keyring").step is Step.LIVE
    assert len(names(service)) == 2
    newest = keyring_package(service.state, "os-keyring", canonical_codec(), [NEW])
    kept = read_package(io.BytesIO(newest)).entries
    assert [item.entry.path for item in kept if item.entry.size] == [f"{KEY_DIRECTORY}/{NEW.name}"]


def _signed(data: bytes, sections: tuple[tuple[int, int], ...]) -> tuple[bytes]:
    start, length = sections[1]
    return (data[start : start + length],)


def test_what_each_key_did() -> None:
    service = created(policy=ALONE)
    change(service, key_change(NEW, "active"))
    publish(service, sample_package("a"))
    uses = {item.name: item for item in key_uses(service.state)}
    assert (uses[OLD.name].generations, uses[NEW.name].generations) == (3, 2)
    assert uses[OLD.name].fingerprint != uses[NEW.name].fingerprint


def test_a_renewed_document_is_signed_by_the_keys_of_today() -> None:
    where = places()
    service = created(where, ALONE)
    change(service, key_change(THIRD, "staged"))
    service = started(where, ALONE, (OLD, NEW, THIRD))
    change(service, KeyChange(THIRD.name, "active"))
    where.clock.advance(service.policy.lifetime - 1)
    assert service.renew(86_400)
    check_signatures(fetch(service, "generation.json"), fetch(service, "generation.json.sig"), keyring_of(THIRD))
