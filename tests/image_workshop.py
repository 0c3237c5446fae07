"""Images of a small signed repository, built, locked and read back in memory, for every test that needs some."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from tests.sample_packages import SamplePackage, sample_index, sample_signer

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.archive.entry import Entry
from apkiln.formats.deflate.codec import Codec, canonical_codec
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.building import BuildOptions, BuiltImage, build_image
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.configuration.overlay import NO_OVERLAY, Overlay
from apkiln.image.definition import read_definition
from apkiln.image.layer_reading import LayerReader
from apkiln.image.lock.document import Lock
from apkiln.image.lock.locking import lock_image, resolve_update
from apkiln.image.lock.replaying import LockFile, resolve_locked
from apkiln.image.output import OutputKind, OutputTarget, Publication, write_image
from apkiln.image.place import Place, open_place
from apkiln.image.resolving import Resolution, ResolveOptions, resolve
from apkiln.image.stored import stored_images
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_store import MemoryStore
from apkiln.system.transfer import LocalTransfer

AMD64, ARM64 = Arch.parse("amd64"), Arch.parse("arm64")
CODEC = canonical_codec()
HERE = PurePosixPath("work")

Layer = dict[str, tuple[Entry, str, bytes]]
"""Path to entry, content digest and, of small files, content."""


def definition(packages: Iterable[str], archs: str = "[amd64]", more: str = "") -> str:
    """A definition that asks for `packages`; `more`: further top-level keys."""
    return f"""
contents:
  keyring: [keys/sample.rsa.pub]
  repositories: [repo]
  packages: [{", ".join(packages)}]
archs: {archs}
{more}
"""


class Workshop:
    """One machine: a definition, repositories by architecture, a cache."""

    def __init__(self, repository: Mapping[str, Sequence[SamplePackage]], text: str, store: MemoryStore | None = None) -> None:
        self.files = MemoryFiles({"work/image.yaml": text.encode(), "work/keys/sample.rsa.pub": sample_signer().public_key()})
        for arch, packages in repository.items():
            self.publish(arch, packages)
        self.files.make_directory(PurePosixPath("out"))
        self.store = store or MemoryStore()
        self.access = Access(self.store, LocalTransfer(self.files), self.files, directory=HERE)

    def publish(self, arch: str, packages: Sequence[SamplePackage]) -> None:
        """Write an index and its packages; packages of earlier calls stay where they are."""
        self.files.put(f"work/repo/{arch}/APKINDEX.tar.gz", sample_index(packages, sample_signer()))
        for package in packages:
            self.files.put(f"work/repo/{arch}/{package.file_name}", package.data)

    def define(self, text: str) -> None:
        self.files.put("work/image.yaml", text.encode())

    def loaded(self, overlay: Overlay = NO_OVERLAY) -> LoadedConfiguration:
        return read_definition(self.files, HERE, "image.yaml", DEFAULT_LIMITS, overlay=overlay)

    def resolved(self, *, drift: tuple[str, ...] = (), overlay: Overlay = NO_OVERLAY) -> Resolution:
        loaded = self.loaded(overlay)
        return resolve(
            loaded.configuration,
            loaded.checksum,
            ResolveOptions(AMD64, drift=drift),
            self.access,
            self.open_base,
        )

    def open_base(self, text: str) -> Place:
        """The place of a base image."""
        return open_place(self.files, HERE / text, DEFAULT_LIMITS)

    def locked(self, *, drift: tuple[str, ...] = ()) -> Lock:
        return lock_image("image.yaml", self.loaded(), self.resolved(drift=drift), HERE, self.access)

    def updated(self, lock: Lock, *names: str) -> Lock:
        loaded = self.loaded()
        file = LockFile(lock, "image.lock.json", HERE)
        resolution = resolve_update(file, names, loaded, ResolveOptions(AMD64), self.access, self.open_base)
        return lock_image("image.yaml", loaded, resolution, HERE, self.access)

    def replayed(self, lock: Lock, overlay: Overlay = NO_OVERLAY) -> Resolution:
        file = LockFile(lock, "image.lock.json", HERE)
        return resolve_locked(file, self.loaded(overlay), ResolveOptions(AMD64), self.access, open_place=self.open_base)

    def built(self, resolution: Resolution | None = None, codec: Codec = CODEC) -> BuiltImage:
        options = BuildOptions(codec, directory=HERE)
        return build_image(self.loaded().configuration, resolution or self.resolved(), options, self.access)

    def written(self, built: BuiltImage, place: str = "out/image") -> None:
        target = OutputTarget(OutputKind.OCI_DIRECTORY, place)
        publication = Publication(target, PurePosixPath(place), parse_reference("example.com/app:1.0"))
        write_image(self.files, self.store, built, publication)

    def layers(self, place: str = "out/image", number: int = 0) -> list[Layer]:
        """The layers of a written image, lowest first; no path may stand twice in one, no parent may be missing."""
        opened = open_place(self.files, PurePosixPath(place), DEFAULT_LIMITS)
        image = stored_images(opened, DEFAULT_LIMITS)[number]
        found = []
        for layer in image.layers:
            entries: Layer = {}
            with opened.open(layer.name) as stream:
                for entry, chunks in LayerReader(stream):
                    assert entry.path not in entries, f"{entry.path} stands twice"
                    parent = entry.path.rpartition("/")[0]
                    assert not parent or parent in entries, f"{parent} does not come before {entry.path}"
                    content = b"".join(chunks)
                    entries[entry.path] = entry, hashlib.sha256(content).hexdigest(), content[:65536]
            found.append(entries)
        return found


def union(layers: Iterable[Layer]) -> dict[str, tuple[Entry, str]]:
    """What the layers leave; this product's own layers have no whiteouts."""
    found: dict[str, tuple[Entry, str]] = {}
    for layer in layers:
        found |= {path: (entry, digest) for path, (entry, digest, _) in layer.items()}
    return found
