"""One index file made from package files anywhere, as melange's `index` does (spec package.md §15.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, ConflictError, FaultGroup
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.index import record_of, write_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.deflate.codec import Codec
from apkiln.repository.layout import NOARCH
from apkiln.repository.resigning import read_tolerantly
from apkiln.system.files import Files
from apkiln.system.parallel import map_in_threads


class IndexRequest(NamedTuple):
    """What to make."""

    packages: tuple[PurePath, ...]
    target: PurePath
    older: PurePath | None = None
    """An index whose entries are kept; those of a package that is given again give way.  Absent = an empty one."""
    arch: str = ""
    """Only packages of this architecture, and of `noarch`, which are listed for it; empty = all, as they are."""
    prune: bool = False
    """Older entries whose file is not beside the index go."""
    description: str = ""


class MadeIndex(NamedTuple):
    """What came of it."""

    records: int
    added: tuple[str, ...]
    """`name-version` of packages that were not listed before, or with other content."""
    pruned: tuple[str, ...]
    passed_over: tuple[PurePath, ...]
    """Of another architecture."""
    digest: Digest


def make_index(
    request: IndexRequest,
    signers: Sequence[SectionSigner],
    files: Files,
    codec: Codec,
    limits: Limits = DEFAULT_LIMITS,
    jobs: int = 2,
) -> MadeIndex:
    """Read every package completely and write the index, whole and in its place; writers wait for each other.

    Raises what `read_package` raises (faults of all packages at once), what `read_index` raises for an older index that is
    damaged, and ConflictError `package-twice` for two different packages of one name and version.
    """
    import hashlib

    packages = _packages(request.packages, files, limits, jobs)
    wanted = [item for item in packages if not request.arch or item[1].info.arch in (request.arch, NOARCH)]
    with files.lock(request.target.with_name(f".{request.target.name}.lock")):
        records = {record[:2]: record for record in _older(request, files, limits)}
        added: list[str] = []
        seen: dict[tuple[str, str], PurePath] = {}
        for path, contents in wanted:
            record = _record(contents, request.arch)
            _refuse_second(record, path, seen, records)
            if records.get(record[:2]) != record:
                added.append(record.name_version)
            records[record[:2]] = record
        pruned = [record for record in records.values() if request.prune and _is_gone(record, request.target, files)]
        for record in pruned:
            del records[record[:2]]
        content = write_index(records.values(), request.description, codec, signers)
        with files.create(request.target, replace=True) as stream:
            stream.write(content)
    passed_over = tuple(path for path, contents in packages if (path, contents) not in wanted)
    gone = tuple(sorted(record.name_version for record in pruned))
    return MadeIndex(len(records), tuple(sorted(added)), gone, passed_over, Digest.sha256(hashlib.sha256(content).digest()))


def _packages(paths: Sequence[PurePath], files: Files, limits: Limits, jobs: int) -> list[tuple[PurePath, PackageContents]]:
    def read(path: PurePath) -> PackageContents | ApkilnError:
        try:
            with files.open(path) as stream:
                return read_package(stream, limits)
        except ApkilnError as error:
            return error.located(Origin(str(path)))

    found: list[tuple[PurePath, PackageContents]] = []
    faults: list[ApkilnError] = []
    work: Callable[[PurePath], PackageContents | ApkilnError] = read
    for path, result in zip(paths, map_in_threads(work, paths, jobs), strict=True):
        if isinstance(result, ApkilnError):
            faults.append(result)
        else:
            found.append((path, result))
    if faults:
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)
    return found


def _older(request: IndexRequest, files: Files, limits: Limits) -> tuple[IndexRecord, ...]:
    if request.older is None or files.status(request.older) is None:
        return ()
    try:
        return parse_index_text(
            read_tolerantly(files.read(request.older, limits.index_decompressed), limits).text, limits
        ).records
    except ApkilnError as error:
        error.hint = error.hint or "the index is damaged: remove it, or make it anew from all packages without `--merge`"
        error.located(Origin(str(request.older)))
        raise


def _record(contents: PackageContents, arch: str) -> IndexRecord:
    record = record_of(contents)
    return record._replace(arch=arch) if arch and record.arch == NOARCH else record


def _refuse_second(
    record: IndexRecord,
    path: PurePath,
    seen: dict[tuple[str, str], PurePath],
    records: dict[tuple[str, str], IndexRecord],
) -> None:
    key = (record.name, record.version)
    if key in seen and records[key] != record:
        message = f"`{path}` and `{seen[key]}` are different packages of one version"
        raise ConflictError(message, reason="package-twice", origin=Origin(str(path), package=record.name_version))
    seen[key] = path


def _is_gone(record: IndexRecord, target: PurePath, files: Files) -> bool:
    return files.status(target.parent / f"{record.name_version}.apk") is None
