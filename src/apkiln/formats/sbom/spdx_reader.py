"""SPDX 2.x JSON documents of others, as packages embed them: what they describe and what hangs below it (spec image.md §10).

Members that are not understood, and values that SPDX would not allow, are left out, so that what is written from them is
valid; members must be of their type.  Files are not read.
"""

from __future__ import annotations

import json
import re

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.sbom.licences import NO_ASSERTION, LicenceText, expression
from apkiln.formats.sbom.model import DOCUMENT, Component, Kind, Relationship

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOWHERE = Origin()
MAXIMUM_ELEMENTS = 100_000
"""Packages and relationships of one document, each."""

_ID = pattern(r"SPDXRef-([A-Za-z0-9.-]+)")
_LICENCE = pattern(r"LicenseRef-[A-Za-z0-9.-]+")
_DATE = pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_URL = pattern(r"(https?|ftp|ssh|git|svn|sftp)://\S+")
_DOWNLOAD = pattern(r"((git|hg|svn|bzr)(\+\w+)?|https?|ftp|ssh|sftp)://\S+")
_PURL = pattern(r"pkg:[^\s/]+/\S+")
_HEX_DIGITS = {
    "MD2": 32, "MD4": 32, "MD5": 32, "SHA1": 40, "SHA224": 56, "SHA256": 64, "SHA384": 96, "SHA512": 128,
    "SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128, "BLAKE2b-256": 64, "BLAKE2b-384": 96, "BLAKE2b-512": 128,
    "BLAKE3": 64, "ADLER32": 8,
}  # fmt: skip
_RELATIONS = frozenset(
    """AMENDS ANCESTOR_OF BUILD_DEPENDENCY_OF BUILD_TOOL_OF CONTAINED_BY CONTAINS COPY_OF DATA_FILE_OF DEPENDENCY_MANIFEST_OF
    DEPENDENCY_OF DEPENDS_ON DESCENDANT_OF DESCRIBED_BY DESCRIBES DEV_DEPENDENCY_OF DEV_TOOL_OF DISTRIBUTION_ARTIFACT
    DOCUMENTATION_OF DYNAMIC_LINK EXAMPLE_OF EXPANDED_FROM_ARCHIVE FILE_ADDED FILE_DELETED FILE_MODIFIED GENERATED_FROM GENERATES
    HAS_PREREQUISITE METAFILE_OF OPTIONAL_COMPONENT_OF OPTIONAL_DEPENDENCY_OF OTHER PACKAGE_OF PATCH_APPLIED PATCH_FOR
    PREREQUISITE_FOR PROVIDED_DEPENDENCY_OF REQUIREMENT_DESCRIPTION_FOR RUNTIME_DEPENDENCY_OF SPECIFICATION_FOR STATIC_LINK
    TEST_CASE_OF TEST_DEPENDENCY_OF TEST_OF TEST_TOOL_OF VARIANT_OF""".split()  # noqa: SIM905
)
_PURPOSES = {kind.value: kind for kind in Kind} | {"FRAMEWORK": Kind.LIBRARY, "OPERATING-SYSTEM": Kind.OPERATING_SYSTEM}
_CATEGORIES = {name.replace("-", separator): name for name in ("PACKAGE-MANAGER", "PERSISTENT-ID") for separator in "-_"}
_CATEGORIES |= {"SECURITY": "SECURITY", "OTHER": "OTHER"}


class SpdxDocument(NamedTuple):
    """What a document says about packages.  Identifiers are without `SPDXRef-`."""

    described: tuple[str, ...]
    """Identifiers of what it is about, in order, without repetitions."""
    components: tuple[Component, ...]
    relationships: tuple[Relationship, ...]
    """Those between components."""
    licences: tuple[LicenceText, ...]


def read_spdx(content: bytes, origin: Origin = NOWHERE, limits: Limits = DEFAULT_LIMITS) -> SpdxDocument:
    """Read a document.  FormatError `bad-sbom`, `document-too-large`.

    Described are `documentDescribes` and the DESCRIBES relations of the document.  Licences that are no expressions become
    references, those the document explains get its text.  Of several components with one identifier the first is taken.
    """
    return _Reader(origin).document(_decoded(content, origin, limits))


