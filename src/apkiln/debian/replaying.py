"""An import made again from its lock: the same packages, byte for byte, whatever the archive says today (spec debian.md §11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, VerificationError
from apkiln.core.origin import Origin
from apkiln.debian.accounts import AccountNumber, AccountRegistry
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.conversion import CONVERTER_VERSION, ConversionPlan
from apkiln.debian.converting import ConvertedPackage, ImportAccess, ScriptRules, convert_all, prepare_all
from apkiln.debian.importing import ImportResult, download
from apkiln.debian.ledger import Ledger, LedgerRow
from apkiln.debian.lock import Lock, LockedFile
from apkiln.debian.override_file import Overrides
from apkiln.system.store import Store


def replay(
    lock: Lock,
    data: bytes,
    overrides: Overrides,
    rows: tuple[LedgerRow, ...],
    numbers: tuple[AccountNumber, ...],
    access: ImportAccess,
) -> ImportResult:
    """Make the packages of a lock again.  `data`: the lock as bytes.  `rows`, `numbers`: of the repository they are for.

    No package list is read: files come from the store, or from where they were, and each must have the digest of the lock.
    Raises ConflictError (`lock-overrides`, `lock-versions`), VerificationError (`lock-mismatch`: this version of the program
    makes other bytes; `chain-hash`), UnavailableError when a file is nowhere any more, and what conversion raises.
    """
    if lock.overrides != overrides.digest:
        raise ConflictError("the lock was made with other overrides", reason="lock-overrides", origin=Origin(source="lock"))
    ledger = _merged(rows, lock.ledger)
    accounts = AccountRegistry(dict.fromkeys((*numbers, *lock.accounts)))
    packages = _packages(lock, access)
    download(packages.values(), access)
    files = {plan.source.name for plan in lock.plans if plan.source is not None and plan.kind != "layout"}
    scripts = {(item.package, item.script): item for item in overrides.scripts}
    rules = ScriptRules(Arch.parse(lock.architecture).debian, scripts)
    prepared = prepare_all([packages[name] for name in sorted(files)], rules, accounts, access)
    plans = [
        ConversionPlan(plan.mapped, plan.source.sha256 if plan.source else "", plan.kind, plan.source.name if plan.source else "")
        for plan in lock.plans
    ]
    layout_source = next((packages[plan.source] for plan in plans if plan.kind == "layout" and plan.source), None)
    converted = convert_all(plans, packages, layout_source, prepared, access)
    _check(converted, lock)
    return ImportResult(converted, ledger, accounts.rows(), data, ())


def _merged(rows: tuple[LedgerRow, ...], locked: tuple[LedgerRow, ...]) -> tuple[LedgerRow, ...]:
    """Both ledgers as one.  Raises ConflictError (`lock-versions`), InputError as `Ledger`."""
    known = {(row.name, row.version): row for row in rows}
    for row in locked:
        if known.setdefault((row.name, row.version), row)._replace(kind=row.kind) != row:
            raise ConflictError(
                f"the repository has given `{row.name} {row.version}` another version than the lock",
                reason="lock-versions",
                origin=Origin(package=row.name),
                hint="import the lock into a repository of its own",
            )
    return Ledger(known.values()).rows()


def _packages(lock: Lock, access: ImportAccess) -> dict[str, BinaryPackage]:
    """The files of a lock as list entries.  The archive is asked for its suites only when a file is missing."""
    files = {plan.source.name: plan.source for plan in lock.plans if plan.source is not None}
    packages = {name: _stand_in(file) for name, file in files.items()}
    if _all_there(files.values(), access.store):
        return packages
    numbers = {release.suite: number for number, release in reversed(list(enumerate(access.archive.releases())))}
    return {name: replace(package, archive=numbers.get(files[name].suite, 0)) for name, package in packages.items()}


def _all_there(files: Iterable[LockedFile], store: Store) -> bool:
    return all(store.size(Digest.sha256(bytes.fromhex(file.sha256))) == file.size for file in files)


def _stand_in(file: LockedFile) -> BinaryPackage:
    return BinaryPackage(
        name=file.name,
        version=file.version,
        architecture="",
        source=file.source,
        source_version=file.source_version,
        description="",
        homepage="",
        maintainer="",
        priority="",
        essential=False,
        depends=(),
        provides=(),
        conflicts=(),
        replaces=(),
        filename=file.path,
        size=file.size,
        sha256=file.sha256,
    )


def _check(converted: Iterable[ConvertedPackage], lock: Lock) -> None:
    made = {item.package.name: item.package.sha256 for item in converted}
    for name, digest in lock.digests:
        if made.get(name) != digest:
            version = "" if lock.converter == CONVERTER_VERSION else f"; it was made by version {lock.converter} of the converter"
            raise VerificationError(
                f"`{name}` does not come out as the lock says{version}",
                reason="lock-mismatch",
                origin=Origin(package=name),
                hint="import anew, without the lock",
            )
