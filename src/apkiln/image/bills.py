"""Bills of materials of a build: one inside each image, one beside it, one for the index (spec image.md §10.2).

Documents are remembered by everything they are made from, so a build of known packages writes the same bytes without reading
a single embedded document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from apkiln import __version__
from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.configuration.model import SbomSettings
from apkiln.image.generated.draft import Draft
from apkiln.image.layer_recipe import LayerDigests
from apkiln.image.plan import ArchitecturePlan, PlannedPackage
from apkiln.system.store import Store, put_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.formats.apk.contents import PackageInfo
    from apkiln.formats.apk.records import IndexRecord
    from apkiln.formats.sbom.model import Document
    from apkiln.image.planned_tree import PlannedTree
    from apkiln.image.sbom import AddedFile, Authorship, InstalledPackage, System

RULE = "image-sbom"
INSIDE = "var/lib/db/sbom/apkiln-image.spdx.json"
"""The bill inside the image.  It names no layer: it is part of one."""
UNNAMED = "image"
"""What the bill inside calls the image: its bytes, and so the image's digest, must not depend on where it is published."""
FORMATS = ("spdx", "cyclonedx")
_SUFFIXES = {"spdx": "spdx.json", "cyclonedx": "cdx.json"}
_TABLE = "bills"
_RULES = "4"
"""Changes when documents of the same facts get another content."""
_USER_RULES = frozenset({"paths-directive", "certificates"})
"""Rules whose files the user brought in (S5)."""


class BillRequest(NamedTuple):
    """What the documents say beside the packages."""

    name: str
    """Repository of the image."""
    settings: SbomSettings
    vcs_url: str = ""
    lenient: bool = False
    """Unusable embedded documents are passed over with a notice."""


class BuiltBill(NamedTuple):
    """The documents of one architecture by file name, with what the index must know of them."""

    arch: Arch
    manifest: Digest
    files: tuple[tuple[str, bytes], ...]
    """(file name, content), in the order of formats."""


def parse_formats(text: str) -> tuple[str, ...]:
    """`spdx,cyclonedx` as a tuple, `spdx` when empty.  Raises UsageError (`bad-sbom-format`)."""
    names = tuple(dict.fromkeys(name for name in text.split(",") if name)) or FORMATS[:1]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"`{name}` is no SBOM format", reason="bad-sbom-format", hint=f"one of {', '.join(FORMATS)}")
    return names


