"""The bill of materials of an image and of an index of images, as a value (spec image.md §10.2).  Pure.

The packages listed are the installed ones: each exactly once, none more; `image_sbom` cannot be given another set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha1, sha256

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.secret import redact_url
from apkiln.formats.apk.dependency import Dependency, parse_dependency, provided, satisfies
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import created_time
from apkiln.formats.sbom.embedding import Gathering
from apkiln.formats.sbom.licences import LicenceText, expression
from apkiln.formats.sbom.model import Component, Document, ExternalDocument, FileFact, Kind, Relationship, identifier
from apkiln.formats.sbom.purl import apk_purl, deb_purl, oci_purl, source_purl
from apkiln.formats.sbom.spdx_reader import read_spdx
from apkiln.image.configuration.model import SbomSettings

NAMESPACE = "https://spdx.org/spdxdocs/apkiln"
"""Base of document namespaces where the definition names none."""
_MAINTAINER = pattern(r"\s*([^<>]*?)\s*<([^<>\s]+@[^<>\s]+)>\s*")


class EmbeddedDocument(NamedTuple):
    """The SPDX document that a package ships."""

    path: str
    content: bytes


class InstalledPackage(NamedTuple):
    """One installed package."""

    record: IndexRecord
    download: str
    """URL or path of the `.apk`; credentials are removed here."""
    sha256: bytes
    """Of the whole `.apk`; empty when unknown."""
    layer: int
    """Position of the layer that holds its files."""
    embedded: EmbeddedDocument | None = None
    comments: tuple[str, ...] = ()
    """Comment lines of its `.PKGINFO`; those of an import say what it was in its own distribution."""


class LayerFacts(NamedTuple):
    """One layer."""

    digest: Digest
    diff_id: Digest
    media_type: str = media_types.LAYER_GZIP


class AddedFile(NamedTuple):
    """A file that no package owns and that the user brought in."""

    path: str
    """Absolute."""
    sha1: bytes
    sha256: bytes
    rule: str
    """Name of the rule that wrote it."""
    layer: int


class System(NamedTuple):
    """What the image's os-release says."""

    id: str = ""
    name: str = ""
    version: str = ""


class Authorship(NamedTuple):
    """Who makes the document."""

    tool: str
    """`apkiln-1.2`."""
    settings: SbomSettings = SbomSettings()
    epoch: int = 0
    """Unix seconds of the document's date."""


class ImageFacts(NamedTuple):
    """Everything the document of one image is made from."""

    name: str
    """Repository of the image, or another name of it."""
    digest: Digest
    """Of the manifest."""
    arch: Arch
    layers: tuple[LayerFacts, ...]
    packages: tuple[InstalledPackage, ...]
    files: tuple[AddedFile, ...] = ()
    system: System = System()
    vcs_url: str = ""
    """`url@commit`; empty when unknown."""
    base: Digest | None = None
    """The image this one builds upon."""


class ArchitectureFacts(NamedTuple):
    """One image of an index, and its document in the format that is being written."""

    arch: Arch
    digest: Digest
    document: ExternalDocument


def image_sbom(facts: ImageFacts, authorship: Authorship, *, lenient: bool = False) -> tuple[Document, tuple[ApkilnError, ...]]:
    """The document of one image, and what was wrong with embedded documents and passed over because `lenient`.

    Without `lenient` raises what is wrong with them, all at once: FormatError `bad-sbom`, VerificationError
    `sbom-of-another-package`.  Order of packages and layers does not matter for what is written.
    """
    gathering, faults = Gathering(), FaultCollector.empty()
    image = _image(facts, authorship)
    gathering.add(image)
    layers = [gathering.add(_layer(layer, facts, authorship)) for layer in facts.layers]
    gathering.relate(image.id, "CONTAINS", *layers, gathering.add(_system(facts.system, authorship)))
    _add_source(gathering, image.id, facts.vcs_url)
    if facts.base is not None:
        base = Component(identifier("Package-Image", str(facts.base)), Kind.CONTAINER, str(facts.base), str(facts.base))
        gathering.relate(image.id, "DESCENDANT_OF", gathering.add(base))
    _add_packages(gathering, facts, layers, faults)
    files = tuple(_file(file) for file in facts.files)
    for file in facts.files:
        # Not CONTAINS: SPDX forbids it for packages whose files are not all analysed (§7.8).
        gathering.relate(_file(file).id, "EXPANDED_FROM_ARCHIVE", layers[file.layer])
    if not lenient:
        faults.raise_if_any()
    return _document(gathering, image, f"image/{_dashed(facts.digest)}", authorship, files), tuple(faults.faults)