def reachable(document: SpdxDocument, start: tuple[str, ...]) -> SpdxDocument:
    """The part of a document that relations lead to from `start`."""
    targets: dict[str, list[str]] = {}
    for row in document.relationships:
        targets.setdefault(row.source, []).append(row.target)
    seen, waiting = set(start), list(start)
    while waiting:
        fresh = [target for target in targets.get(waiting.pop(), []) if target not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return SpdxDocument(
        tuple(name for name in document.described if name in seen),
        tuple(component for component in document.components if component.id in seen),
        tuple(row for row in document.relationships if row.source in seen and row.target in seen),
        document.licences,
    )


def _decoded(content: bytes, origin: Origin, limits: Limits) -> Any:
    if len(content) > limits.document:
        message = f"{len(content)} bytes are more than the limit of {limits.document}"
        raise FormatError(message, reason="document-too-large", origin=origin)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the SPDX document is not JSON: {error}", reason="bad-sbom", origin=origin) from None


class _Reader(NamedTuple):
    origin: Origin

    def refuse(self, why: str) -> FormatError:
        return FormatError(f"the SPDX document cannot be used: {why}", reason="bad-sbom", origin=self.origin)

    def document(self, value: Any) -> SpdxDocument:
        if not isinstance(value, dict) or not self.text(value, "spdxVersion").startswith("SPDX-2."):
            raise self.refuse("it is no SPDX 2 document")
        explained = self.rows(value, "hasExtractedLicensingInfos")
        known = {self.text(row, "licenseId"): self.text(row, "extractedText") for row in explained}
        licences = {name: LicenceText(name, text) for name, text in known.items() if _LICENCE.fullmatch(name)}
        components: dict[str, Component] = {}
        for row in self.rows(value, "packages"):
            component = self.component(row, licences)
            components.setdefault(component.id, component)
        described, relationships = self.relations(value, components)
        return SpdxDocument(described, tuple(components.values()), relationships, tuple(sorted(licences.values())))

    def relations(self, value: dict[str, Any], known: dict[str, Component]) -> tuple[tuple[str, ...], tuple[Relationship, ...]]:
        described = [self.identifier(text) for text in self.texts(value, "documentDescribes")]
        found: dict[Relationship, None] = {}
        for row in self.rows(value, "relationships"):
            source, target = self.text(row, "spdxElementId"), self.text(row, "relatedSpdxElement")
            kind = self.text(row, "relationshipType")
            left, right = _ID.fullmatch(source), _ID.fullmatch(target)
            if left is None or right is None:
                continue
            if left[1] == DOCUMENT and kind == "DESCRIBES":
                described.append(right[1])
            elif kind in _RELATIONS and left[1] in known and right[1] in known and left[1] != right[1]:
                found[Relationship(left[1], kind, right[1])] = None
        return tuple(name for name in dict.fromkeys(described) if name in known), tuple(found)

    def component(self, row: dict[str, Any], licences: dict[str, LicenceText]) -> Component:
        references = [self.reference(item) for item in self.rows(row, "externalRefs")]
        purls = [locator for _, kind, locator in references if kind == "purl" and _PURL.fullmatch(locator)]
        checksums = [(self.text(item, "algorithm"), self.text(item, "checksumValue")) for item in self.rows(row, "checksums")]
        return Component(
            id=self.identifier(self.text(row, "SPDXID")),
            kind=_PURPOSES.get(self.text(row, "primaryPackagePurpose"), Kind.OTHER),
            name=self.text(row, "name") or "unknown",
            version=self.text(row, "versionInfo"),
            purl=purls[0] if purls else "",
            supplier=self.party(row, "supplier"),
            originator=self.party(row, "originator"),
            licence=self.licence(row, "licenseDeclared", licences),
            licence_concluded=self.licence(row, "licenseConcluded", licences),
            copyright=_stated(self.text(row, "copyrightText")),
            download=_matching(_DOWNLOAD, self.text(row, "downloadLocation")),
            homepage=_matching(_URL, self.text(row, "homepage")),
            summary=self.text(row, "summary"),
            description=self.text(row, "description"),
            comment=self.text(row, "comment"),
            source=self.text(row, "sourceInfo"),
            built=_matching(_DATE, self.text(row, "builtDate")),
            checksums=tuple(sorted({pair for pair in checksums if _is_checksum(*pair)})),
            references=tuple(sorted({item for item in references if item[1] != "purl" and all(item)})),
            attributions=self.texts(row, "attributionTexts"),
        )

    def reference(self, row: dict[str, Any]) -> tuple[str, str, str]:
        category = self.text(row, "referenceCategory")
        return _CATEGORIES.get(category, ""), self.text(row, "referenceType"), self.text(row, "referenceLocator")

    def party(self, row: dict[str, Any], key: str) -> str:
        """`Organization: …` or `Person: …`; anything else counts as not stated."""
        text = self.text(row, key).strip()
        return text if text.startswith(("Organization: ", "Person: ")) else ""

    def licence(self, row: dict[str, Any], key: str, licences: dict[str, LicenceText]) -> str:
        found = expression(self.text(row, key))
        for reference in found.references:
            unexplained = reference.text == reference.id
            licences.setdefault(reference.id, LicenceText(reference.id, "" if unexplained else reference.text))
        return found.text

    def identifier(self, text: str) -> str:
        found = _ID.fullmatch(text)
        if found is None:
            raise self.refuse(f"`{text[:80]}` is no SPDX identifier")
        return found[1]

    def text(self, row: dict[str, Any], key: str) -> str:
        value = row.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.refuse(f"`{key}` is not a text")
        return value

    def texts(self, row: dict[str, Any], key: str) -> tuple[str, ...]:
        value = [] if row.get(key) is None else row[key]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.refuse(f"`{key}` is not a list of texts")
        return tuple(value)

    def rows(self, row: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = [] if row.get(key) is None else row[key]
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.refuse(f"`{key}` is not a list of objects")
        if len(value) > MAXIMUM_ELEMENTS:
            raise self.refuse(f"`{key}` has more than {MAXIMUM_ELEMENTS} rows")
        return value


def _matching(pattern: re.Pattern[str], text: str) -> str:
    """The text if it has the form that SPDX asks for; documents with broken members are common and still of use."""
    return text.strip() if pattern.fullmatch(text.strip()) else ""


def _is_checksum(algorithm: str, digits: str) -> bool:
    return len(digits) == _HEX_DIGITS.get(algorithm, -1) and re.fullmatch(r"[0-9a-f]+", digits) is not None


def _stated(text: str) -> str:
    """Empty for SPDX's two words for nothing."""
    return "" if text.strip() in (NO_ASSERTION, "NONE") else text.strip()