class Bills:
    """The bills of one architecture."""

    def __init__(
        self, store: Store, plan: ArchitecturePlan, tree: PlannedTree, request: BillRequest, base: Digest | None = None
    ) -> None:
        self._base = base
        self._store = store
        self._plan = plan
        self._tree = tree
        self._request = request
        self._described: tuple[InstalledPackage, ...] | None = None
        self.notices: list[str] = []
        """About embedded documents that were passed over."""

    def write_inside(self, draft: Draft) -> None:
        """Rule `image-sbom`: SPDX, packages and files without layers."""
        identity = self._identity(draft, UNNAMED)
        content = self._remembered(["inside", identity], lambda: self._inside(draft, identity))
        draft.put(RULE, Entry(draft.resolve_parent(INSIDE), EntryType.FILE), content)

    def beside(
        self,
        draft: Draft,
        manifest: Digest,
        layers: Sequence[LayerDigests],
        places: Sequence[int],
        formats: Iterable[str],
    ) -> BuiltBill:
        """The documents that stand beside the image.  `places`: number of the layer of each package of the plan."""
        digests = [[str(layer.digest), str(layer.diff_id)] for layer in layers]
        described = [self._identity(draft, self._request.name), str(manifest), digests, list(places)]
        files = []
        for form in formats:
            make = partial(self._beside, draft, manifest, layers, places, form)
            files.append((f"sbom-{self._plan.arch.apk}.{_SUFFIXES[form]}", self._remembered(["beside", form, *described], make)))
        return BuiltBill(self._plan.arch, manifest, tuple(files))

    def _beside(self, draft: Draft, manifest: Digest, layers: Sequence[LayerDigests], places: Sequence[int], form: str) -> bytes:
        return _written(self._document(draft, self._request.name, manifest, layers, places), form)

    def _identity(self, draft: Draft, name: str) -> str:
        """Digest of all that every document of the image is made from; `name` is what the documents call the image."""
        added = [[path, hashlib.sha256(content).hexdigest(), rule] for path, content, rule in _user_files(draft, self._tree)]
        system = draft.read("etc/os-release").hex() if draft.file_at("etc/os-release") else ""
        packages = [package.files.head.sha256.hex() for package in self._tree.plan.packages]
        request = [name, self._request.settings._asdict(), self._request.vcs_url, self._request.lenient]
        base = str(self._base) if self._base is not None else ""
        described = [_RULES, __version__, self._plan.document(), packages, added, system, request, base]
        return hashlib.sha256(canonical_json.encode(described, sort_keys=True)).hexdigest()

    def _remembered(self, described: list[object], make: Callable[[], bytes]) -> bytes:
        return _remembered(self._store, described, make, lambda: len(self.notices))

    def _inside(self, draft: Draft, identity: str) -> bytes:
        stand_in = Digest.sha256(bytes.fromhex(identity))
        layers = (LayerDigests(stand_in, stand_in, 0),)
        document = self._document(draft, UNNAMED, stand_in, layers, [0] * len(self._plan.packages))
        return _written(without_digests(document, UNNAMED, stand_in), "spdx")

    def _document(
        self, draft: Draft, name: str, manifest: Digest, layers: Sequence[LayerDigests], places: Sequence[int]
    ) -> Document:
        """What is known of the image, which the document calls `name`."""
        from apkiln.image.sbom import ImageFacts, LayerFacts, image_sbom

        facts = ImageFacts(
            name,
            manifest,
            self._plan.arch,
            tuple(LayerFacts(layer.digest, layer.diff_id, layer.media_type) for layer in layers),
            tuple([item._replace(layer=layer) for item, layer in zip(self._packages(draft), places, strict=True)]),
            self._added(draft, len(layers) - 1),
            read_system(draft),
            self._request.vcs_url,
            self._base,
        )
        document, passed_over = image_sbom(facts, self._authorship(), lenient=self._request.lenient)
        for fault in passed_over:
            if str(fault) not in self.notices:
                self.notices.append(str(fault))
        return document

    def _added(self, draft: Draft, layer: int) -> tuple[AddedFile, ...]:
        from apkiln.image.sbom import AddedFile

        return tuple(
            AddedFile(
                f"/{path}",
                hashlib.sha1(content, usedforsecurity=False).digest(),
                hashlib.sha256(content).digest(),
                rule,
                layer,
            )
            for path, content, rule in _user_files(draft, self._tree)
        )

    def _authorship(self) -> Authorship:
        from apkiln.image.sbom import Authorship

        return Authorship(f"apkiln-{__version__}", self._request.settings, self._plan.epoch)

    def _packages(self, draft: Draft) -> tuple[InstalledPackage, ...]:
        """Each package of the plan, in the lowest layer; no rule between the first document and the last changes any of it."""
        if self._described is None:
            self._described = tuple([self._installed(draft, position) for position in range(len(self._plan.packages))])
        return self._described

    def _installed(self, draft: Draft, position: int) -> InstalledPackage:
        from apkiln.formats.sbom.embedding import embedded_paths
        from apkiln.image.sbom import EmbeddedDocument, InstalledPackage

        package = self._plan.packages[position]
        embedded = None
        for path in embedded_paths(package.record.name, package.record.version):
            if draft.file_at(path):
                embedded = EmbeddedDocument(path, draft.read(path))
                break
        sha256 = self._tree.plan.packages[position].files.head.sha256
        record = _own_words(package.record, self._tree.plan.packages[position].files.head.info)
        comments = self._tree.plan.packages[position].files.head.info.comments
        return InstalledPackage(record, _download(package), sha256, 0, embedded, comments)


def index_bills(
    store: Store,
    request: BillRequest,
    index: Digest,
    bills: Sequence[BuiltBill],
    formats: Iterable[str],
    epoch: int,
) -> tuple[tuple[str, bytes], ...]:
    """The documents of the index: file name and content, in the order of `formats`."""
    files = []
    for position, form in enumerate(formats):
        parts = [(bill.arch, bill.manifest, bill.files[position][1]) for bill in bills]
        digests = [[arch.apk, str(manifest), hashlib.sha256(content).hexdigest()] for arch, manifest, content in parts]
        described: list[object] = ["index", _RULES, __version__, form, str(index), epoch, digests, request.name]
        described.append([[key, value] for key, value in sorted(request.settings._asdict().items())])
        content = _remembered(store, described, partial(_index, request, index, parts, form, epoch))
        files.append((f"sbom-index.{_SUFFIXES[form]}", content))
    return tuple(files)


