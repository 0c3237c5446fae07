"""SHA-256 of package files, from the list that a signed generation names (spec repository.md §4.4).

The chain of apk's own formats rests on SHA-1 and leaves the signature of a package out; where a repository has generations, a
fetched file must also be the one of the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.acquire.access import Access
    from apkiln.acquire.generations import Seen
    from apkiln.acquire.repositories import Repository
    from apkiln.acquire.selection import SelectedPackage
    from apkiln.core.digest import Digest

FILE = "packages.sha256"
_LARGEST = 512 * MIB
_ABSENT = {"not-found", "missing-file", "http-status"}


def check_sum(item: SelectedPackage, digest: Digest, access: Access) -> None:
    """Compare a fetched file with the list of the generation that this run began with; nothing where there is none.

    VerificationError `sum-mismatch`, `sum-missing` (the list has no such file), `sums-missing` (there is no list, or another
    one); UnavailableError of the transfer.  The list is fetched once a run.
    """
    pins, repository = access.pins, item.repository
    seen = pins.get(repository.url) if pins is not None else None
    if pins is None or seen is None or not seen.sums:
        return
    sums = pins.sums(repository.url, lambda: _list(repository, seen, access))
    file = f"{item.record.name_version}.apk"
    stated = [sums[place] for arch in (item.record.arch, "noarch") if (place := f"{arch}/{file}".encode()) in sums]
    origin = Origin(source=redact_url(repository.url), package=item.record.name_version)
    if not stated:
        raise VerificationError(f"`{FILE}` of generation {seen.generation} does not list it", reason="sum-missing", origin=origin)
    if digest.hex.encode() not in stated:
        raise VerificationError(
            f"its SHA-256 is not the one of generation {seen.generation}",
            reason="sum-mismatch",
            origin=origin,
            details=(f"expected {stated[0].decode()}", f"found    {digest.hex}"),
        )


def _list(repository: Repository, seen: Seen, access: Access) -> Mapping[bytes, bytes]:
    """`arch/file` → hex digest.  The current list may be that of a later generation already: then the frozen one."""
    for location in (repository.generation_location(FILE), repository.frozen_location(FILE, seen.generation)):
        received = bytearray()
        try:
            access.transfer.fetch(access.locate(location), received.extend, limit=_LARGEST)
        except UnavailableError as fault:
            if fault.reason not in _ABSENT:
                raise
            continue
        if hashlib.sha256(received).hexdigest() == seen.sums:
            return {line[66:]: line[:64] for line in bytes(received).split(b"\n")}
    raise VerificationError(
        f"repository `{repository.url}`: there is no `{FILE}` as generation {seen.generation} signs it",
        reason="sums-missing",
        hint="a mirror may lack the file, or be between two generations: try again",
    )