def external_document(arch: Arch, uri: str, content: bytes) -> ExternalDocument:
    """The reference to the written document of one image; `uri`: its namespace (SPDX) or serial number (CycloneDX)."""
    reference = "DocumentRef-" + identifier(arch.oci)
    return ExternalDocument(reference, uri, sha1(content).hexdigest(), sha256(content).hexdigest())


def index_sbom(name: str, digest: Digest, images: Sequence[ArchitectureFacts], authorship: Authorship) -> Document:
    """The document of an index: its images, each with a reference to its own document (§10.2 S8)."""
    gathering = Gathering()
    purl = oci_purl(name, str(digest), media_type=media_types.INDEX)
    index = _container(f"index of {name}", digest, purl, authorship)
    gathering.add(index)
    for image in images:
        purl = oci_purl(name, str(image.digest), arch=image.arch.oci_architecture, media_type=media_types.MANIFEST)
        part = gathering.add(_container(f"{name} for {image.arch.oci}", image.digest, purl, authorship))
        gathering.relate(part, "VARIANT_OF", index.id)
        gathering.relate(index.id, "CONTAINS", part)
        gathering.relate(part, "DESCRIBED_BY", f"{image.document.id}:SPDXRef-DOCUMENT")
    external = tuple(image.document for image in images)
    return _document(gathering, index, f"index/{_dashed(digest)}", authorship)._replace(external=external)


def dependency_edges(records: Sequence[IndexRecord]) -> dict[str, tuple[str, ...]]:
    """Name of each installed package to the names of those that satisfy its dependencies, sorted.

    Every provider of an item counts; conflicts, items that nothing provides and items that cannot be read give no edge.
    """
    providers: dict[str, list[tuple[str, str, IndexRecord]]] = {}
    for record in records:
        offers = [(record.name, record.version), *_provided(record)]
        for name, version in offers:
            providers.setdefault(name, []).append((name, version, record))
    return {record.name: _needed(record, providers) for record in records}


def _needed(record: IndexRecord, providers: Mapping[str, list[tuple[str, str, IndexRecord]]]) -> tuple[str, ...]:
    found = {
        other.name
        for item in _dependencies(record)
        if not item.conflict
        for name, version, other in providers.get(item.name, ())
        if _fits(item, name, version, other)
    }
    return tuple(sorted(found - {record.name}))


def _dependencies(record: IndexRecord) -> Iterator[Dependency]:
    for text in record.depends.split():
        with suppress(FormatError):
            yield parse_dependency(text, lenient=True)


def _provided(record: IndexRecord) -> Iterator[tuple[str, str]]:
    for text in record.provides.split():
        with suppress(FormatError):
            yield provided(text)


def _fits(item: Dependency, name: str, version: str, other: IndexRecord) -> bool:
    return satisfies(item, name, version, other.identity if name == other.name else b"")


