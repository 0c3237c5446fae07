"""Transactions, decided: what may be opened, committed, accepted, published together (spec repository.md §3.4, §3.7, §6, §9).

Pure functions of a state.  They raise, or answer with the findings that refuse a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from apkiln.core.errors import ConflictError, FaultCollector, FormatError, UnavailableError, UsageError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.origin import Origin
from apkiln.formats.apk import version
from apkiln.formats.apk.dependency import is_package_name
from apkiln.formats.apk.pkginfo import is_safe_name
from apkiln.repository.layout import NOARCH, PACKAGE_SUFFIX
from apkiln.repository.ledger.actions import Build, DeclaredPackage, Finding, Manifest, Selection
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.state import RepositoryState, Status, Step, Transaction
from apkiln.repository.rotation import key_faults

_SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_FILES = 50_000
"""Of one transaction."""
LONGEST_ARCH = 64
LIMITS = DEFAULT_LIMITS
"""What every client can fetch and name."""


def existing(state: RepositoryState, manifest: Manifest, idempotency_key: str) -> Transaction | None:
    """The transaction that this very request opened before.  ConflictError `idempotency-key-reused` for another manifest."""
    number = state.idempotency.get(idempotency_key) if idempotency_key else None
    if number is None:
        return None
    found = state.transactions[number]
    if found.manifest != manifest:
        raise ConflictError(
            "this idempotency key opened a transaction with another manifest",
            reason="idempotency-key-reused",
            origin=Origin(source=f"transaction {number}"),
            hint="use a new key for a new request",
        )
    return found


def check_opening(state: RepositoryState, manifest: Manifest, teams: Sequence[str]) -> None:
    """Refuse what cannot end well, all faults at once, before a byte is uploaded.

    UsageError `empty-transaction`, `too-many-files`; FormatError `manifest-file`, `manifest-file-twice`, `manifest-size`;
    ConflictError `version-conflict` (other content under a version that exists is found at verification; here: withdrawn or
    collected), `ownership`, `unknown-build`, `partial-needs-name`, `unknown-generation`, `unknown-transaction`,
    and those of `rotation.key_faults`.
    """
    faults = FaultCollector.empty()
    wishes = (manifest.files, manifest.withdraw, manifest.restore, manifest.keys, manifest.rollback)
    if not any(wishes):
        raise UsageError("the transaction does nothing", reason="empty-transaction")
    if len(manifest.files) > MOST_FILES:
        raise UsageError(f"a transaction has at most {MOST_FILES} files", reason="too-many-files")
    seen: set[tuple[str, str, str]] = set()
    for file in manifest.files:
        for fault in _file_faults(file, seen):
            faults.add(fault)
        owner = owner_of(state, file.name)
        if owner and owner not in teams:
            faults.add(_conflict(f"`{file.name}` belongs to team {owner}", "ownership", file.name))
    for selection in manifest.withdraw:
        _check_selection(state, selection, (Status.LIVE, Status.ASIDE, Status.WITHDRAWN), faults)
    for selection in manifest.restore:
        _check_selection(state, selection, (Status.WITHDRAWN, Status.LIVE), faults)
    if manifest.rollback and manifest.rollback not in state.generations:
        faults.add(_conflict(f"there is no generation {manifest.rollback}", "unknown-generation", ""))
    if manifest.continues and manifest.continues not in state.transactions:
        faults.add(_conflict(f"there is no transaction {manifest.continues}", "unknown-transaction", ""))
    for key_fault in key_faults(state, manifest.keys):
        faults.add(key_fault)
    faults.raise_if_any()


def _file_faults(file: DeclaredPackage, seen: set[tuple[str, str, str]]) -> Iterator[FormatError]:
    name = f"{file.name}-{file.version}"
    place = Origin(package=name)
    good = is_package_name(file.name) and version.is_valid(file.version) and is_safe_name(file.arch)
    good = good and len(f"{name}{PACKAGE_SUFFIX}".encode()) <= LIMITS.name and len(file.arch) <= LONGEST_ARCH
    if not good or not _SHA256.fullmatch(file.sha256):
        yield FormatError(f"{name!r} for {file.arch!r} is not a package with a digest", reason="manifest-file", origin=place)
    if not 0 < file.size <= LIMITS.http_response:
        yield FormatError(f"{file.size} is not the size of a package", reason="manifest-size", origin=place)
    if (file.arch, file.name, file.version) in seen:
        yield FormatError(f"`{name}` for {file.arch} is declared twice", reason="manifest-file-twice", origin=place)
    seen.add((file.arch, file.name, file.version))


def _check_selection(state: RepositoryState, selection: Selection, allowed: Sequence[Status], faults: FaultCollector) -> None:
    name = f"{selection.origin}-{selection.version}"
    keys = state.resolve(selection)
    if not keys:
        faults.add(_conflict(f"there is no build `{name}`", "unknown-build", name, "builds are named by origin and version"))
    elif not any(state.accepted[key].status in allowed for key in keys):
        faults.add(_conflict(f"`{name}` is {state.accepted[keys[0]].status.value}", "wrong-status", name))


def _conflict(message: str, reason: str, package: str, hint: str = "") -> ConflictError:
    return ConflictError(message, reason=reason, origin=Origin(package=package), hint=hint)


def owner_of(state: RepositoryState, name: str) -> str:
    """The team that a package name belongs to: that of the longest prefix; "" when nobody's (spec §9)."""
    prefixes = [prefix for prefix in state.owners if name == prefix or (prefix.endswith("-") and name.startswith(prefix))]
    return state.owners[max(prefixes, key=len)] if prefixes else ""


