"""Locks, plans and images as rows to compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from apkiln.core.arch import Arch
from apkiln.core.limits import Limits
from apkiln.core.secret import redact_url
from apkiln.formats.apk.identity import identity_text
from apkiln.image.configuration.model import Pairs
from apkiln.image.difference.contents import UNKNOWN, ArchitectureContents, Contents, FileRow, PackageRow
from apkiln.image.lock.document import Lock
from apkiln.image.resolving import Resolution

if TYPE_CHECKING:
    from apkiln.formats.apk.installed import InstalledPackage
    from apkiln.formats.oci.documents import Configuration
    from apkiln.image.audit.layered_tree import Found, LayeredTree
    from apkiln.image.place import Place
    from apkiln.image.stored import StoredImage
    from apkiln.system.files import FileReader


def contents_of_lock(lock: Lock, name: str, *, with_indexes: bool = True) -> Contents:
    """`with_indexes`: whether which index was used counts, beside what was chosen from it."""
    requested = dict(lock.requested)
    architectures = [
        ArchitectureContents(
            arch,
            tuple(
                PackageRow(row.name, row.version, row.origin, identity_text(row.identity))
                for row in sorted(lock.of(arch), key=lambda row: row.name)
            ),
            settings=_requested(requested.get(arch), lock.is_ours, with_indexes),
        )
        for arch in sorted(lock.architectures)
    ]
    return Contents(name, tuple(architectures), _sorted(_lock_settings(lock, with_indexes)))


def _requested(world: tuple[str, ...] | None, is_ours: bool, with_indexes: bool) -> Pairs:
    if world is not None:
        return (("requested", " ".join(world)),)
    return (("requested", UNKNOWN),) if with_indexes and not is_ours else ()


def contents_of_resolution(resolution: Resolution, name: str, *, with_requests: bool = True) -> Contents:
    """A plan that is not written down yet; comparable with a lock without indexes.  `with_requests`: as locks of ours have
    them, and those of apko do not."""
    architectures = [
        ArchitectureContents(
            item.plan.arch.apk,
            tuple(
                PackageRow(record.name, record.version, record.origin, identity_text(record.identity))
                for record in sorted((package.record for package in item.plan.packages), key=lambda record: record.name)
            ),
            settings=(("requested", " ".join(item.plan.world)),) if with_requests else (),
        )
        for item in sorted(resolution.architectures, key=lambda item: item.plan.arch.apk)
    ]
    return Contents(name, tuple(architectures), (("definition", resolution.plan.configuration_checksum),))


def read_contents(files: FileReader, path: PurePath, limits: Limits, arch: Arch | None = None) -> Contents:
    """The lock or image at `path`; of an image with several architectures all, or the one asked for.

    Raises what `parse_lock`, `open_place`, `stored_images` and the layer reader raise.
    """
    if _is_document(files, path):
        from apkiln.image.lock.reading import parse_lock

        found = contents_of_lock(parse_lock(files.read(path, limits.document), str(path), limits), str(path))
    else:
        from apkiln.image.place import open_place
        from apkiln.image.stored import stored_images

        place = open_place(files, path, limits)
        images = [image for image in stored_images(place, limits) if arch is None or image.arch == arch]
        contents = sorted((_contents_of_image(place, image, limits) for image in images), key=lambda item: item.arch)
        found = Contents(str(path), tuple(contents), has_files=True)
    if arch is None:
        return found
    chosen = tuple(item for item in found.architectures if item.arch == arch.apk)
    return Contents(found.name, chosen, found.settings, found.has_files)


def _is_document(files: FileReader, path: PurePath) -> bool:
    status = files.status(path)
    if status is None or not status.is_file:
        return False
    with files.open(path) as stream:
        return stream.read(64).lstrip().startswith(b"{")


def _lock_settings(lock: Lock, with_indexes: bool) -> Iterator[tuple[str, str]]:
    if lock.configuration_checksum:
        yield "definition", lock.configuration_checksum
    if not with_indexes:
        return
    for key in lock.keyring:
        yield f"key {key.name}", hashlib.sha256(key.content.encode()).hexdigest()
    for repository in (*lock.repositories, *lock.build_repositories):
        yield f"index {redact_url(repository.url)}", repository.generation or repository.index_sha256 or UNKNOWN
    for repository in lock.runtime_repositories:
        yield f"runtime repository {redact_url(repository.url)}", "written"
    for file in lock.files:
        if file.kind != "definition":
            yield f"{file.kind} {file.path}", file.sha256
    if lock.flags:
        yield "flags", " ".join(lock.flags)
    if lock.drift:
        yield "drift", " ".join(lock.drift)


def _contents_of_image(place: Place, image: StoredImage, limits: Limits) -> ArchitectureContents:
    from apkiln.formats.apk.installed import parse_installed
    from apkiln.image.audit.auditing import DATABASES, read_image

    read = read_image(place, image, limits)
    database = next((read.documents[path] for path in DATABASES if path in read.documents), b"")
    installed = parse_installed(database) if database else ()
    owners = dict(_owners(read.tree, installed))
    files = [_file(path, found, owners.get(path, "")) for path, found in sorted(read.tree.found.items())]
    return ArchitectureContents(
        image.arch.apk,
        tuple(sorted(_package(package) for package in installed)),
        tuple(files),
        _sorted(_configuration(image.configuration)),
    )


def _package(package: InstalledPackage) -> PackageRow:
    record = package.record
    return PackageRow(record.name, record.version, record.origin, identity_text(record.identity), record.license)


def _owners(tree: LayeredTree, installed: Iterable[InstalledPackage]) -> Iterator[tuple[str, str]]:
    for package in installed:
        for item in package.files:
            yield tree.real_path(item.path), package.record.name


def _file(path: str, found: Found, package: str) -> FileRow:
    from apkiln.formats.archive.entry import EntryType

    entry = found.entry
    content = found.sha256.hex() or entry.target
    if entry.type in (EntryType.CHARACTER, EntryType.BLOCK):
        content = "{}:{}".format(*entry.device)
    kind = EntryType.FILE if entry.type is EntryType.HARDLINK else entry.type
    size = entry.size if kind is EntryType.FILE else 0
    return FileRow(path, kind.name.lower(), entry.mode, entry.uid, entry.gid, size, content, entry.xattrs, package)


def _configuration(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """What decides how a container starts, and what tools read."""
    process = configuration.process
    yield "created", configuration.created
    yield "layers", str(len(configuration.diff_ids))
    for key, words in (
        ("entrypoint", process.entrypoint),
        ("cmd", process.cmd),
        ("volumes", process.volumes),
        ("ports", process.exposed_ports),
    ):
        if words:
            yield key, " ".join(words)
    for key, text in (("user", process.user), ("work-dir", process.working_dir), ("stop-signal", process.stop_signal)):
        if text:
            yield key, text
    if process.healthcheck is not None:
        yield "healthcheck", " ".join(process.healthcheck.test)
    for variable in process.env:
        name, _, value = variable.partition("=")
        yield f"environment {name}", value
    for name, value in process.labels:
        yield f"label {name}", value


def _sorted(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return tuple(sorted(pairs))