def _add_packages(gathering: Gathering, facts: ImageFacts, layers: Sequence[str], faults: FaultCollector) -> None:
    packages = sorted(facts.packages, key=lambda package: package.record.name)
    assert len({package.record.name for package in packages}) == len(packages), "a package is installed once"
    own = {package.record.name: _package(package, facts, gathering) for package in packages}
    for component in own.values():
        gathering.reserve(component)
    for package in packages:
        component = own[package.record.name]
        _add_package(gathering, component, package, faults)
        gathering.relate(layers[package.layer], "CONTAINS", component.id)
    for name, needed in dependency_edges([package.record for package in packages]).items():
        gathering.relate(own[name].id, "DEPENDS_ON", *(own[other].id for other in needed))


def _add_package(gathering: Gathering, component: Component, package: InstalledPackage, faults: FaultCollector) -> None:
    """With its own document, or, where that is missing or broken, from the index record alone (S2)."""
    if package.embedded is not None:
        origin = Origin(package.embedded.path, package=package.record.name_version)
        try:
            gathering.embed(component, read_spdx(package.embedded.content, origin), origin)
            return
        except ApkilnError as fault:
            fault.hint = fault.hint or "`--sbom-lenient` lists the package without what its document says"
            faults.add(fault)
    gathering.add_installed(component)


def _package(package: InstalledPackage, facts: ImageFacts, gathering: Gathering) -> Component:
    component, references = _described(package._replace(layer=0, embedded=None), facts.system)
    gathering.explain(references)
    return component


@lru_cache(maxsize=1 << 13)
def _described(package: InstalledPackage, system: System) -> tuple[Component, tuple[LicenceText, ...]]:
    """What is said of a package wherever it is; every image has more than one document."""
    record = package.record
    licence = expression(record.license)
    checksums = [("SHA1", record.identity.hex())] if len(record.identity) == 20 else []
    checksums += [("SHA256", package.sha256.hex())] if package.sha256 else []
    download = redact_url(package.download)
    component = Component(
        id=identifier("Package-apk", record.name, record.version),
        kind=Kind.PACKAGE,
        name=record.name,
        version=record.version,
        purl=apk_purl(system.id, record.name, record.version, record.arch, release=system.version, origin=record.origin),
        supplier=_party(record.maintainer) or _organization(system.name),
        originator=_party(record.maintainer),
        licence=licence.text,
        download=download if "://" in download else "",
        homepage=record.url if re.fullmatch(r"(https?|ftp)://\S+", record.url) else "",
        summary=record.description,
        source=_built_from(record),
        built=created_time(record.build_date) if record.build_date > 0 else "",
        checksums=tuple(sorted(checksums)),
        references=_references(package, system),
        properties=_properties(package, system),
    )
    return component, tuple(licence.references)


def _debian_purl(package: InstalledPackage, system: System) -> str:
    """The name of an imported package in Debian; empty for all others."""
    facts = dict(comment.split(" = ", 1) for comment in package.comments if comment.startswith("deb-") and " = " in comment)
    if not facts.get("deb-version"):
        return ""
    return deb_purl(
        system.id,
        package.record.name,
        facts["deb-version"],
        facts.get("deb-architecture", ""),
        release=system.version,
        source=facts.get("deb-source", ""),
        source_version=facts.get("deb-source-version", ""),
    )


def _references(package: InstalledPackage, system: System) -> tuple[tuple[str, str, str], ...]:
    locator = _debian_purl(package, system)
    return (("PACKAGE-MANAGER", "purl", locator),) if locator else ()


def _built_from(record: IndexRecord) -> str:
    origin = f"built from package {record.origin}" if record.origin else ""
    return ", ".join(part for part in (origin, f"commit {record.commit}" if record.commit else "") if part)


def _properties(package: InstalledPackage, system: System) -> tuple[tuple[str, str], ...]:
    record = package.record
    facts = {"arch": record.arch, "commit": record.commit, "origin": record.origin, "purl": _debian_purl(package, system)}
    facts["file"] = "" if "://" in package.download else package.download
    return tuple(sorted((name, value) for name, value in facts.items() if value))


