"""From a lock to the resolution that it stands for: no index is opened, no key fetched (spec image.md §4.2).

What the lock says of each package is checked against the package; what it does not say (dependencies, sizes, build times)
the package itself says.  The place of a row says nothing, so a lock may be sorted: the install order is the one that our locks
number, and is computed anew where the numbers are no order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.acquire.access import Access
from apkiln.acquire.facts import PackageFacts
from apkiln.acquire.keyring import key_name, parse_keys
from apkiln.acquire.packages import SelectedPackage, SinkFactory
from apkiln.acquire.pinned import Pin, acquire_pinned
from apkiln.acquire.repositories import Repository, parse_repositories
from apkiln.core.arch import Arch
from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace, value
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.local_files import read_local_files
from apkiln.image.lock.checking import check_lock
from apkiln.image.lock.document import Lock, LockedPackage
from apkiln.image.lock.making import locked_files
from apkiln.image.lock.ordering import numbered, ordered
from apkiln.image.plan import ImagePlan
from apkiln.image.resolving import OpenPlace, Resolution, ResolveOptions, load_bases, resolved_architecture
from apkiln.solver.solution import SelectedPackage as Chosen

if TYPE_CHECKING:
    from apkiln.image.base.opening import Base


@value
class LockFile:
    """A lock and where it was read."""

    lock: Lock
    path: str
    """As typed, for messages."""
    directory: PurePath
    """Of the definition: what `from` in `paths` is relative to."""


def resolve_locked(
    file: LockFile,
    loaded: LoadedConfiguration,
    options: ResolveOptions,
    access: Access,
    sink_factory: SinkFactory | None = None,
    open_place: OpenPlace | None = None,
) -> Resolution:
    """The resolution of a lock.  Its packages are in the store afterwards; a package fetched now was seen by its sink.

    A definition that names no architecture is built for those of the lock.  Raises what `check_lock`, `acquire_pinned` and
    `ordered` raise, VerificationError `key-digest-mismatch`, `lock-base-changed`, FormatError `lock-row-url`, and what
    loading a base image raises.
    """
    configuration, lock = loaded.configuration, file.lock
    archs = locked_architectures(lock, configuration, options)
    local = read_local_files(access.files, file.directory, configuration.paths, access.limits)
    notices = check_lock(lock, file.path, loaded, archs, locked_files(loaded, local))
    keyring = locked_keyring(lock, configuration, access)
    places = Places(configuration, lock)
    bases = load_bases(configuration, archs, access, open_place)
    _check_bases(file, bases)
    resolved = []
    for arch in archs:
        base = bases.get(arch)
        below = base.records if base is not None else ()
        names = {record.name_version for record in below}
        rows = [row for row in lock.of(arch.apk) if row.name_version not in names]
        facts = acquire_pinned(places.pins(rows), access, sink_factory, keyring=keyring)
        requests = [request.text for request in configuration.requests_for(arch)]
        chosen = chosen_packages([] if lock.is_ours else requests, rows, places, facts)
        numbers = {row.identity: row.order for row in rows}
        solution = numbered(ordered(arch, requests, chosen, below), numbers)
        resolved.append(resolved_architecture(configuration, arch, solution, places.repositories, options, base))
    plan = ImagePlan(loaded.checksum, tuple(item.plan for item in resolved))
    return Resolution(plan, tuple(resolved), keyring, notices, (), lock.drift)


def _check_bases(file: LockFile, bases: Mapping[Arch, Base]) -> None:
    """Each base image is the one that was locked.  Locks of apko do not say which that was."""
    locked = {item.architecture: item.digest for item in file.lock.bases}
    for arch, base in bases.items():
        found = str(base.stored.identity)
        if file.lock.is_ours and locked.get(arch.apk) != found:
            message = f"the base image for {arch.apk} is {found}, the lock says {locked.get(arch.apk) or 'none'}"
            hint = "make the lock again with `apkiln image lock`"
            raise VerificationError(message, reason="lock-base-changed", origin=Origin(file.path), hint=hint)


def locked_architectures(lock: Lock, configuration: ImageConfiguration, options: ResolveOptions) -> tuple[Arch, ...]:
    """Those of the definition, or of the lock where the definition leaves it open."""
    if configuration.archs:
        return configuration.architectures(options.host)
    return tuple(sorted((Arch.parse(name) for name in lock.architectures), key=lambda arch: arch.oci))


def locked_keyring(lock: Lock, configuration: ImageConfiguration, access: Access) -> Keyring:
    """The keys of the definition as the lock holds them, and those that were discovered when it was made.  Raises
    VerificationError `key-digest-mismatch` when the definition pins another one."""
    held = {key.url: key for key in lock.keyring}
    keys: list[tuple[str, bytes]] = []
    for entry in configuration.contents.keyring:
        key = held.get(redact_url(entry.location)) or held[entry.location]
        content = key.content.encode()
        if entry.sha256 and hashlib.sha256(content).hexdigest() != entry.sha256.lower():
            message = f"the lock holds another key `{key.url}` than the definition pins"
            raise VerificationError(message, reason="key-digest-mismatch", origin=entry.origin)
        keys.append((key_name(entry.location), content))
    keys += ((key_name(key.url), key.content.encode()) for key in lock.keyring if key.discovered)
    return parse_keys(keys, access.store)


def chosen_packages(
    requests: Iterable[str], rows: Sequence[LockedPackage], places: Places, facts: Sequence[PackageFacts]
) -> list[Chosen]:
    """The rows as packages of a solution.  Locks of apko do not say which package is pinned to a tag; the `requests` do."""
    wanted = [parse_dependency(text) for text in requests]
    pinned = {dependency.name: dependency.tag for dependency in wanted if dependency.tag}
    return [
        Chosen(found.record, places.of(row).number, row.tag or pinned.get(row.name, ""))
        for row, found in zip(rows, facts, strict=True)
    ]


class Places:
    """The repositories of a lock's packages: those of the definition, which know credentials, then what addresses tell."""

    def __init__(self, configuration: ImageConfiguration, lock: Lock) -> None:
        contents = configuration.contents
        self.repositories = parse_repositories(entry.text for entry in (*contents.repositories, *contents.build_repositories))
        """All that were found so far; the number of each is its position."""
        self._found: dict[LockedPackage, Repository] = {row: self._place(row) for row in lock.packages}

    def of(self, row: LockedPackage) -> Repository:
        return self._found[row]

    def pins(self, rows: Iterable[LockedPackage]) -> list[Pin]:
        """What is to be acquired."""
        return [
            Pin(
                SelectedPackage(_bare_record(row), self.of(row), row.architecture),
                row.sha256,
                row.signature,
                row.control,
                row.data,
            )
            for row in rows
        ]

    def _place(self, row: LockedPackage) -> Repository:
        record, url = _bare_record(row), redact_url(row.url)
        for repository in self.repositories:
            if url in map(redact_url, repository.package_locations(record, row.architecture)):
                return repository
        (found,) = parse_repositories([_base(row)])
        found = replace(found, number=len(self.repositories))
        self.repositories = (*self.repositories, found)
        return found


def _base(row: LockedPackage) -> str:
    """The repository line behind an address that no known repository has."""
    directory, _, name = row.url.rpartition("/")
    if name != f"{row.name_version}.apk" or not directory:
        message = f"`{redact_url(row.url)}` is not the address of {row.name_version}"
        raise FormatError(message, reason="lock-row-url", origin=Origin(package=row.name_version))
    base, _, last = directory.rpartition("/")
    return base if base and last in (row.architecture, row.record_architecture) else f"{directory}/APKINDEX.tar.gz"


def _bare_record(row: LockedPackage) -> IndexRecord:
    """As much of an index record as a lock knows."""
    return IndexRecord(row.name, row.version, row.record_architecture, row.identity, row.size, 0, origin=row.origin)
