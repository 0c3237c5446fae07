"""`apkiln deb import`: Debian packages and what they need become packages of a repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.debian.converting import ConvertedPackage, ImportAccess
    from apkiln.debian.importing import ImportResult
    from apkiln.formats.deb.sources import Source
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
_SUITE = "suite"
_LEDGER_LIMIT = 1 << 30


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="+", help="Debian package to import with its dependencies")
    parser.add_argument("--repo", metavar="DIR", required=True, help="repository directory; made by `apkiln repo init`")
    parser.add_argument("--key", metavar="FILE", action="append", default=[], help="private key to sign with")
    parser.add_argument("--suite", metavar="NAME", default="", help="such as `bookworm` (default: the suite of this machine)")
    parser.add_argument("--arch", metavar="ARCH", default="host", help="architecture (default: the one of this machine)")
    parser.add_argument(
        "--prune",
        choices=("none", "installer"),
        default="none",
        help="`installer`: leave out, with proof, what only maintainer scripts need",
    )
    parser.add_argument("--essential", choices=("none",), default="none", help="Debian's essential packages are not added")
    parser.add_argument("--sources", metavar="FILE", help="apt source list to use instead of the machine's")
    parser.add_argument("--keyring", metavar="FILE", help="keyring of the archives that `--sources` names without one")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.debian.importing import ImportRequest, import_packages
    from apkiln.debian.lock import read_ledger, write_ledger
    from apkiln.debian.suites import ORIGINS, base_suite
    from apkiln.repository.publishing import Workshop
    from apkiln.system.files import DiskFiles

    settings = context.settings
    here = Path(settings.working_directory)
    directory, files = here / arguments.repo, DiskFiles()
    keys = [here / key for key in arguments.key]
    arch = _arch(arguments.arch)
    workshop = Workshop(files, settings.limits, context.reporter, settings.jobs)
    _check_repository(directory, files)
    sources = _sources(arguments, context, files, here)
    access = _access(context, arch, sources)
    request = ImportRequest(tuple(arguments.names), arch, arguments.prune, () if arguments.sources else ORIGINS)
    state = directory / _STATE
    files.make_directory(state)
    with files.lock(state / ".lock"):
        _keep_suite(files, state, base_suite(sources))
        ledger = state / _LEDGER
        known = files.read(ledger, _LEDGER_LIMIT) if files.status(ledger) else b""
        result = import_packages(request, read_ledger(known, str(ledger)), access)
        # The versions are on disk before a package of theirs is published: none is ever given out twice.
        _write(files, ledger, known, write_ledger(result.ledger))
        added, unchanged = _publish(result, directory, keys, workshop, access)
        _write_lock(files, state, request.names, arch, result)
    for note in result.notes:
        context.reporter.note(note)
    _report(result, added, unchanged, context)
    return 0


def _arch(name: str) -> Arch:
    from os import uname

    from apkiln.core.arch import KNOWN, Arch
    from apkiln.core.errors import UsageError

    arch = Arch.parse(uname().machine if name == "host" else name)
    if arch not in KNOWN:
        raise UsageError(f"Debian has no architecture `{name}`", reason="unknown-architecture")
    return arch


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


def _access(context: Context, arch: Arch, sources: tuple[Source, ...]) -> ImportAccess:
    from pathlib import Path

    from apkiln.debian.converting import ImportAccess
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.system.apt import AptArchive
    from apkiln.system.clock import SystemClock
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles
    from apkiln.system.process import SystemRunner

    settings = context.settings
    cache = Path(settings.cache_directory)
    store = DirectoryStore(cache)
    files = DiskFiles(durable=False)
    archive = AptArchive(
        SystemRunner(), files, store, cache / "apt", sources, arch.debian,
        settings.environment, offline=settings.offline,
    )  # fmt: skip
    return ImportAccess(
        archive, store, context.reporter, canonical_codec(), settings.limits, settings.jobs, int(SystemClock().now())
    )


def _sources(arguments: argparse.Namespace, context: Context, files: DiskFiles, here: Path) -> tuple[Source, ...]:
    from dataclasses import replace
    from pathlib import Path

    from apkiln.core.errors import UsageError
    from apkiln.debian.suites import select_sources
    from apkiln.system.apt_sources import machine_sources, read_list

    if not arguments.sources:
        if arguments.keyring:
            raise UsageError("`--keyring` belongs to `--sources`", reason="bad-arguments")
        found = machine_sources(files, Path("/etc/apt"))
        for skipped in found.skipped if context.settings.verbosity > 0 else ():
            context.reporter.note(skipped)
        return select_sources(found.sources, arguments.suite)
    keyring = str((here / arguments.keyring).absolute()) if arguments.keyring else ""
    listed = [replace(source, signed_by=source.signed_by or keyring) for source in read_list(files, here / arguments.sources)]
    if not all(source.signed_by for source in listed):
        raise UsageError("a source names no keyring", reason="missing-keyring", hint="give it with `--keyring FILE`")
    return select_sources(listed, arguments.suite)


def _publish(
    result: ImportResult, directory: Path, keys: list[Path], workshop: Workshop, access: ImportAccess
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sign the packages beside the repository, add them in one step, and clear up; names of (added, unchanged) ones."""
    from apkiln.debian.staging import stage_package
    from apkiln.repository.publishing import add_packages
    from apkiln.repository.signing import signers
    from apkiln.system.files import DiskFiles
    from apkiln.system.parallel import map_in_threads

    wanted = _unpublished(result, directory, workshop)
    unchanged = {item.info.name_version for item in result.converted} - {item.info.name_version for item in wanted}
    if not wanted:
        return (), tuple(sorted(unchanged))
    found = signers(directory, keys, workshop.files)
    passing = DiskFiles(durable=False)
    staging = directory / _STATE / ".staging"
    passing.make_directory(staging)
    try:
        paths = map_in_threads(
            lambda item: stage_package(item, found, staging, access.store, passing, access.codec), wanted, workshop.jobs
        )
        publication = add_packages(directory, list(paths), keys, workshop)
        return publication.added, tuple(sorted(unchanged | set(publication.unchanged)))
    finally:
        for name in passing.list(staging):
            passing.remove(staging / name)


