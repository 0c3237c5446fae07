"""Importing: from names to converted packages in the store.  This module orders the effects; the others decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import FaultGroup, UsageError, VerificationError
from apkiln.core.origin import Origin
from apkiln.debian import layout
from apkiln.debian.accounts import AccountNumber, AccountRegistry
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.closure import resolve_closure
from apkiln.debian.conversion import CONVERTER_VERSION
from apkiln.debian.converting import ConvertedPackage, ImportAccess, ScriptRules, convert_all, prepare_all
from apkiln.debian.facts import FACTS_VERSION
from apkiln.debian.ledger import Ledger, LedgerRow
from apkiln.debian.lock import ImportedPackage, ImportRecord, lock_document, write_ledger
from apkiln.debian.mapping import MAPPING_VERSION, Mapper
from apkiln.debian.override_file import NO_OVERRIDES, Overrides
from apkiln.debian.planning import (
    closure_notes,
    essential_plan,
    layout_plan,
    licence_note,
    locked_plans,
    package_plans,
    script_faults,
)
from apkiln.debian.pruning import ACKNOWLEDGED, RULES_VERSION, Pruned, PruneRules, prune_installer
from apkiln.debian.snapshot import Snapshot, SuiteList
from apkiln.debian.verified_lists import verified_lists
from apkiln.system.package_archive import WantedFile
from apkiln.system.store import Store

PRUNE_MODES = ("none", "installer")
ESSENTIAL_PROFILES = ("none", "lite", "full")
SCRIPT_MODES = ("refuse", "report")
LITE = ("base-files", "busybox-static")
"""The profile `lite`: a shell and the common tools in one program."""
_IMPORTS_TABLE = "deb-imports"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be imported."""

    names: tuple[str, ...]
    arch: Arch
    prune: str = "none"
    """One of `PRUNE_MODES`."""
    essential: str = "none"
    """One of `ESSENTIAL_PROFILES` (§6)."""
    scripts: str = "refuse"
    """One of `SCRIPT_MODES`: whether a package whose scripts are not translated is refused, or only told."""
    overrides: Overrides = NO_OVERRIDES
    keep: tuple[str, ...] = ()
    """Installer-only packages that stay in any case."""
    drop: tuple[str, ...] = ()
    """Further packages that are left out where the proof holds."""
    origins: tuple[str, ...] = ()
    """Accepted values of a release's `Origin`; empty = any (sources were named by the user)."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of it."""

    converted: tuple[ConvertedPackage, ...]
    """By name.  Their files are in the store; `debian.staging` writes the packages."""
    ledger: tuple[LedgerRow, ...]
    """All rows, to be kept before the packages are published."""
    accounts: tuple[AccountNumber, ...]
    """Numbers of users and groups, to be kept like the ledger."""
    lock: bytes
    """The import lock (`lock_document`)."""
    notes: tuple[str, ...]
    """For the user: one line each."""

    @property
    def packages(self) -> tuple[ImportedPackage, ...]:
        return tuple(item.package for item in self.converted)


def import_packages(
    request: ImportRequest, rows: tuple[LedgerRow, ...], access: ImportAccess, numbers: tuple[AccountNumber, ...] = ()
) -> ImportResult:
    """Import the closure of names: verified lists, choices, pruning, scripts, conversion.

    `rows`, `numbers`: ledger and accounts of the repository the packages are for.  The same lists, request, ledger and
    accounts give the same result, and repeating it with those it gave changes nothing.  Raises UsageError
    (`unknown-prune-mode`, `unknown-profile`, `unknown-script-mode`), VerificationError (`chain-signature`, `chain-hash`,
    `snapshot-expired`, `deb-md5`), FormatError (`script-untranslated`, `script-changed`; not when scripts are only reported),
    UnavailableError, UnsatisfiableError, InputError and ConflictError as the steps do; faults of several packages come
    together.
    """
    _check(request.prune, PRUNE_MODES, "way to prune", "unknown-prune-mode")
    _check(request.essential, ESSENTIAL_PROFILES, "profile", "unknown-profile")
    _check(request.scripts, SCRIPT_MODES, "way to treat scripts", "unknown-script-mode")
    lists = verified_lists(access.archive, request.arch.debian, request.origins, access.now, access.reporter)
    key = _import_key(request, lists, rows, numbers, access.codec.name)
    known = _recall(key, access.store)
    if known is not None:
        return known
    result = _import(request, Snapshot(lists, request.arch.debian), rows, numbers, access)
    # The ledger has grown, but the answer to the same question is now settled: keep it under both.
    _remember((key, _import_key(request, lists, result.ledger, result.accounts, access.codec.name)), result, access.store)
    return result


def _check(word: str, known: tuple[str, ...], what: str, reason: str) -> None:
    if word not in known:
        raise UsageError(f"`{word}` is no {what}", reason=reason, hint=f"one of {', '.join(known)}")


