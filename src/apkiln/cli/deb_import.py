"""`apkiln deb import`: Debian packages and what they need become packages of a repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.debian_access import access_for, all_overrides, architecture, chosen_sources, source_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.debian.converting import ConvertedPackage, ImportAccess
    from apkiln.debian.importing import ImportRequest, ImportResult
    from apkiln.debian.lock import Lock
    from apkiln.debian.staging import StagedPackage
    from apkiln.formats.apk.records import IndexRecord
    from apkiln.formats.apk.signing import SectionSigner
    from apkiln.repository.publishing import Workshop
    from apkiln.system.files import DiskFiles

NAME = "deb import"
HELP = """Import Debian packages, and all they need, into a repository.

The packages come from the apt sources of this machine (the distribution's own archives only) or from a source list that
is named.  Signature, lists and files are checked; file contents stay as they are, maintainer scripts are never run.
DIR/debian/ records the versions given out and, for each import, every source, choice and digest."""
EPILOG = """examples:
  apkiln deb import python3 --repo repo --prune installer
  apkiln deb import nginx openssl --repo repo --key keys/build.rsa --suite bookworm --arch aarch64
  apkiln deb import hostname --repo repo --sources trixie.sources --keyring archive.gpg --json
"""

_STATE = "debian"
_LEDGER = "versions.jsonl"
_ACCOUNTS = "accounts.jsonl"
_SUITE = "suite"
_LEDGER_LIMIT = 1 << 30


def configure(parser: argparse.ArgumentParser) -> None:
    source_arguments(parser)
    parser.add_argument("names", metavar="NAME", nargs="+", help="Debian package to import with its dependencies")
    parser.add_argument("--repo", metavar="DIR", required=True, help="repository directory; made by `apkiln repo init`")
    parser.add_argument("--key", metavar="FILE", action="append", default=[], help="private key to sign with")
    parser.add_argument(
        "--arch", metavar="ARCH", action="append", default=[], help="architecture (default: the one of this machine); repeatable"
    )
    parser.add_argument(
        "--prune",
        choices=("none", "installer"),
        default="none",
        help="`installer`: leave out, with proof, what only maintainer scripts need",
    )
    parser.add_argument("--keep", metavar="NAME", action="append", default=[], help="package that is never left out")
    parser.add_argument(
        "--drop",
        metavar="NAME",
        action="append",
        default=[],
        help="further package to leave out where the proof holds",
    )
    parser.add_argument(
        "--essential",
        choices=("none", "lite", "full"),
        default="none",
        help="what every Debian system has: nothing, a busybox, or all; images take it by `debian-essential-lite` or `-full`",
    )
    parser.add_argument(
        "--lock",
        metavar="FILE",
        help="make what FILE says, byte for byte; when it is absent, import and write it (one architecture)",
    )
    parser.add_argument(
        "--scripts",
        choices=("refuse", "report"),
        default="refuse",
        help="`report`: import packages whose maintainer scripts are not translated, and say what is missing",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.core.errors import UsageError
    from apkiln.debian.suites import base_suite
    from apkiln.repository.publishing import Workshop
    from apkiln.repository.signing import signers
    from apkiln.system.files import DiskFiles

    settings = context.settings
    here = Path(settings.working_directory)
    directory, files = here / arguments.repo, DiskFiles()
    workshop = Workshop(files, settings.limits, context.reporter, settings.jobs)
    _check_repository(directory, files)
    sources = chosen_sources(arguments, context, files, here)
    requests = _requests(arguments, files, here)
    if arguments.lock and len(requests) > 1:
        raise UsageError("a lock is of one architecture", reason="bad-arguments")
    state = directory / _STATE
    files.make_directory(state)
    with files.lock(state / ".lock"):
        _keep_suite(files, state, base_suite(sources))
        lock = here / arguments.lock if arguments.lock else None
        results = [_import(request, access_for(context, request.arch, sources), files, state, lock) for request in requests]
        accesses = access_for(context, requests[0].arch, sources)
        keys = [here / key for key in arguments.key]
        added, unchanged, staged = _publish(results, directory, keys, workshop, accesses)
        for request, result in zip(requests, results, strict=True):
            label = _label(request.names, request.arch)
            _write_lock(files, state / f"{label}.json", result)
            if staged:
                _write_statements(files, state / f"{label}.intoto.jsonl", result, staged, signers(directory, keys, files))
    for note in dict.fromkeys(note for result in results for note in result.notes):
        context.reporter.note(note)
    _report(results, added, unchanged, context)
    return 0


def _requests(arguments: argparse.Namespace, files: DiskFiles, here: Path) -> list[ImportRequest]:
    """One for each architecture."""
    from apkiln.debian.importing import ImportRequest
    from apkiln.debian.suites import ORIGINS

    overrides = all_overrides(arguments, files, here)
    origins = () if arguments.sources else ORIGINS
    return [
        ImportRequest(
            tuple(arguments.names),
            architecture(arch),
            prune=arguments.prune,
            essential=arguments.essential,
            scripts=arguments.scripts,
            overrides=overrides,
            keep=tuple(arguments.keep),
            drop=tuple(arguments.drop),
            origins=origins,
        )
        for arch in dict.fromkeys(arguments.arch or ["host"])
    ]


def _import(request: ImportRequest, access: ImportAccess, files: DiskFiles, state: Path, lock: Path | None) -> ImportResult:
    """One import, or what a lock says.  Versions and account numbers are on disk before anything is published: none is ever
    given out twice."""
    from apkiln.debian.accounts import read_accounts, write_accounts
    from apkiln.debian.importing import import_packages
    from apkiln.debian.lock import read_ledger, read_lock, write_ledger
    from apkiln.debian.replaying import replay

    ledger, accounts = state / _LEDGER, state / _ACCOUNTS
    known, numbers = (files.read(path, _LEDGER_LIMIT) if files.status(path) else b"" for path in (ledger, accounts))
    rows, registry = read_ledger(known, str(ledger)), read_accounts(numbers, str(accounts))
    locked = files.read(lock, _LEDGER_LIMIT) if lock is not None and files.status(lock) else b""
    if locked:
        wanted = _checked(read_lock(locked, str(lock)), request, str(lock))
        result = replay(wanted, locked, request.overrides, rows, registry, access)
    else:
        result = import_packages(request, rows, access, registry)
        if lock is not None:
            _write(files, lock, b"", result.lock)
    _write(files, ledger, known, write_ledger(result.ledger))
    _write(files, accounts, numbers, write_accounts(result.accounts))
    return result


def _check_repository(directory: Path, files: DiskFiles) -> None:
    from apkiln.core.errors import UnavailableError
    from apkiln.core.origin import Origin

    status = files.status(directory)
    if status is None or not status.is_directory:
        raise UnavailableError(
            "there is no repository",
            reason="missing-repository",
            origin=Origin(source=str(directory)),
            hint=f"make one with `apkiln repo init {directory}`",
        )


def _checked(lock: Lock, request: ImportRequest, source: str) -> Lock:
    """A lock answers one question: the same names for the same architecture."""
    from apkiln.core.errors import ConflictError
    from apkiln.core.origin import Origin

    if (lock.names, lock.architecture) != (request.names, request.arch.apk):
        message = f"the lock is of {', '.join(lock.names)} for {lock.architecture}"
        raise ConflictError(message, reason="lock-request", origin=Origin(source), hint="remove it to import anew")
    return lock


def _publish(
    results: list[ImportResult], directory: Path, keys: list[Path], workshop: Workshop, access: ImportAccess
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[StagedPackage, ...]]:
    """Sign the packages beside the repository, add them in one step, and clear up; names of (added, unchanged) ones, and the
    files that were signed."""
    from apkiln.debian.staging import stage_package
    from apkiln.repository.publishing import add_packages
    from apkiln.repository.signing import signers
    from apkiln.system.files import DiskFiles
    from apkiln.system.parallel import map_in_threads

    # A package for all architectures is the same in every import; the first one counts.
    converted = {(item.info.arch, item.info.name_version): item for result in results[::-1] for item in result.converted}
    wanted = _unpublished(list(converted.values()), directory, workshop)
    unchanged = {item.info.name_version for item in converted.values()} - {item.info.name_version for item in wanted}
    if not wanted:
        return (), tuple(sorted(unchanged)), ()
    found = signers(directory, keys, workshop.files)
    passing = DiskFiles(durable=False)
    staging = directory / _STATE / ".staging"
    passing.make_directory(staging)
    try:
        staged = map_in_threads(
            lambda item: stage_package(item, found, staging, access.store, passing, access.codec), wanted, workshop.jobs
        )
        publication = add_packages(directory, [item.path for item in staged], keys, workshop)
        return publication.added, tuple(sorted(unchanged | set(publication.unchanged))), tuple(staged)
    finally:
        for name in passing.list(staging):
            passing.remove(staging / name)


def _unpublished(converted_packages: list[ConvertedPackage], directory: Path, workshop: Workshop) -> list[ConvertedPackage]:
    """What is to be added: all but what the signed index lists with the same content and whose file is there, and but
    packages that an earlier import published with other relations, which keep their bytes."""
    from apkiln.debian.staging import is_same_import
    from apkiln.formats.apk.package import read_package
    from apkiln.repository.publishing import read_listing

    listed = {
        (arch, record.name, record.version): record
        for arch, records in read_listing(directory, workshop).items()
        for record in records
    }
    wanted: list[ConvertedPackage] = []
    for converted in converted_packages:
        package = converted.package
        arch = next((arch for arch in _places(package.arch, listed) if (arch, package.name, package.version) in listed), "")
        record = listed.get((arch, package.name, package.version))
        if record is not None:
            path = directory / arch / f"{record.name_version}.apk"
            status = workshop.files.status(path)
            if record.identity.hex() == package.identity and status is not None and status.size == record.size:
                continue
            if record.identity.hex() != package.identity and status is not None:
                with workshop.files.open(path) as stream:
                    published = read_package(stream, workshop.limits)
                if is_same_import(package, published):
                    workshop.reporter.note(f"{record.name_version} stays as published: an earlier import mapped it otherwise")
                    continue
        wanted.append(converted)
    return wanted


def _places(arch: str, listed: dict[tuple[str, str, str], IndexRecord]) -> list[str]:
    """Directories where a package of an architecture would lie; one for all architectures lies in each."""
    return sorted({place for place, _, _ in listed}) if arch == "noarch" else [arch]


def _keep_suite(files: DiskFiles, state: Path, suite: str) -> None:
    """Refuse another suite than the one the repository has; the first import decides."""
    from apkiln.core.origin import Origin
    from apkiln.debian.suites import check_same_suite

    path = state / _SUITE
    recorded = files.read(path, 1024) if files.status(path) else b""
    check_same_suite(recorded.decode("utf-8", "replace").strip(), suite, Origin(source=str(path)))
    _write(files, path, recorded, f"{suite}\n".encode())


def _write(files: DiskFiles, path: Path, before: bytes, after: bytes) -> None:
    if before != after:
        with files.create(path, replace=True) as stream:
            stream.write(after)


def _label(names: tuple[str, ...], arch: Arch) -> str:
    """What the records of an import are called."""
    from hashlib import sha256

    label = "+".join(names)
    if len(label) > 100:
        label = f"{names[0][:60]}+{sha256(label.encode()).hexdigest()[:16]}"
    return f"{label}.{arch.apk}"


def _write_statements(
    files: DiskFiles, path: Path, result: ImportResult, staged: tuple[StagedPackage, ...], keys: Sequence[SectionSigner]
) -> None:
    """Signed statements about the packages that were published now, after those about earlier ones."""
    from apkiln.debian.statements import import_statements, package_subject
    from apkiln.formats.attestation.dsse import IN_TOTO, sign, write

    own = {(item.info.arch, item.info.name_version) for item in result.converted}
    subjects = [
        package_subject(f"{item.name_version}.apk", item.sha256) for item in staged if (item.arch, item.name_version) in own
    ]
    if subjects:
        before = files.read(path, _LEDGER_LIMIT) if files.status(path) else b""
        lines = (write(sign(IN_TOTO, payload, keys)) for payload in import_statements(result.lock, subjects))
        _write(files, path, before, before + b"".join(lines))


def _write_lock(files: DiskFiles, path: Path, result: ImportResult) -> None:
    """One record for each set of names and architecture, the latest import of it."""
    _write(files, path, files.read(path, _LEDGER_LIMIT) if files.status(path) else b"", result.lock)


def _report(results: list[ImportResult], added: tuple[str, ...], unchanged: tuple[str, ...], context: Context) -> None:
    if context.settings.json:
        context.output.json(_value(results, added, unchanged))
        return
    packages = {(package.arch, package.name): package for result in results for package in result.packages}
    for package in packages.values():
        context.output.print(f"{package.name} {package.deb_version or '-'} -> {package.name}-{package.version}")
        for step in package.steps if context.settings.verbosity > 0 else ():
            context.output.print(f"  {str(step)[:120]!r}")
    context.output.print(f"{len(added)} added, {len(unchanged)} unchanged")


def _value(results: list[ImportResult], added: tuple[str, ...], unchanged: tuple[str, ...]) -> dict[str, Any]:
    packages = {(package.arch, package.name): package for result in results for package in result.packages}
    return {
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "arch": package.arch,
                "deb_version": package.deb_version,
                "deb_sha256": package.deb_sha256,
                "sha256": package.sha256,
                "size": package.size,
                "scripts": [
                    {
                        "name": script.name,
                        "sha256": script.sha256,
                        "treatment": script.treatment,
                        "untranslated": [fault._asdict() for fault in script.untranslated],
                    }
                    for script in package.scripts
                ],
                "steps": [str(step) for step in package.steps],
                "privileged": list(package.privileged),
            }
            for package in packages.values()
        ],
        "added": list(added),
        "unchanged": list(unchanged),
        "notes": list(dict.fromkeys(note for result in results for note in result.notes)),
    }