def declared_blobs(manifest: Manifest) -> dict[str, int]:
    """Hex digest → size of every file that must be uploaded."""
    return {file.sha256: file.size for file in manifest.files}


def needs_approval(manifest: Manifest) -> bool:
    """Whether a second person must agree (spec §9)."""
    builds = {(selection.origin, selection.version) for selection in manifest.withdraw}
    return len(builds) > 1 or bool(manifest.restore or manifest.keys or manifest.overrides)


def is_approved(transaction: Transaction) -> bool:
    """Somebody other than the one who opened it agreed."""
    return any(approver != transaction.actor for approver in transaction.approvers)


def check_committing(transaction: Transaction, present: Mapping[str, int]) -> None:
    """UnavailableError `tx-expired`; ConflictError `tx-state`, `blob-missing` with every missing digest.

    `present`: digest → size of the declared blobs that the store has.
    """
    if transaction.step is Step.ABORTED:
        raise UnavailableError("the transaction was given up", reason="tx-expired", hint="open a new one")
    if transaction.step is not Step.OPEN:
        raise ConflictError(f"the transaction is {transaction.step.value}", reason="tx-state")
    wanted = declared_blobs(transaction.manifest)
    missing = sorted(digest for digest, size in wanted.items() if present.get(digest) != size)
    if missing:
        raise ConflictError(
            f"{len(missing)} declared files are not uploaded", reason="blob-missing", details=missing, hint="upload them"
        )


def verification_findings(
    state: RepositoryState, transaction: Transaction, packages: Mapping[tuple[str, str, str], Package]
) -> tuple[Finding, ...]:
    """What the bytes say against the manifest (V4, V6, V9): `packages` by declared (arch, name, version), complete."""
    findings: list[Finding] = []
    for declared, package in packages.items():
        if declared != package.key:
            message = f"declared was {declared[1]}-{declared[2]} for {declared[0]}"
            findings.append(_finding("pkg-meta", message, package))
        if not package.license:
            findings.append(_finding("pkg-meta", "it states no licence", package))
        for item in package.provides:
            name, _, stated = item.partition("=")
            owner = owner_of(state, name)
            if stated and owner and owner not in transaction.teams:
                findings.append(_finding("ownership", f"it provides `{name}`, which belongs to team {owner}", package))
    for build in transaction.manifest.builds:
        findings += _incomplete(build, packages.values(), transaction.manifest, state)
    return tuple(findings)


def _finding(code: str, message: str, package: Package, details: tuple[str, ...] = ()) -> Finding:
    return Finding(code, message, package.key.name_version, package.arch, details)


def _incomplete(build: Build, packages: Iterable[Package], manifest: Manifest, state: RepositoryState) -> Iterator[Finding]:
    """Every package of a build on every architecture; whole architectures may be missing where that is allowed (I4)."""
    present = {(item.arch, item.name) for item in packages if item.build == (build.origin, build.version)}
    present |= {(key.arch, key.name) for key in state.builds.get((build.origin, build.version), ())}
    any_arch = {name for arch, name in present if arch == NOARCH}
    for arch in build.arches:
        missing = [name for name in build.packages if (arch, name) not in present and name not in any_arch]
        absent = len(missing) + len(any_arch & set(build.packages)) == len(build.packages)
        if missing and not (absent and manifest.pending_allowed):
            message = f"the build has no {', '.join(f'`{name}`' for name in missing)} for {arch}"
            yield Finding("build-incomplete", message, f"{build.origin}-{build.version}", arch)


