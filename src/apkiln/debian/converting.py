"""Reading and converting packages with the store as memory: work on one `.deb` is done once (spec debian.md §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

from apkiln.core.digest import Digest
from apkiln.core.errors import FaultCollector, InputError, UnavailableError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.core.progress import Reporter
from apkiln.core.value import replace
from apkiln.debian import layout
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.conversion import (
    CONVERTER_VERSION,
    MAXIMUM_DATA,
    ConversionPlan,
    UnpackedDeb,
    converted_tree,
    facts_of,
    package_info,
    unpack,
)
from apkiln.debian.facts import FACTS_VERSION, PackageFacts
from apkiln.debian.file_tree import FileTree
from apkiln.debian.lock import ImportedPackage
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import DataMember, PackageDraft, write_around, write_data
from apkiln.formats.deflate.codec import Codec
from apkiln.system.package_archive import PackageArchive
from apkiln.system.store import Store

_PREPARED_TABLE = "deb-prepared"
_CHUNK = 1 << 20
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class ImportAccess:
    """The objects an import works with."""

    archive: PackageArchive
    store: Store
    reporter: Reporter
    codec: Codec
    limits: Limits
    jobs: int
    """Worker threads."""
    now: int
    """Unix seconds, to judge `Valid-Until`."""


@dataclass(frozen=True, slots=True)
class PreparedPackage:
    """A `.deb` read once: what its files tell, and its files as the data member of a package, in the store.

    Nothing here depends on relations or versions, so a package that is mapped anew is not unpacked again.
    """

    facts: PackageFacts
    data: DataMember
    """Its bytes are the blob of this SHA-256."""
    newest: int
    """Build date: newest time in the control member, Unix seconds."""


@dataclass(frozen=True, slots=True)
class ConvertedPackage:
    """A package whose parts are known; `debian.staging` writes it."""

    package: ImportedPackage
    info: PackageInfo
    data: DataMember
    """Its bytes are the blob of this SHA-256."""


def prepare_all(packages: Sequence[BinaryPackage], access: ImportAccess) -> dict[str, PreparedPackage]:
    """Every package by name, read now or earlier.  The input faults of all packages are raised together."""
    # The biggest first: the last one to end decides how long all take.
    order = sorted(packages, key=lambda package: (-package.size, package.name))
    found = _each("convert packages", order, lambda package: _prepared(package, access), access)
    return {item.facts.name: item for item in found}


def _prepared(package: BinaryPackage, access: ImportAccess) -> PreparedPackage:
    import msgspec

    key = f"{package.sha256}-{FACTS_VERSION}-{CONVERTER_VERSION}-{access.codec.name}"
    stored = access.store.get(_PREPARED_TABLE, key)
    if stored is not None:
        with suppress(msgspec.DecodeError):  # written by another version of this program
            known = msgspec.msgpack.decode(stored, type=PreparedPackage)
            if access.store.size(Digest.sha256(known.data.sha256)) == known.data.size:
                return known
    unpacked = _unpacked(package, access)
    tree = converted_tree(unpacked, f"{package.name} {package.version}")
    prepared = PreparedPackage(facts_of(unpacked), _store_data(tree, access), unpacked.control.newest)
    access.store.put(_PREPARED_TABLE, key, msgspec.msgpack.encode(prepared))
    return prepared


def _store_data(tree: FileTree, access: ImportAccess) -> DataMember:
    spool = BytesIO()
    data = write_data(tree.entries, lambda path: (tree.contents[path],), access.codec, spool)
    with access.store.writer() as writer:
        writer.write(spool.getvalue())
        writer.commit(Digest.sha256(data.sha256))
    return data


def _unpacked(package: BinaryPackage, access: ImportAccess) -> UnpackedDeb:
    """The file of a list entry, which must be the package the list speaks of."""
    name = f"{package.name} {package.version}"
    stream = access.store.open(Digest.sha256(bytes.fromhex(package.sha256)))
    if stream is None:
        message = "the package file is gone from the cache"
        raise UnavailableError(message, reason="missing-blob", origin=Origin(package=name), retriable=True)
    with stream:
        if hashlib.sha256(stream.read(package.size + 1)).hexdigest() != package.sha256:
            raise _damaged(package, name, access.store)
        unpacked = unpack(stream, name, _bounded(access.limits))
    fields = unpacked.control.fields
    if (fields.get("Package"), fields.get("Version")) != (package.name, package.version):
        message = "the file is another package than its list says"
        raise VerificationError(message, reason="chain-hash", origin=Origin(package=name))
    return unpacked


def _damaged(package: BinaryPackage, name: str, store: Store) -> VerificationError:
    """The cache is no more trusted than the network; what is damaged leaves it, so that the next run fetches it anew."""
    digest = Digest.sha256(bytes.fromhex(package.sha256))
    store.discard(digest)
    return VerificationError(
        "the cached package file is damaged",
        reason="chain-hash",
        origin=Origin(package=name, digest=str(digest)),
        hint="run the command again: the file was removed from the cache",
        retriable=True,
    )


def _bounded(limits: Limits) -> Limits:
    return replace(limits, data_decompressed=min(limits.data_decompressed, MAXIMUM_DATA))


def convert_all(
    plans: Sequence[ConversionPlan],
    packages: Mapping[str, BinaryPackage],
    layout_source: BinaryPackage | None,
    prepared: Mapping[str, PreparedPackage],
    access: ImportAccess,
) -> tuple[ConvertedPackage, ...]:
    """The packages of plans, by name.  `packages` and `prepared` hold every plan's but the layout's."""

    def convert(plan: ConversionPlan) -> ConvertedPackage:
        if plan.kind == "layout":
            return _assembled(plan, *_layout(plan, layout_source, access), access)
        item = prepared[plan.mapped.name]
        return _assembled(plan, item.data, item.newest, packages[plan.mapped.name], item.facts, access)

    return tuple(sorted(_each("assemble packages", plans, convert, access), key=lambda item: item.package.name))


def _layout(
    plan: ConversionPlan, source: BinaryPackage | None, access: ImportAccess
) -> tuple[DataMember, int, BinaryPackage | None, None]:
    if source is None:
        return _store_data(layout.layout_tree(plan.mapped.arch, None, 0), access), 0, None, None
    unpacked = _unpacked(source, access)
    newest = unpacked.control.newest
    return _store_data(layout.layout_tree(plan.mapped.arch, unpacked.tree, newest), access), newest, source, None


def _assembled(
    plan: ConversionPlan,
    data: DataMember,
    newest: int,
    source: BinaryPackage | None,
    facts: PackageFacts | None,
    access: ImportAccess,
) -> ConvertedPackage:
    """The package around a data member, as digests: its bytes are put together when it is published (`debian.staging`)."""
    stream = access.store.open(Digest.sha256(data.sha256))
    if stream is None:
        raise UnavailableError(
            "converted files are gone from the cache",
            reason="missing-blob",
            origin=Origin(package=plan.mapped.name),
            retriable=True,
        )
    with stream:
        draft = PackageDraft(package_info(plan.mapped, newest), ())
        written = write_around(draft, data, iter(lambda: stream.read(_CHUNK), b""), access.codec, lambda chunk: None)
    mapped = plan.mapped
    package = ImportedPackage(
        mapped.name,
        mapped.version,
        mapped.arch,
        written.sha256.hex(),
        written.size,
        written.identity.hex(),
        source.version if source and facts else "",
        plan.deb_sha256,
        source.source if source else "",
        source.source_version if source else "",
        facts.scripts if facts else (),
        facts.privileged if facts else (),
    )
    return ConvertedPackage(package, written.info, data)


def _each(task: str, items: Sequence[_T], work: Callable[[_T], _R], access: ImportAccess) -> list[_R]:
    """`work` on every item by threads, results in item order; the input faults of all items are raised together."""
    from concurrent.futures import ThreadPoolExecutor

    faults = FaultCollector.empty()
    results: list[_R] = []
    access.reporter.start(task, len(items), "packages")
    with ThreadPoolExecutor(max(1, access.jobs)) as pool:
        for future in [pool.submit(work, item) for item in items]:
            try:
                results.append(future.result())
            except (InputError, VerificationError) as fault:
                faults.add(fault)
            access.reporter.advance(task, 1)
    access.reporter.finish(task)
    faults.raise_if_any()
    return results