def _unpublished(result: ImportResult, directory: Path, workshop: Workshop) -> list[ConvertedPackage]:
    """What is to be added: all but what the signed index lists with the same content and whose file is there, and but
    packages that an earlier import published with other relations, which keep their bytes."""
    from apkiln.debian.staging import is_same_import
    from apkiln.formats.apk.package import read_package
    from apkiln.repository.publishing import read_listing

    listed = {
        (record.name, record.version): (arch, record)
        for arch, records in read_listing(directory, workshop).items()
        for record in records
    }
    wanted: list[ConvertedPackage] = []
    for converted in result.converted:
        package = converted.package
        known = listed.get((package.name, package.version))
        if known is not None:
            arch, record = known
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


def _write_lock(files: DiskFiles, state: Path, names: tuple[str, ...], arch: Arch, result: ImportResult) -> None:
    """One record for each set of names and architecture, the latest import of it."""
    from hashlib import sha256

    label = "+".join(names)
    if len(label) > 100:
        label = f"{names[0][:60]}+{sha256(label.encode()).hexdigest()[:16]}"
    path = state / f"{label}.{arch.apk}.json"
    _write(files, path, files.read(path, _LEDGER_LIMIT) if files.status(path) else b"", result.lock)


def _report(result: ImportResult, added: tuple[str, ...], unchanged: tuple[str, ...], context: Context) -> None:
    if context.settings.json:
        context.output.json(_value(result, added, unchanged))
        return
    for package in result.packages:
        scripts = sorted({command for script in package.scripts for command in script.not_covered()})
        told = f"  scripts left out: {', '.join(scripts)}" if scripts and context.settings.verbosity > 0 else ""
        context.output.print(f"{package.name} {package.deb_version or '-'} -> {package.name}-{package.version}{told}")
    context.output.print(f"{len(added)} added, {len(unchanged)} unchanged")


def _value(result: ImportResult, added: tuple[str, ...], unchanged: tuple[str, ...]) -> dict[str, Any]:
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
                    {"name": script.name, "sha256": script.sha256, "not_covered": list(script.not_covered())}
                    for script in package.scripts
                ],
                "privileged": list(package.privileged),
            }
            for package in result.packages
        ],
        "added": list(added),
        "unchanged": list(unchanged),
        "notes": list(result.notes),
    }