def base_findings(state: RepositoryState, transaction: Transaction) -> tuple[Finding, ...]:
    """What speaks against a verified transaction on this state (I3, V7, V8)."""
    findings: list[Finding] = []
    own = {package.key for package in transaction.packages}
    for package in transaction.packages:
        known = state.accepted.get(package.key)
        if known is None:
            findings += _not_newer(state, transaction, package)
            findings += _ambiguous(state, own, package)
        elif known.package.content != package.content:
            details = (f"published is {known.package.digest}", f"by transaction {known.transaction}")
            findings.append(_finding("version-conflict", "this version exists with other content", package, details))
        elif known.status in (Status.WITHDRAWN, Status.COLLECTED):
            message = f"this version is {known.status.value} and cannot be published again"
            findings.append(_finding("version-conflict", message, package, ("restore it, or raise the release number",)))
    for selection in transaction.manifest.restore:
        lost = [key for key in state.resolve(selection) if state.accepted[key].package.digest in state.removed]
        findings += [Finding("blob-missing", "its bytes are gone", key.name_version, key.arch) for key in lost]
    findings += [Finding(fault.reason, fault.message) for fault in key_faults(state, transaction.manifest.keys)]
    return tuple(findings)


def _ambiguous(state: RepositoryState, own: Container[Key], package: Package) -> Iterator[Finding]:
    """A `noarch` package and one of an architecture would be served under the same name (spec §4.3)."""
    current = state.generations.get(state.current)
    homes = {*state.arches, *(index.arch for index in current.indexed.arches)} if current else set(state.arches)
    wanted = homes if package.arch == NOARCH else {NOARCH}
    for arch in sorted(wanted):
        rival = Key(arch, package.name, package.version)
        if rival in state.accepted or rival in own:
            yield _finding("version-conflict", f"this version exists for {arch}, and both would have one file name", package)


def _not_newer(state: RepositoryState, transaction: Transaction, package: Package) -> Iterator[Finding]:
    live = state.names.get((package.arch, package.name), ())
    newest = live[-1].version if live else ""
    if newest and version.compare(package.version, newest) < 0:
        yield _finding("version-not-newer", f"`{package.name}-{newest}` is live already", package)


def allowed_by_override(finding: Finding, manifest: Manifest) -> bool:
    """Whether the publisher, with a second person, said that this finding does not matter."""
    code = {"version-not-newer": "downgrade"}.get(finding.code, finding.code)
    return code in manifest.overrides


def next_batch(state: RepositoryState, may_go_on: Callable[[Transaction], bool]) -> tuple[Transaction, ...]:
    """Verified transactions that one generation can take together, oldest first: no two touch one build or one name.

    Rollbacks and key changes go alone.  Those that may not go on (they wait for a second person) are left out and keep their
    names to themselves; everything else goes past them.
    """
    batch: list[Transaction] = []
    touched: set[tuple[str, str]] = set()
    for number in state.unfinished:
        transaction = state.transactions[number]
        if transaction.step is not Step.VERIFIED:
            continue
        manifest, ready = transaction.manifest, may_go_on(transaction)
        if manifest.rollback or manifest.keys:
            if ready:
                return tuple(batch) or (transaction,)
            continue
        mine = _touched_names(state, transaction)
        if ready and touched.isdisjoint(mine):
            batch.append(transaction)
        touched |= mine  # who comes later waits for those before it, also for one that waits itself
    return tuple(batch)


def _touched_names(state: RepositoryState, transaction: Transaction) -> set[tuple[str, str]]:
    manifest = transaction.manifest
    keys: list[Key] = [package.key for package in transaction.packages]
    for selection in (*manifest.withdraw, *manifest.restore):
        keys += state.resolve(selection)
    builds = {("build", f"{package.origin} {package.version}") for package in transaction.packages}
    builds |= {("build", f"{item.origin} {item.version}") for item in (*manifest.withdraw, *manifest.restore)}
    return builds | {(key.arch, key.name) for key in keys} | {("file", key.name_version) for key in keys}


def expired(state: RepositoryState, now: int, idle: int) -> tuple[int, ...]:
    """Transactions that have been open for longer than `idle` milliseconds at `now`."""
    return tuple(
        number
        for number in state.unfinished
        if state.transactions[number].step is Step.OPEN and now - state.transactions[number].changed > idle
    )
