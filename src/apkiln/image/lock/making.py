"""From a resolved plan and the facts of its packages to a lock (spec image.md §4.1, §4.2).  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from apkiln.acquire.facts import PackageFacts
from apkiln.acquire.index_facts import IndexFacts
from apkiln.acquire.repositories import Repository, parse_repositories
from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.secret import redact_url
from apkiln.core.value import value
from apkiln.formats.oci.documents import created_time
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.configuration.model import PathMutation, RepositoryEntry
from apkiln.image.dependency_graph import dependency_graph
from apkiln.image.generated.paths import LocalTree
from apkiln.image.lock.document import Lock, LockedBase, LockedFile, LockedKey, LockedPackage, LockedRepository
from apkiln.image.resolving import Resolution, ResolvedArchitecture


class IndexKey(NamedTuple):
    """Which index is meant."""

    url: str
    """Of the file, without credentials."""
    architecture: str


@value
class Findings:
    """What was looked up for a lock."""

    packages: tuple[tuple[PackageFacts, ...], ...]
    """For each architecture of the resolution, in install order."""
    indexes: Mapping[IndexKey, IndexFacts]
    local: LocalTree
    """Files that `paths` copies."""


def make_lock(
    name: str, loaded: LoadedConfiguration, resolution: Resolution, findings: Findings, flags: Sequence[str] = ()
) -> Lock:
    """The lock of a resolution.  Equal arguments give equal locks; nothing of the machine or the hour is in it.

    `name`: the definition's path as it was typed; `flags`: those that decided about packages, in the order of their names.
    """
    contents = loaded.configuration.contents
    order = {arch: number for number, arch in enumerate(_as_written(loaded.configuration.archs))}
    resolved = sorted(
        zip(resolution.architectures, findings.packages, strict=True),
        key=lambda pair: order.get(pair[0].plan.arch.apk, len(order)),
    )
    archs = [item.plan.arch.apk for item, _ in resolved]

    def repositories(entries: Iterable[RepositoryEntry]) -> tuple[LockedRepository, ...]:
        return _repositories([entry.redacted for entry in entries], archs, findings.indexes)

    packages: list[LockedPackage] = []
    for architecture, facts in resolved:
        packages += _packages(architecture, facts)
    return Lock(
        name,
        loaded.checksum,
        _keys(loaded, resolution),
        repositories(contents.build_repositories),
        repositories(contents.runtime_repositories),
        repositories(contents.repositories),
        tuple(packages),
        tuple((item.plan.arch.apk, _requested(item, loaded)) for item, _ in resolved),
        tuple(flags),
        resolution.drift,
        locked_files(loaded, findings.local),
        tuple(
            LockedBase(item.plan.arch.apk, str(item.base.stored.identity))
            for item in resolution.architectures
            if item.base is not None
        ),
    )


def _as_written(archs: Iterable[str]) -> tuple[str, ...]:
    """apk names in the order of the definition, which is that of rows in the lock.  `all` and `host` have no place."""
    return tuple(dict.fromkeys(Arch.parse(name).apk for name in archs if name not in ("all", "host")))


def _requested(item: ResolvedArchitecture, loaded: LoadedConfiguration) -> tuple[str, ...]:
    """The world as the definition asks for it, without what a base image asked for itself."""
    if item.base is None:
        return item.plan.world
    asked = {request.text for request in loaded.configuration.requests_for(item.plan.arch)}
    return tuple(entry for entry in item.plan.world if entry in asked)


def locked_files(loaded: LoadedConfiguration, local: LocalTree) -> tuple[LockedFile, ...]:
    """The definition with its includes in load order, then what `paths` copies, by path."""
    read = zip(loaded.files, loaded.digests, strict=True)
    definitions = [LockedFile(redact_url(path), "definition", digest) for path, digest in read]
    copied = {mutation.from_path: _local_file(mutation, local) for mutation in loaded.configuration.paths if mutation.from_path}
    return (*definitions, *(copied[path] for path in sorted(copied)))


def _local_file(mutation: PathMutation, local: LocalTree) -> LockedFile:
    found = local[mutation.from_path]
    if mutation.type != "tree":
        return LockedFile(mutation.from_path, "file", hashlib.sha256(found[0][1]).hexdigest())
    listing = [[entry.path, entry.type.name, entry.mode, hashlib.sha256(content).hexdigest()] for entry, content in found]
    return LockedFile(mutation.from_path, "tree", hashlib.sha256(canonical_json.encode(listing)).hexdigest())


def _keys(loaded: LoadedConfiguration, resolution: Resolution) -> tuple[LockedKey, ...]:
    from apkiln.acquire.keyring import key_name

    keys: dict[str, LockedKey] = {}
    for entry in loaded.configuration.contents.keyring:
        key = resolution.keyring.named(key_name(entry.location))
        url = redact_url(entry.location)
        if key is not None:
            keys[url] = LockedKey(_without_scheme(url), url, key.pem.decode())
    for item in resolution.discovered:
        keys.setdefault(item.url, LockedKey(_without_scheme(item.url), item.url, item.key.pem.decode(), discovered=True))
    return tuple(sorted(keys.values(), key=lambda key: key.name))


def _repositories(
    lines: Iterable[str], archs: Iterable[str], indexes: Mapping[IndexKey, IndexFacts]
) -> tuple[LockedRepository, ...]:
    """One row for each repository and architecture, architectures outermost, equal rows once."""
    repositories = parse_repositories(lines)
    rows = [_repository(repository, arch, indexes) for arch in archs for repository in repositories]
    return tuple(dict.fromkeys(rows))


def _repository(repository: Repository, arch: str, indexes: Mapping[IndexKey, IndexFacts]) -> LockedRepository:
    url = repository.index_url(arch)
    place = url.removesuffix("/APKINDEX.tar.gz")
    name = place if repository.tag else _without_scheme(place)  # apko leaves the scheme where there is a tag
    facts = indexes.get(IndexKey(url, arch))
    if facts is None:
        return LockedRepository(name, url, arch)
    fetched = created_time(facts.newest) if facts.newest else ""
    return LockedRepository(name, url, arch, facts.sha256, fetched, facts.generation)


def _packages(architecture: ResolvedArchitecture, facts: Sequence[PackageFacts]) -> Iterable[LockedPackage]:
    arch = architecture.plan.arch.apk
    graph = dependency_graph(architecture.plan.world, [item.record for item in architecture.selected])
    needs, requests = graph.needs(), graph.requests()
    planned_packages = [item for item in architecture.plan.packages if not item.from_base]
    rows = zip(planned_packages, architecture.selected, facts, strict=True)
    for number, (planned, selected, found) in enumerate(rows, 1):
        record = selected.record
        yield LockedPackage(
            record.name,
            redact_url(selected.repository.package_locations(record, arch)[-1]),
            record.version,
            arch,
            found.signature,
            found.control,
            found.data,
            found.record.identity,
            found.sha256.hex,
            found.record.size,
            record.origin,
            needs[record.name],
            requests.get(record.name, ()),
            planned.tag,
            "" if record.arch == arch else record.arch,
            number,
        )


def _without_scheme(url: str) -> str:
    return url.partition("://")[2] or url
