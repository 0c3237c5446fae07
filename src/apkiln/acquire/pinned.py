"""Packages that a lock names by digest: no index says anything about them, their own files do (spec image.md §4.2).

The order of trust is turned round: the pin stands for the verified index.  A file is compared with its pin first (identity,
size, SHA-256, members, name and version), then read completely like any other package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apkiln.acquire.access import Access
from apkiln.acquire.facts import Member, PackageFacts, package_facts, read_facts
from apkiln.acquire.packages import (
    TASK,
    SelectedPackage,
    SinkFactory,
    adopt_package,
    download_package,
    refuse_missing,
    stored_package,
)
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import Keyring
from apkiln.system.parallel import map_in_threads


class Pin(NamedTuple):
    """What a lock says of one package file."""

    item: SelectedPackage
    """Of the record, name, version, architecture, identity and size count; a lock knows no more."""
    sha256: str = ""
    """Hex SHA-256 of the whole file; empty = not stated."""
    signature: Member | None = None
    """None = not stated; length 0 = stated that there is none."""
    control: Member | None = None
    data: Member | None = None


def acquire_pinned(
    pins: Sequence[Pin], access: Access, sink_factory: SinkFactory | None = None, *, keyring: Keyring | None = None
) -> tuple[PackageFacts, ...]:
    """Bring every pinned package into the store, verified against its pin; what each says of itself, in the order of `pins`.

    Afterwards `acquire_packages` finds the packages under the records returned here.  A stored file that has the identity
    but is otherwise not the pinned one is fetched anew.  Raises VerificationError (`lock-mismatch` with a detail for each
    difference, and those of `acquire_packages`) and UnavailableError (`offline` with all that is missing).
    """
    found = [_stored(pin, access) for pin in pins]
    missing = [pin for pin, facts in zip(pins, found, strict=True) if facts is None]
    if not missing:
        return tuple(facts for facts in found if facts is not None)
    if access.offline:
        refuse_missing(pin.item for pin in missing)
    access.reporter.start(TASK, sum(pin.item.record.size for pin in missing), "bytes")
    try:
        fetched = iter(
            map_in_threads(lambda pin: _acquire(pin, access, sink_factory, keyring or Keyring()), missing, access.jobs)
        )
    finally:
        access.reporter.finish(TASK)
    return tuple(next(fetched) if facts is None else facts for facts in found)


def _stored(pin: Pin, access: Access) -> PackageFacts | None:
    """Facts of the stored file when it is the pinned one."""
    package = stored_package(pin.item, access)
    if package is None:
        return None
    facts = _listed(pin, package_facts(package, access))
    return None if any(_differences(pin, facts)) else facts


def _acquire(pin: Pin, access: Access, sink_factory: SinkFactory | None, keyring: Keyring) -> PackageFacts:
    with access.store.lock(f"package-{pin.item.record.identity.hex()}"):
        return _stored(pin, access) or _fetch(pin, access, sink_factory, keyring)


def _fetch(pin: Pin, access: Access, sink_factory: SinkFactory | None, keyring: Keyring) -> PackageFacts:
    digest, source = download_package(pin.item, access)
    try:
        facts = _inspected(pin, digest, access)
        adopt_package(pin.item._replace(record=facts.record), digest, access, sink_factory, keyring)
    except ApkilnError as fault:
        fault.located(Origin(source=source, package=pin.item.record.name_version))
        raise
    return facts


def _inspected(pin: Pin, digest: Digest, access: Access) -> PackageFacts:
    """Facts of a file that was just downloaded, when they are those of the pin; otherwise it is discarded."""
    try:
        stream = access.store.open(digest)
        assert stream is not None, "just committed"
        with stream:
            facts = _listed(pin, read_facts(stream, digest, pin.item.record.size, access.limits))
        differences = tuple(_differences(pin, facts))
        if differences:
            message = "the package is not the one that the lock names"
            hint = "if the package was rebuilt on purpose, run `apkiln image lock --update NAME`"
            raise VerificationError(message, reason="lock-mismatch", details=differences, hint=hint)
        return facts
    except BaseException:
        access.store.discard(digest)
        raise


def _listed(pin: Pin, facts: PackageFacts) -> PackageFacts:
    """With the architecture under which the package is listed: an index may list `noarch` packages under its own."""
    arch = pin.item.record.arch
    return facts._replace(record=facts.record._replace(arch=arch)) if facts.record.arch == "noarch" else facts


def _differences(pin: Pin, facts: PackageFacts) -> Iterator[str]:
    """A line for each thing the lock says that is not so."""
    wanted, found = pin.item.record, facts.record
    if found.identity != wanted.identity:
        from apkiln.formats.apk.identity import identity_text

        yield f"identity: {identity_text(found.identity)}, the lock says {identity_text(wanted.identity)}"
    for field in ("name", "version", "arch", "size"):
        if getattr(found, field) != getattr(wanted, field):
            yield f"{field}: {getattr(found, field)}, the lock says {getattr(wanted, field)}"
    if pin.sha256 and facts.sha256.hex != pin.sha256:
        yield f"sha256: {facts.sha256.hex}, the lock says {pin.sha256}"
    for name, stated, member in (
        ("signature", pin.signature, facts.signature),
        ("control", pin.control, facts.control),
        ("data", pin.data, facts.data),
    ):
        if stated is not None and stated != member:
            yield f"{name} member: {_shown(member)}, the lock says {_shown(stated)}"


def _shown(member: Member) -> str:
    if not member.length:
        return "none"
    return f"bytes {member.offset}-{member.offset + member.length - 1} with digest {member.digest.hex()}"
