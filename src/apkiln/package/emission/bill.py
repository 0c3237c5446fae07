"""The bill of materials of one package (spec package.md §11)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import apkiln
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.oci.documents import created_time
from apkiln.formats.sbom.model import Component, Document, Kind, Relationship, identifier
from apkiln.formats.sbom.purl import purl, source_purl
from apkiln.formats.sbom.spdx_writer import write_spdx
from apkiln.package.definition.licensing import Licensing
from apkiln.package.definition.model import Cpe
from apkiln.package.definition.parts import PackagePart
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.sources.plan import FetchSource, GitSource, Source

BASE = "https://spdx.org/spdxdocs/apkiln"
"""Base of document namespaces where none is configured."""
_INDEX = re.compile(r"\[(\d+)\]")
_GITHUB = re.compile(r"(https?)://github\.com/([^/]+)/([^/]+?)(?:\.git)?/?")
_CPE_PLAIN = re.compile(r"[A-Za-z0-9_]")


class _Origin(NamedTuple):
    """What a source is called: purl, version and where it is had from."""

    purl: str
    version: str
    download: str


def bill_path(name_version: str) -> str:
    """Where a package carries its document."""
    return f"var/lib/db/sbom/{name_version}.spdx.json"


def bill(request: EmissionRequest, part: PackagePart, licensing: Licensing, sources: tuple[Source, ...]) -> Document:
    """The document.  Listed are the sources of the main package and those of the part's own steps."""
    version = request.definition.package.full_version
    vendor = _organization(request.namespace)
    own = _package(request, part, licensing, vendor)
    recipe = _recipe(request, vendor)
    listed = [_source(request, source, licensing) for source in sources if source.package in (part.name, _main(request))]
    materials = list(dict.fromkeys(item for item in listed if item is not None))
    system = Component(
        id="OperatingSystem",
        kind=Kind.OPERATING_SYSTEM,
        name=request.namespace,
        description="Operating System",
        supplier=vendor,
        originator=vendor,
    )
    relations = [Relationship(own.id, "DESCRIBED_BY", recipe.id)]
    relations += [Relationship(own.id, "GENERATED_FROM", item.id) for item in materials]
    return Document(
        name=f"apk-{part.name}-{version}",
        path=f"apk/{request.arch.apk}/{part.name}-{version}",
        base=request.document_base or BASE,
        created=created_time(request.source_date),
        creators=(f"Tool: apkiln ({apkiln.__version__})", f"Organization: {request.organization or request.namespace}"),
        subject=own.id,
        components=(system, own, recipe, *materials),
        relationships=tuple(relations),
        licences=licensing.texts,
    )


def write_bill(document: Document) -> bytes:
    """The bytes of the file at `bill_path`."""
    return write_spdx(document, indent=True)


def _main(request: EmissionRequest) -> str:
    return request.definition.package.name.text


def _organization(namespace: str) -> str:
    return f"Organization: {namespace.title()}"


def _package(request: EmissionRequest, part: PackagePart, licensing: Licensing, vendor: str) -> Component:
    version = request.definition.package.full_version
    distribution = request.namespace if request.namespace != "unknown" else ""
    cpe = formatted_cpe(part.cpe, request.definition.package.version.text)
    return Component(
        id=identifier("Package", "apk", part.name, version),
        kind=Kind.PACKAGE,
        name=part.name,
        version=version,
        purl=purl("apk", request.namespace, part.name, version, {"arch": request.arch.apk, "distro": distribution}),
        supplier=vendor,
        originator=vendor,
        licence=licensing.expression,
        copyright=licensing.copyright,
        references=(("SECURITY", "cpe23Type", cpe),) if cpe else (),
    )


def _recipe(request: EmissionRequest, vendor: str) -> Component:
    commit = request.git_commit or "unknown"
    path = request.definition_path or f"{_main(request)}.yaml"
    location = source_purl(request.git_repository, commit) + f"#{path}" if request.git_repository else ""
    return Component(
        id=identifier("Package", "Melange", path, commit),
        kind=Kind.RECIPE,
        name=path,
        version=commit,
        purl=location,
        supplier=vendor,
        originator=vendor,
        licence=request.definition_licence,
    )


def _source(request: EmissionRequest, source: Source, licensing: Licensing) -> Component | None:
    number = ".".join(_positions(source.step))
    if isinstance(source, FetchSource):
        return _fetched(request, source, number)
    return _checked_out(source, number, licensing)


def _positions(step: str) -> Iterator[str]:
    """Numbers of a step's place; those of a subpackage's steps begin with its own, which makes them distinct."""
    if step.startswith("subpackages"):
        yield "sub"
    yield from _INDEX.findall(step)


def _fetched(request: EmissionRequest, source: FetchSource, number: str) -> Component:
    main = request.definition.package
    name, version = source.purl_name or main.name.text, source.purl_version or main.version.text
    digests = ",".join(str(digest) for digest in source.digests)
    return Component(
        id=identifier("Package", "Source", name, version, number),
        kind=Kind.SOURCE,
        name=name,
        version=version,
        purl=purl("generic", "", name, version, {"checksum": digests, "download_url": source.uri}),
        download=source.uri,
        checksums=tuple(sorted((digest.algorithm.upper(), digest.hex) for digest in source.digests)),
    )


def _checked_out(source: GitSource, number: str, licensing: Licensing) -> Component | None:
    """None for a checkout of neither a tag nor a commit: there is nothing to name."""
    if not (source.tag or source.commit):
        return None
    plain = source.repository.rstrip("/").removesuffix(".git")
    place = plain.partition("://")[2] or plain
    origin = _origin(source, place)
    return Component(
        id=identifier("Package", "Source", *[item for item in (place, source.branch, source.tag, source.commit) if item], number),
        kind=Kind.SOURCE,
        name=place.rpartition("/")[2],
        version=origin.version,
        purl=origin.purl,
        download=origin.download,
        licence=licensing.expression,
    )


def _origin(source: GitSource, place: str) -> _Origin:
    """Forges whose archives are known by commit, and other repositories by address and commit."""
    reference = source.tag or source.commit
    github = _GITHUB.fullmatch(source.repository)
    if github is not None:
        scheme, owner, name = github.groups()
        archive = f"{scheme}://github.com/{owner}/{name}/archive/{source.commit or source.tag}.tar.gz"
        return _Origin(purl("github", owner, name, reference), reference, archive)
    address = f"git+{source.repository}@{source.commit or source.tag}"
    namespace, _, name = place.partition("/")[2].rpartition("/")
    if source.type_hint == "gitlab":
        return _Origin(purl("gitlab", namespace, name, reference), reference, address)
    return _Origin(purl("generic", namespace, name or place, reference, {"vcs_url": address}), reference, address)


def formatted_cpe(cpe: Cpe, version: str) -> str:
    """The CPE 2.3 formatted string; empty when vendor and product are not given."""
    if not (cpe.vendor and cpe.product):
        return ""
    product = (cpe.part or "a", cpe.vendor, cpe.product, version, "", cpe.edition, cpe.language)
    fields = (*product, cpe.sw_edition, cpe.target_sw, cpe.target_hw, cpe.other)
    return "cpe:2.3:" + ":".join("".join(_quoted(letter) for letter in field) or "*" for field in fields)


def _quoted(letter: str) -> str:
    return letter if _CPE_PLAIN.match(letter) or letter in "-." else f"\\{letter}"