def _image(facts: ImageFacts, authorship: Authorship) -> Component:
    arch = facts.arch.oci_architecture
    purl = oci_purl(facts.name, str(facts.digest), arch=arch, media_type=media_types.MANIFEST)
    image = _container(f"{facts.name} for {facts.arch.oci}", facts.digest, purl, authorship)
    return image if image.supplier else image._replace(supplier=_organization(facts.system.name))


def _container(description: str, digest: Digest, purl: str, authorship: Authorship) -> Component:
    return Component(
        id=identifier("Package-Image", str(digest)),
        kind=Kind.CONTAINER,
        name=str(digest),
        version=str(digest),
        purl=purl,
        supplier=_organization(authorship.settings.supplier),
        description=description,
        checksums=((digest.algorithm.upper(), digest.hex),),
    )


def _layer(layer: LayerFacts, facts: ImageFacts, authorship: Authorship) -> Component:
    purl = oci_purl(facts.name, str(layer.digest), arch=facts.arch.oci_architecture, media_type=layer.media_type)
    return Component(
        id=identifier("Package-ImageLayer", str(layer.digest)),
        kind=Kind.LAYER,
        name=str(layer.digest),
        version=str(layer.digest),
        purl=purl,
        supplier=_organization(authorship.settings.supplier or facts.system.name),
        description="layer of the image",
        comment=f"uncompressed: {layer.diff_id}",
        checksums=((layer.digest.algorithm.upper(), layer.digest.hex),),
    )


def _system(system: System, authorship: Authorship) -> Component:
    return Component(
        id=identifier("OperatingSystem", system.id or "unknown"),
        kind=Kind.OPERATING_SYSTEM,
        name=system.id or "unknown",
        version=system.version,
        supplier=_organization(system.name or authorship.settings.supplier),
        description=system.name,
    )


def _add_source(gathering: Gathering, image: str, vcs_url: str) -> None:
    url, at, commit = redact_url(vcs_url).rpartition("@")
    if not at or not url:
        return
    source = Component(
        id=identifier("Package-Source", url, commit),
        kind=Kind.SOURCE,
        name=url,
        version=commit,
        purl=source_purl(url, commit),
        checksums=(("SHA1", commit),) if re.fullmatch(r"[0-9a-f]{40}", commit) else (),
    )
    gathering.relate(image, "GENERATED_FROM", gathering.add(source))


def _file(file: AddedFile) -> FileFact:
    name = identifier("File", file.path.lstrip("/"), file.sha256.hex()[:12])
    return FileFact(name, file.path, file.sha1.hex(), file.sha256.hex(), f"written by rule {file.rule}")


def _document(
    gathering: Gathering, subject: Component, path: str, authorship: Authorship, files: tuple[FileFact, ...] = ()
) -> Document:
    settings = authorship.settings
    return Document(
        name=f"sbom-{subject.name}",
        path=path,
        base=settings.namespace or NAMESPACE,
        created=created_time(authorship.epoch),
        creators=(f"Tool: {authorship.tool}", *(_creator(text) for text in settings.creators)),
        subject=subject.id,
        components=tuple(gathering.components.values()),
        relationships=(Relationship("DOCUMENT", "DESCRIBES", subject.id), *gathering.relationships),
        files=files,
        licences=tuple(LicenceText(name, text) for name, text in sorted(gathering.licences.items())),
    )


def _dashed(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"


def _creator(text: str) -> str:
    return text if text.startswith(("Organization: ", "Person: ", "Tool: ")) else f"Organization: {text}"


def _organization(name: str) -> str:
    return name if not name or name.startswith(("Organization: ", "Person: ")) else f"Organization: {name}"


def _party(maintainer: str) -> str:
    """`Name <mail>` as SPDX writes a person, a bare name as an organisation."""
    found = _MAINTAINER.fullmatch(maintainer)
    if found is not None:
        return f"Person: {found[1] or found[2]} ({found[2]})"
    return _organization(" ".join(maintainer.split()))
