"""What a bill of materials says, before it is SPDX or CycloneDX (spec image.md §10, supply-chain.md §1).

Identifiers are SPDX's without the `SPDXRef-` prefix: letters, digits, `.` and `-`.
"""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.formats.sbom.licences import NO_ASSERTION, LicenceText

DOCUMENT = "DOCUMENT"
"""The identifier of every document itself."""
_ILLEGAL = pattern(r"[^A-Za-z0-9.-]")


class Kind(Enum):
    """What a component is; the value is SPDX's `primaryPackagePurpose`."""

    CONTAINER = "CONTAINER"
    LAYER = "ARCHIVE"
    OPERATING_SYSTEM = "OPERATING_SYSTEM"
    PACKAGE = "APPLICATION"
    SOURCE = "SOURCE"
    RECIPE = "INSTALL"
    LIBRARY = "LIBRARY"
    OTHER = "OTHER"


class Component(NamedTuple):
    """Anything with a name and a version.  Empty text = not known."""

    id: str
    kind: Kind
    name: str
    version: str = ""
    purl: str = ""
    supplier: str = ""
    """`Organization: …`, `Person: …`."""
    originator: str = ""
    licence: str = NO_ASSERTION
    """Declared licence, a valid SPDX expression."""
    licence_concluded: str = NO_ASSERTION
    copyright: str = ""
    download: str = ""
    homepage: str = ""
    summary: str = ""
    description: str = ""
    comment: str = ""
    source: str = ""
    """How it came about, in words (SPDX `sourceInfo`)."""
    built: str = ""
    """RFC 3339."""
    checksums: tuple[tuple[str, str], ...] = ()
    """(`SHA1`|`SHA256`|…, hex), sorted."""
    references: tuple[tuple[str, str, str], ...] = ()
    """(category, type, locator) beside the purl, for example CPEs; sorted."""
    attributions: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    """Facts that only CycloneDX has a place for, by name; sorted."""


class FileFact(NamedTuple):
    """One file that is listed by itself."""

    id: str
    path: str
    """Absolute."""
    sha1: str
    """Hex; SPDX demands it."""
    sha256: str
    comment: str = ""


class Relationship(NamedTuple):
    """`source` stands in `kind` (SPDX's word) to `target`."""

    source: str
    kind: str
    target: str


class ExternalDocument(NamedTuple):
    """Another bill of materials that this one refers to."""

    id: str
    """`DocumentRef-…`."""
    uri: str
    """Its SPDX namespace, or its CycloneDX `urn:cdx:` address."""
    sha1: str
    sha256: str


class Document(NamedTuple):
    """A bill of materials.  Writers sort what has no order of its own."""

    name: str
    path: str
    """What follows the namespace base: kind and digest of the subject, for example `image/sha256-…`."""
    base: str
    """Base URI of namespaces."""
    created: str
    """RFC 3339."""
    creators: tuple[str, ...]
    """`Tool: …`, `Organization: …`, `Person: …`, in order."""
    subject: str
    """Identifier of the component that the document describes."""
    components: tuple[Component, ...]
    relationships: tuple[Relationship, ...]
    files: tuple[FileFact, ...] = ()
    licences: tuple[LicenceText, ...] = ()
    external: tuple[ExternalDocument, ...] = ()


def identifier(*parts: str) -> str:
    """Parts joined by `-`, escaped as melange does: `:` and `/` become `-`, anything else illegal `C` and its code point."""
    return _ILLEGAL.sub(_escaped, "-".join(parts))


def renamed(name: str, content: object) -> str:
    """`name` made distinct by a digest of what it stands for."""
    return f"{name}-{sha256(repr(content).encode()).hexdigest()[:12]}"


def _escaped(found: re.Match[str]) -> str:
    return "-" if found[0] in ":/" else f"C{ord(found[0])}"