def _index(request: BillRequest, index: Digest, parts: Iterable[tuple[Arch, Digest, bytes]], form: str, epoch: int) -> bytes:
    from apkiln.image.sbom import ArchitectureFacts, Authorship, external_document, index_sbom

    key = "documentNamespace" if form == "spdx" else "serialNumber"
    images = [
        ArchitectureFacts(arch, manifest, external_document(arch, json.loads(content)[key], content))
        for arch, manifest, content in parts
    ]
    authorship = Authorship(f"apkiln-{__version__}", request.settings, epoch)
    return _written(index_sbom(request.name, index, images, authorship), form)


def _remembered(
    store: Store, described: list[object], make: Callable[[], bytes], remarks: Callable[[], int] = lambda: 0
) -> bytes:
    """A document from the store, or made and kept; one whose making led to remarks is made each time."""
    key = hashlib.sha256(canonical_json.encode(described)).hexdigest()
    row = store.get(_TABLE, key)
    stream = store.open(Digest.sha256(row)) if row else None
    if stream is not None:
        with stream:
            content = stream.read()
        if hashlib.sha256(content).digest() == row:
            return content
    before = remarks()
    content = make()
    if remarks() == before:
        store.put(_TABLE, key, put_bytes(store, content).value)
    return content


def without_digests(document: Document, name: str, stand_in: Digest) -> Document:
    """The document of an image that cannot know its own digest: no layers, and packages are contained by the image itself."""
    from apkiln.formats.sbom.model import Kind, Relationship, identifier

    image = identifier("Package-Image", name)
    gone = {component.id for component in document.components if component.kind is Kind.LAYER}
    names = dict.fromkeys(gone, image) | {document.subject: image}
    components = tuple(
        component._replace(id=image, name=name, version="", purl="", checksums=())
        if component.id == document.subject
        else component
        for component in document.components
        if component.id not in gone
    )
    moved = [
        Relationship(names.get(row.source, row.source), row.kind, names.get(row.target, row.target))
        for row in document.relationships
    ]
    relationships = tuple(dict.fromkeys(row for row in moved if row.source != row.target))
    return document._replace(
        name=f"sbom-{name}", path=f"contents/{stand_in.hex}", subject=image, components=components, relationships=relationships
    )


def read_system(draft: Draft) -> System:
    """What os-release says; empty where there is none."""
    import shlex

    from apkiln.image.sbom import System

    if not draft.file_at("etc/os-release"):
        return System()
    found = {}
    for line in draft.read("etc/os-release").decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            try:
                found[key.strip()] = " ".join(shlex.split(value))
            except ValueError:
                continue
    return System(found.get("ID", ""), found.get("NAME", ""), found.get("VERSION_ID", ""))


def _user_files(draft: Draft, tree: PlannedTree) -> list[tuple[str, bytes, str]]:
    """(path, content, rule) of the files that the user brought in and no package has."""
    return [
        (path, node.content, node.rule)
        for path, node in sorted(draft.nodes.items())
        if node.rule in _USER_RULES and node.entry.type is EntryType.FILE and node.content is not None and not _owned(tree, path)
    ]


def _owned(tree: PlannedTree, path: str) -> bool:
    return tree.peek(path) is not None and bool(tree.package(path))


def _written(document: Document, form: str) -> bytes:
    if form == "spdx":
        from apkiln.formats.sbom.spdx_writer import write_spdx

        return write_spdx(document)
    from apkiln.formats.sbom.cyclonedx_writer import write_cyclonedx

    return write_cyclonedx(document)


def _own_words(record: IndexRecord, info: PackageInfo) -> IndexRecord:
    """The record with what the package says of itself where indexes may say something else: melange's name one licence of
    several."""
    return record._replace(
        license=info.license,
        description=info.description,
        url=info.url,
        maintainer=info.maintainer,
        origin=info.origin,
        commit=info.commit,
        build_date=info.build_date,
    )


def _download(package: PlannedPackage) -> str:
    record = package.record
    if package.from_base:
        return ""
    return f"{package.repository}/{record.arch}/{record.name_version}.apk"