def _import(
    request: ImportRequest,
    snapshot: Snapshot,
    rows: tuple[LedgerRow, ...],
    numbers: tuple[AccountNumber, ...],
    access: ImportAccess,
) -> ImportResult:
    profile = _profile(request.essential, snapshot)
    names = _roots(request, profile, snapshot)
    rules = _prune_rules(request)
    full = resolve_closure(snapshot, names, preferred=rules.preferred)
    source = snapshot.candidate(layout.LAYOUT_SOURCE)
    sources = [source] if source is not None else []
    download([*full.packages, *sources], access)
    scripts = ScriptRules(request.arch.debian, {(item.package, item.script): item for item in request.overrides.scripts})
    accounts = AccountRegistry(numbers)
    prepared = prepare_all(full.packages, scripts, accounts, access)
    facts = {name: item.facts for name, item in prepared.items()}
    pruned = prune_installer(snapshot, names, full, facts, rules) if request.prune == "installer" else Pruned(full, ())
    kept = {package.name: facts[package.name] for package in pruned.closure.packages}
    faults = script_faults(pruned.closure, kept)
    if faults and request.scripts == "refuse":
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)
    ledger = Ledger(rows)
    mapper = Mapper(snapshot, ledger, facts, request.overrides)
    mapper.seed([*pruned.closure.packages, *sources])
    plans, notes = package_plans(pruned.closure, mapper, prepared, snapshot)
    notes += licence_note(plans)
    notes += [f"{fault} (SCRIPT_UNTRANSLATED)" for fault in faults]
    plans.append(layout_plan(request.arch, source, ledger, snapshot))
    if profile:
        plans.append(essential_plan(request.arch, request.essential, profile, pruned.closure, ledger))
    named = {package.name: package for package in pruned.closure.packages}
    converted = convert_all(plans, named, source, prepared, access)
    notes += closure_notes(pruned, kept)
    record = ImportRecord(
        names=request.names,
        architecture=request.arch.apk,
        prune=request.prune,
        essential=request.essential,
        overrides=request.overrides.digest,
        converter=CONVERTER_VERSION,
        lists=snapshot.lists,
        packages=tuple(item.package for item in converted),
        plans=locked_plans(plans, named, source, snapshot),
        ledger=ledger.rows(),
        accounts=accounts.rows(),
        choices=pruned.closure.choices,
        decisions=pruned.decisions,
        notes=tuple(notes),
    )
    return ImportResult(converted, ledger.rows(), accounts.rows(), lock_document(record), tuple(notes))


def _roots(request: ImportRequest, profile: tuple[str, ...], snapshot: Snapshot) -> tuple[str, ...]:
    """The names asked for and the package that says which distribution it is, where the suite has one (§10)."""
    identity = (layout.IDENTITY,) if snapshot.candidate(layout.IDENTITY) is not None else ()
    return tuple(dict.fromkeys((*request.names, *profile, *identity)))


def _profile(essential: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Packages of a profile (§6)."""
    return {"none": (), "lite": LITE, "full": snapshot.essential() if essential == "full" else ()}[essential]


def _prune_rules(request: ImportRequest) -> PruneRules:
    overrides = request.overrides
    return PruneRules(
        frozenset((*overrides.keep, *request.keep)),
        frozenset((*overrides.drop, *request.drop)),
        (*ACKNOWLEDGED, *overrides.acknowledged),
        {(package, group): choice for package, group, choice in overrides.alternatives},
    )


def download(packages: Iterable[BinaryPackage], access: ImportAccess) -> None:
    """Fetch the files of packages that are not in the store yet."""
    wanted = [_wanted(package) for package in packages]
    total = sum(file.size for file in wanted)
    access.reporter.start("download packages", total, "bytes")
    access.archive.download(wanted)
    access.reporter.advance("download packages", total)
    access.reporter.finish("download packages")


def _wanted(package: BinaryPackage) -> WantedFile:
    if not package.sha256 or not package.filename:
        raise VerificationError("the list names no file and digest", reason="chain-hash", origin=Origin(package=package.name))
    return WantedFile(package.archive, package.filename, package.size, package.sha256)


def _import_key(
    request: ImportRequest,
    lists: tuple[SuiteList, ...],
    rows: tuple[LedgerRow, ...],
    numbers: tuple[AccountNumber, ...],
    codec: str,
) -> str:
    value = {
        "names": request.names,
        "arch": request.arch.apk,
        "prune": [request.prune, request.essential, request.scripts, request.keep, request.drop],
        "overrides": request.overrides.digest,
        "accounts": numbers,
        "lists": [(item.suite, item.component, item.release_sha256, item.list_sha256) for item in lists],
        "ledger": hashlib.sha256(write_ledger(rows)).hexdigest(),
        "versions": [CONVERTER_VERSION, MAPPING_VERSION, FACTS_VERSION, RULES_VERSION, layout.LAYOUT_REVISION, codec],
    }
    return hashlib.sha256(canonical_json.encode(value)).hexdigest()


def _recall(key: str, store: Store) -> ImportResult | None:
    """A result of an earlier run, when all its files are still in the store."""
    import msgspec

    stored = store.get(_IMPORTS_TABLE, key)
    if stored is None:
        return None
    try:
        result = msgspec.msgpack.decode(stored, type=ImportResult)
    except msgspec.DecodeError:
        return None  # written by another version of this program
    whole = all(store.size(Digest.sha256(item.data.sha256)) == item.data.size for item in result.converted)
    return result if whole else None


def _remember(keys: Iterable[str], result: ImportResult, store: Store) -> None:
    import msgspec

    for key in keys:
        store.put(_IMPORTS_TABLE, key, msgspec.msgpack.encode(result))
