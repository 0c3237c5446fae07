"""Take over packages of an existing repository: everything its verified indexes list, fetched and verified, in one transaction.

What is taken once is taken for good: running it again brings what is new.  A line whose package does not fit its record is
an error that names it; nothing is taken over then (spec repository.md §10.3 `import-index`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import load_indexes
from apkiln.acquire.packages import AcquiredPackage, SelectedPackage, acquire_packages
from apkiln.acquire.repositories import Repository
from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.formats.apk.keys import Keyring
from apkiln.repository.ledger.actions import DeclaredPackage, Manifest
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import Transaction
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import CHUNK


def adopt(
    service: RepositoryService,
    author: Author,
    upstream: Sequence[Repository],
    arches: Sequence[str],
    keyring: Keyring,
    access: Access,
    overrides: Sequence[str] = (),
) -> Transaction | None:
    """Publish what `upstream` lists for `arches` and this repository has never accepted; None when that is nothing.

    Raises as `load_indexes`, `acquire_packages` and the service.
    """
    state = service.refresh()
    wanted: dict[Key, SelectedPackage] = {}
    for arch in arches:
        for index in load_indexes(upstream, arch, keyring, access):
            for record in index.records:
                key = Key(record.arch, record.name, record.version)
                if key not in state.accepted:
                    wanted.setdefault(key, SelectedPackage(record, index.repository, arch))
    if not wanted:
        return None
    acquired = acquire_packages(list(wanted.values()), access, keyring=keyring)
    files = tuple(
        DeclaredPackage(key.arch, key.name, key.version, item.digest.hex, item.size)
        for key, item in zip(wanted, acquired, strict=True)
    )
    manifest = Manifest(files=files, overrides=tuple(overrides))  # type: ignore[arg-type]
    opened = service.open(author, manifest)
    missing = set(service.missing(opened))
    for item in acquired:
        if item.digest.hex in missing:
            service.upload(item.digest.hex, _content(item, access))
    return service.commit(author, opened.number)


def _content(item: AcquiredPackage, access: Access) -> Iterator[bytes]:
    stream = access.store.open(item.digest)
    if stream is None:
        raise UnavailableError(
            "the package left the cache", reason="cache-lost", origin=Origin(package=item.record.name_version), retriable=True
        )
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk
