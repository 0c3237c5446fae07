"""Reading and converting packages with the store as memory: work on one `.deb` is done once (spec debian.md §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple, TypeAlias, TypeVar

from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import FaultCollector, InputError, UnavailableError, VerificationError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.core.progress import Reporter
from apkiln.core.value import replace
from apkiln.debian import layout
from apkiln.debian.accounts import AccountRegistry, wanted_accounts
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.conversion import (
    CONVERTER_VERSION,
    MAXIMUM_DATA,
    ConversionPlan,
    UnpackedDeb,
    converted_trees,
    facts_of,
    package_info,
    unpack,
)
from apkiln.debian.facts import FACTS_VERSION, PackageFacts
from apkiln.debian.file_tree import EMPTY_TREE, FileTree
from apkiln.debian.lock import ImportedPackage
from apkiln.debian.maintainer.translating import ScriptOverride
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import DataMember, PackageDraft, write_around, write_data
from apkiln.formats.deflate.codec import Codec
from apkiln.system.package_archive import PackageArchive
from apkiln.system.store import Store

_FACTS_TABLE, _PREPARED_TABLE = "deb-facts", "deb-prepared"
_CHUNK = 1 << 20
_Stored: TypeAlias = tuple[DataMember, DataMember | None, DataMember | None, int]
"""Parts of a package as in `PreparedPackage`, and its newest time."""
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
    documentation: DataMember | None
    """As `data`, of the part that people read; None when there is none."""
    certificates: DataMember | None
    """As `data`, of the bundle of certificate authorities; None when there is none."""
    newest: int
    """Build date: newest time in the control member, Unix seconds."""


@dataclass(frozen=True, slots=True)
class ConvertedPackage:
    """A package whose parts are known; `debian.staging` writes it."""

    package: ImportedPackage
    info: PackageInfo
    data: DataMember
    """Its bytes are the blob of this SHA-256."""


class ScriptRules(NamedTuple):
    """By what maintainer scripts are translated."""

    architecture: str
    """Of the image, Debian name."""
    overrides: Mapping[tuple[str, str], ScriptOverride]
    """By (package, script)."""

    def key(self, package: str) -> str:
        """A digest of all that concerns one package."""
        own = [self.overrides[package, name] for name in ("preinst", "postinst") if (package, name) in self.overrides]
        return hashlib.sha256(canonical_json.encode([self.architecture, own])).hexdigest()[:16]


def prepare_all(
    packages: Sequence[BinaryPackage], rules: ScriptRules, accounts: AccountRegistry, access: ImportAccess
) -> dict[str, PreparedPackage]:
    """Every package by name, read now or earlier.  The input faults of all packages are raised together.

    `accounts` grows by the users and groups that the packages make: all are known before the first file gets an owner.
    """
    # The biggest first: the last one to end decides how long all take.
    order = sorted(packages, key=lambda package: (-package.size, package.name))
    found = _each("convert packages", order, lambda package: _examined(package, rules, accounts, access), access)
    accounts.assign(wanted_accounts(item.facts.translation.steps) for item in found)
    waiting = [package for package, item in zip(order, found, strict=True) if item.prepared is None]
    facts = {item.facts.name: item.facts for item in found}
    later = _each(
        "convert packages with accounts", waiting, lambda item: _finished(item, facts[item.name], accounts, access), access
    )
    done = [*later, *(item.prepared for item in found if item.prepared is not None)]
    return {item.facts.name: item for item in done}


class _Examined(NamedTuple):
    facts: PackageFacts
    prepared: PreparedPackage | None
    """None where an account has no number yet."""


def _examined(package: BinaryPackage, rules: ScriptRules, accounts: AccountRegistry, access: ImportAccess) -> _Examined:
    """The facts of a package, and its files when their owners are known: both need the package to be unpacked."""
    import msgspec

    key = f"{package.sha256}-{FACTS_VERSION}-{rules.key(package.name)}"
    stored = access.store.get(_FACTS_TABLE, key)
    facts: PackageFacts | None = None
    unpacked: UnpackedDeb | None = None
    if stored is not None:
        with suppress(msgspec.DecodeError):  # written by another version of this program
            facts = msgspec.msgpack.decode(stored, type=PackageFacts)
    if facts is None:
        unpacked = _unpacked(package, access)
        facts = facts_of(unpacked, rules.architecture, rules.overrides)
        access.store.put(_FACTS_TABLE, key, msgspec.msgpack.encode(facts))
    if not accounts.knows(wanted_accounts(facts.translation.steps)):
        return _Examined(facts, None)
    return _Examined(facts, _finished(package, facts, accounts, access, unpacked))


def _finished(
    package: BinaryPackage,
    facts: PackageFacts,
    accounts: AccountRegistry,
    access: ImportAccess,
    unpacked: UnpackedDeb | None = None,
) -> PreparedPackage:
    """The files of a package whose accounts all have numbers."""
    import msgspec

    wanted = wanted_accounts(facts.translation.steps)
    numbers = [[accounts.user(name) for name, _ in wanted.users], [accounts.group(name) for name, _ in wanted.groups]]
    steps = hashlib.sha256(canonical_json.encode([facts.translation.steps, numbers])).hexdigest()[:16]
    key = f"{package.sha256}-{CONVERTER_VERSION}-{steps}-{access.codec.name}"
    stored = access.store.get(_PREPARED_TABLE, key)
    if stored is not None:
        with suppress(msgspec.DecodeError):  # written by another version of this program
            data, documentation, certificates, newest = msgspec.msgpack.decode(stored, type=_Stored)
            members = (data, documentation, certificates)
            if all(access.store.size(Digest.sha256(item.sha256)) == item.size for item in members if item):
                return PreparedPackage(facts, data, documentation, certificates, newest)
    unpacked = unpacked or _unpacked(package, access)
    trees = converted_trees(unpacked, facts.translation.steps, accounts)
    data = _store_data(trees.main, access)
    documentation, certificates = (_store_data(tree, access) if tree.entries else None for tree in trees[1:])
    newest = unpacked.control.newest
    access.store.put(_PREPARED_TABLE, key, msgspec.msgpack.encode((data, documentation, certificates, newest)))
    return PreparedPackage(facts, data, documentation, certificates, newest)


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
        if plan.kind == "meta":
            return _assembled(plan, _store_data(EMPTY_TREE, access), 0, None, None, access)
        item = prepared[plan.source]
        data = {"documentation": item.documentation, "certificates": item.certificates}.get(plan.kind, item.data)
        assert data is not None, "planned from the same packages"
        facts = item.facts if plan.kind == "package" else None
        return _assembled(plan, data, item.newest, packages[plan.source], facts, access)

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
        source.version if source and plan.kind != "layout" else "",
        plan.deb_sha256,
        source.source if source else "",
        source.source_version if source else "",
        facts.translation.reports if facts else (),
        facts.translation.steps if facts else (),
        facts.privileged if facts else (),
    )
    return ConvertedPackage(package, written.info, data)


def _each(task: str, items: Sequence[_T], work: Callable[[_T], _R], access: ImportAccess) -> list[_R]:
    """`work` on every item by threads, results in item order; the input faults of all items are raised together."""
    from concurrent.futures import ThreadPoolExecutor

    if not items:
        return []
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
