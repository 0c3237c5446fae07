"""One audit from the first byte to the last: read the image, check documents and blobs, account for every path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apkiln.core.errors import UnavailableError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.image.audit import accounting, apko_rules
from apkiln.image.audit.bills import compare_bill, packages_of_bill
from apkiln.image.audit.claims import Claim
from apkiln.image.audit.database import InstalledDatabase, read_database
from apkiln.image.audit.expectation import Expectation
from apkiln.image.audit.findings import AuditReport, Violation, in_order
from apkiln.image.audit.layered_tree import LayeredTree
from apkiln.image.audit.ownership import Account, account
from apkiln.image.layer_reading import Compression, LayerReader, hashed_entries
from apkiln.image.place import Place
from apkiln.image.stored import StoredImage, StoredLayer

DATABASES = ("usr/lib/apk/db/installed", "lib/apk/db/installed", "usr/share/apkiln/database/installed")
EMBEDDED_BILL = "var/lib/db/sbom/apkiln-image.spdx.json"
"""The SBOM of the whole image that this product leaves in the image itself."""
_KEPT = frozenset((*DATABASES, EMBEDDED_BILL, accounting.PATH, apko_rules.PATH, "etc/passwd"))


class Bill(NamedTuple):
    """One SBOM of the image."""

    name: str
    content: bytes


class ReadTree(NamedTuple):
    """A tree with the few documents whose content an audit needs."""

    tree: LayeredTree
    documents: Mapping[str, bytes]
    violations: tuple[Violation, ...]
    """About blobs and documents: `layer-digest`, `layer-size`, `diff-id`, `media-type`, `layer-count`, `history`, `platform`."""
    diff_ids: tuple[str, ...] | None = None
    """Of the layers, lowest first; None for a tree that has none any more."""


def is_kept(path: str) -> bool:
    """Whether an audit needs the content of the file at `path`."""
    return path in _KEPT


def read_image(place: Place, image: StoredImage, limits: Limits) -> ReadTree:
    """Read all layers.  Raises what reading raises: a layer that is not a tar at all ends the audit with its FormatError."""
    tree = LayeredTree()
    documents: dict[str, bytes] = {}
    violations: list[Violation] = []
    for number, layer in enumerate(image.layers, 1):
        with place.open(layer.name) as stream:
            reader = LayerReader(stream, limits, name=f"layer {number}")
            tree.apply(list(hashed_entries(reader, is_kept, documents.__setitem__, limits)), number)
            violations += _measured(layer, number, reader)
        documents = {path: content for path, content in documents.items() if path in tree}
    diff_ids = tuple(str(digest) for digest in image.configuration.diff_ids)
    return ReadTree(tree, documents, (*violations, *_documents(image)), diff_ids)


def read_directory(entries: Iterable[ContentEntry], documents: Mapping[str, bytes]) -> ReadTree:
    """An unpacked tree as one layer; `documents` holds the content of the files for which `is_kept` is true."""
    tree = LayeredTree()
    tree.apply(entries, 1)
    return ReadTree(tree, documents, ())


def audit(name: str, read: ReadTree, bills: Iterable[Bill] = (), arch: str = "") -> AuditReport:
    """The report.

    Raises UnavailableError `no-package-database` for an image without an installed database, and the FormatErrors of the
    documents inside (database, accounting, SBOM): what cannot be read proves nothing.
    """
    content = next((read.documents[path] for path in DATABASES if path in read.documents), None)
    if content is None:
        message = "this image has no apk package database, so no file of it can be traced to a package"
        raise UnavailableError(message, reason="no-package-database", origin=Origin(name, member=DATABASES[0]))
    database = read_database(content)
    builder, result = _account(read, database, arch)
    violations = [*read.violations, *read.tree.violations, *result.violations]
    if database.mixed is not None:
        violations.append(Violation("mixed-libc", DATABASES[0], "packages of one C library", " beside ".join(database.mixed)))
    bills = (*bills, *(Bill(path, read.documents[path]) for path in (EMBEDDED_BILL,) if path in read.documents))
    for bill in bills:
        violations += compare_bill(bill.name, packages_of_bill(bill.content, bill.name), database.packages)
    return AuditReport(
        image=name,
        builder=builder,
        violations=in_order(violations),
        packages=len(database.packages),
        paths=len(read.tree.found),
        owned=result.owned,
        generated=tuple(sorted(result.generated.items())),
        bills=len(bills),
        notes=()
        if bills
        else ("no SBOM was found in or beside the image: nothing could be compared with the installed packages",),
    )


def _account(read: ReadTree, database: InstalledDatabase, arch: str) -> tuple[str, Account]:
    if accounting.PATH in read.documents:
        book = accounting.read_accounting(read.documents[accounting.PATH])
        result = account(read.tree, database.claims, book.generated, book.overrides, book.overridden)
        result.violations += (*book.violations, *_based(read, book))
        return "apkiln", result
    configuration = {}
    builder = "none"
    if apko_rules.PATH in read.documents:
        builder, configuration = "apko", apko_rules.read_configuration(read.documents[apko_rules.PATH])
    image = apko_rules.ApkoImage(read.tree, read.documents, configuration, arch)
    if builder == "none":
        generated = apko_rules.database_paths(image, _unowned(read.tree, database.claims))
        return builder, account(read.tree, database.claims, generated, {})
    generated = apko_rules.generated_paths(image, _unowned(read.tree, database.claims))
    changed = apko_rules.changed_paths(image)
    overrides = {path: wanted for path, wanted in changed.items() if path not in generated}
    return builder, account(read.tree, database.claims, generated, _claimed(read.tree, overrides, database.claims))


def _based(read: ReadTree, book: accounting.Accounting) -> Iterable[Violation]:
    """Rule `base-layers`: the base image's layers are the lowest ones, and what it answers for is in them."""
    layers = len(book.base_layers)
    if read.diff_ids is None:
        return
    if read.diff_ids[:layers] != book.base_layers:
        yield Violation("base-layers", "configuration", ", ".join(book.base_layers), ", ".join(read.diff_ids[:layers]))
    for path, wanted in (*book.generated.items(), *book.overrides.items()):
        # Directories are written again wherever something below them is new.
        is_file = wanted.answers == accounting.BASE_RULE and wanted.type is not EntryType.DIRECTORY
        if is_file and path in read.tree and read.tree.layer_of(path) > layers:
            found = f"layer {read.tree.layer_of(path)}"
            yield Violation("base-layers", path, f"one of the {layers} layers of the base image", found)


