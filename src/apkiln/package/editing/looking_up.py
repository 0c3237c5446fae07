"""What a bump needs from elsewhere: digests of the new version's files, the commit behind its tag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from apkiln.core.errors import ApkilnError, FaultGroup, UnavailableError, UsageError
from apkiln.core.limits import GIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.package.editing.bumping import BumpPlan, Download, TaggedCheckout
from apkiln.package.sources.source_map import SourceMap
from apkiln.system.git import GitRepositories
from apkiln.system.transfer import Transfer

MAXIMUM_FILE = GIB


def file_digests(
    plan: BumpPlan, transfer: Transfer, places: SourceMap, *, limit: int = MAXIMUM_FILE, jobs: int = 4
) -> dict[str, dict[str, str]]:
    """URI → algorithm → hexadecimal, each URI fetched once, nothing kept.  Raises what `Transfer.fetch` raises, of all files."""
    from concurrent.futures import ThreadPoolExecutor

    wanted: dict[str, Download] = {}
    for download in plan.downloads:
        first = wanted.setdefault(download.uri, download)
        wanted[download.uri] = first._replace(algorithms=tuple(dict.fromkeys((*first.algorithms, *download.algorithms))))
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        done = list(pool.map(_kept_fault(lambda one: _digests(one, transfer, places, limit)), wanted.values()))
    faults = [fault for fault in done if isinstance(fault, ApkilnError)]
    if faults:
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)
    return {uri: found for uri, found in zip(wanted, done, strict=True) if not isinstance(found, ApkilnError)}


def _kept_fault(
    work: Callable[[Download], dict[str, str]],
) -> Callable[[Download], dict[str, str] | ApkilnError]:
    def attempt(download: Download) -> dict[str, str] | ApkilnError:
        try:
            return work(download)
        except ApkilnError as error:
            error.details = (*error.details, f"wanted by {download.origin}")
            return error

    return attempt


def _digests(download: Download, transfer: Transfer, places: SourceMap, limit: int) -> dict[str, str]:
    fault: ApkilnError | None = None
    for location in places.places(download.uri):
        states = {name: hashlib.new(name) for name in download.algorithms}

        def take(chunk: bytes, states: dict[str, hashlib._Hash] = states) -> None:
            for state in states.values():
                state.update(chunk)

        try:
            transfer.fetch(location, take, limit=limit)
        except UnavailableError as error:
            fault = error
        else:
            return {name: state.hexdigest() for name, state in states.items()}
    raise fault or UnavailableError(f"no place is known for `{redact_url(download.uri)}`", reason="source-unavailable")


def tag_commits(plan: BumpPlan, git: GitRepositories, places: SourceMap) -> dict[Origin, str]:
    """The commits that the tags, else branches, of the new version are at, as the servers say."""
    return {checkout.origin: _commit(checkout, git, places) for checkout in plan.checkouts}


def _commit(checkout: TaggedCheckout, git: GitRepositories, places: SourceMap) -> str:
    name = f"refs/tags/{checkout.tag}" if checkout.tag else f"refs/heads/{checkout.branch}" if checkout.branch else "HEAD"
    fault: ApkilnError | None = None
    for location in places.places(checkout.repository):
        try:
            found = git.references(location, (name,))
        except UnavailableError as error:
            fault = error
            continue
        for reference in found:
            if reference.name == name:
                return reference.commit
        fault = UnavailableError(
            f"`{redact_url(checkout.repository)}` has no `{name}`", reason="ref-missing", origin=checkout.origin
        )
    raise fault or UnavailableError(f"no place is known for `{redact_url(checkout.repository)}`", reason="source-unavailable")


def same_commit(plan: BumpPlan, commit: str) -> dict[Origin, str]:
    """One commit for all checkouts that go with the version.  Raises UsageError `no-checkout` when there is none."""
    if not plan.checkouts:
        message = "no `git-checkout` step with `expected-commit` goes with the version"
        raise UsageError(message, reason="no-checkout", origin=Origin(plan.source))
    return {checkout.origin: commit for checkout in plan.checkouts}
