"""Reading and converting packages with the store as memory: work on one `.deb` is done once (spec debian.md §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TypeVar

from apkiln.core.digest import Digest
from apkiln.core.errors import FaultCollector, InputError, UnavailableError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.core.progress import Reporter
from apkiln.debian import layout
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.conversion import (
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
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.deflate.codec import Codec
from apkiln.system.package_archive import PackageArchive
from apkiln.system.store import Store

_FACTS_TABLE = "deb-facts"
_CONVERSIONS_TABLE = "deb-conversions"
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


def all_facts(packages: Sequence[BinaryPackage], access: ImportAccess) -> dict[str, PackageFacts]:
    found = _each("read packages", packages, lambda package: _facts(package, access), access)
    return {facts.name: facts for facts in found}


def _facts(package: BinaryPackage, access: ImportAccess) -> PackageFacts:
    import msgspec

    key = f"{package.sha256}-{FACTS_VERSION}"
    stored = access.store.get(_FACTS_TABLE, key)
    if stored is not None:
        with suppress(msgspec.DecodeError):  # written by another version of this program
            return msgspec.json.decode(stored, type=PackageFacts)
    facts = facts_of(_unpacked(package, access))
    access.store.put(_FACTS_TABLE, key, msgspec.json.encode(facts))
    return facts


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
    facts: Mapping[str, PackageFacts],
    access: ImportAccess,
) -> tuple[ImportedPackage, ...]:
    def convert(plan: ConversionPlan) -> ImportedPackage:
        package = layout_source if plan.kind == "layout" else packages[plan.mapped.name]
        converted = _converted(plan, package, access)
        told = None if plan.kind == "layout" else facts[plan.mapped.name]
        return ImportedPackage(
            plan.mapped.name,
            plan.mapped.version,
            plan.mapped.arch,
            converted.sha256,
            converted.size,
            converted.identity,
            package.version if package and told else "",
            plan.deb_sha256,
            package.source if package else "",
            package.source_version if package else "",
            told.scripts if told else (),
            told.privileged if told else (),
        )

    # The biggest first: the last one to end decides how long all take.
    order = sorted(plans, key=lambda plan: -packages[plan.mapped.name].size if plan.mapped.name in packages else 0)
    return tuple(sorted(_each("convert packages", order, convert, access), key=lambda item: item.name))


@dataclass(frozen=True, slots=True)
class _Converted:
    """A conversion whose blob is in the store."""

    sha256: str
    size: int
    identity: str


def _converted(plan: ConversionPlan, package: BinaryPackage | None, access: ImportAccess) -> _Converted:
    """The conversion of a plan, made now or earlier."""
    import msgspec

    key = plan.key(access.codec.name)
    stored = access.store.get(_CONVERSIONS_TABLE, key)
    if stored is not None:
        with suppress(msgspec.DecodeError):
            known = msgspec.json.decode(stored, type=_Converted)
            if access.store.size(Digest.sha256(bytes.fromhex(known.sha256))) == known.size:
                return known
    tree, newest = _tree_of(plan, package, access)
    draft = PackageDraft(package_info(plan.mapped, newest), tree.entries)
    with access.store.writer() as writer:
        written = write_package(draft, lambda path: (tree.contents[path],), access.codec, BytesIO(), writer.write)
        digest = writer.commit(Digest.sha256(written.sha256))
    converted = _Converted(digest.hex, written.size, written.identity.hex())
    access.store.put(_CONVERSIONS_TABLE, key, msgspec.json.encode(converted))
    return converted


def _tree_of(plan: ConversionPlan, package: BinaryPackage | None, access: ImportAccess) -> tuple[FileTree, int]:
    if package is None:
        return layout.layout_tree(plan.mapped.arch, None, 0), 0
    unpacked = _unpacked(package, access)
    if plan.kind == "layout":
        return layout.layout_tree(plan.mapped.arch, unpacked.tree, unpacked.control.newest), unpacked.control.newest
    return converted_tree(unpacked, f"{plan.mapped.name}-{plan.mapped.version}"), unpacked.control.newest


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