def _unowned(tree: LayeredTree, claims: Iterable[Claim]) -> tuple[str, ...]:
    claimed = _claimed_paths(tree, claims)
    return tuple(path for path in tree.found if path not in claimed)


def _claimed(tree: LayeredTree, overrides: Mapping[str, Expectation], claims: Iterable[Claim]) -> dict[str, Expectation]:
    claimed = _claimed_paths(tree, claims)
    return {path: wanted for path, wanted in overrides.items() if path in claimed}


def _claimed_paths(tree: LayeredTree, claims: Iterable[Claim]) -> set[str]:
    return {(tree.resolve(claim.path) or claim.path) if claim.is_directory else tree.real_path(claim.path) for claim in claims}


def _measured(layer: StoredLayer, number: int, reader: LayerReader) -> Iterable[Violation]:
    measured, what = reader.measured, f"layer {number}"
    if layer.digest is not None and layer.digest != measured.digest:
        yield Violation("layer-digest", what, str(layer.digest), str(measured.digest))
    if layer.size is not None and layer.size != measured.size:
        yield Violation("layer-size", what, str(layer.size), str(measured.size))
    if layer.diff_id is not None and layer.diff_id != measured.diff_id:
        yield Violation("diff-id", what, str(layer.diff_id), str(measured.diff_id))
    if layer.media_type and not _media_type_fits(layer.media_type, measured.compression):
        yield Violation("media-type", what, layer.media_type, f"{measured.compression.value} data")


def _media_type_fits(media_type: str, compression: Compression) -> bool:
    if media_type.endswith((".tar+gzip", ".tar.gzip")):
        return compression is Compression.GZIP
    if media_type.endswith((".tar+zstd", ".tar.zstd")):
        return compression is Compression.ZSTD
    return media_type.endswith(".tar") and compression is Compression.NONE


def _documents(image: StoredImage) -> Iterable[Violation]:
    configuration = image.configuration
    if len(image.layers) != len(configuration.diff_ids):
        yield Violation("layer-count", "configuration", f"{len(image.layers)} diffIDs", str(len(configuration.diff_ids)))
    filled = sum(1 for row in configuration.history if not row.empty_layer)
    if configuration.history and filled != len(image.layers):
        yield Violation("history", "configuration", f"{len(image.layers)} entries with a layer", str(filled))
    announced, stated = image.announced, configuration.platform
    if announced is not None and (announced.os, announced.arch) != (stated.os, stated.arch):
        expected, found = f"{announced.os}/{announced.arch.oci}", f"{stated.os}/{stated.arch.oci}"
        yield Violation("platform", "configuration", expected, found)
