"""The SPDX document that a package carries, merged below the package's own component (spec image.md §10.2 S1, S2, S6)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.sbom.licences import NO_ASSERTION, LicenceText
from apkiln.formats.sbom.model import Component, Relationship, renamed
from apkiln.formats.sbom.spdx_reader import SpdxDocument, reachable


def embedded_paths(name: str, version: str) -> tuple[str, ...]:
    """Where a package's own document may lie, in the order of the search; relative to the root."""
    bare = re.sub(r"-r\d+$", "", version)
    return tuple(dict.fromkeys(f"var/lib/db/sbom/{stem}.spdx.json" for stem in (f"{name}-{version}", f"{name}-{bare}", name)))


class Gathering:
    """Components, relationships and licence texts of an image while packages are added; ids and texts never clash."""

    def __init__(self) -> None:
        self.components: dict[str, Component] = {}
        self.relationships: dict[Relationship, None] = {}
        self.licences: dict[str, str] = {}
        self.installed: dict[tuple[str, str], str] = {}
        """Name and version of each installed package to the identifier that is kept for it."""
        self.reserved: set[str] = set()
        """Those identifiers."""

    def reserve(self, own: Component) -> None:
        """Keep the identifier of an installed package for it."""
        self.installed[own.name, own.version] = own.id
        self.reserved.add(own.id)

    def add_installed(self, own: Component) -> None:
        """Add an installed package that was reserved."""
        assert self.installed.get((own.name, own.version)) == own.id, "installed packages are reserved first"
        self.components[own.id] = own

    def add(self, component: Component) -> str:
        """Add a component; the identifier it has now, which differs when another content already has its own."""
        held = self.components.get(component.id)
        if (held is not None and held != component) or component.id in self.reserved:
            component = component._replace(id=renamed(component.id, component))
        self.components[component.id] = component
        return component.id

    def relate(self, source: str, kind: str, *targets: str) -> None:
        for target in targets:
            self.relationships[Relationship(source, kind, target)] = None

    def explain(self, licences: Iterable[LicenceText]) -> dict[str, str]:
        """Add licence texts; identifiers that had to change because they have another text already, old to new."""
        changed: dict[str, str] = {}
        for licence in licences:
            held = self.licences.get(licence.id)
            if not held:
                self.licences[licence.id] = licence.text
            elif licence.text and licence.text != held:
                changed[licence.id] = renamed(licence.id, licence.text)
                self.licences[changed[licence.id]] = licence.text
        return changed

    def embed(self, own: Component, document: SpdxDocument, origin: Origin) -> None:
        """Add a package with its document: the described element of its name and version becomes part of `own`, all that is
        reachable from described elements comes along.

        VerificationError `sbom-of-another-package` when no described element has the package's name and version.
        """
        mine = _described(own, document, origin)
        part = reachable(document, document.described)
        changed = self.explain(licence for licence in part.licences if _is_used(licence, part))
        self.add_installed(_with_licences(_enriched(own, mine), changed))
        names = {mine.id: own.id}
        for component in part.components:
            if component.id != mine.id:
                names[component.id] = self._add_foreign(_with_licences(component, changed))
        for row in part.relationships:
            if names[row.source] != names[row.target]:
                self.relate(names[row.source], row.kind, names[row.target])
        others = [names[name] for name in part.described if names[name] != own.id]
        self.relate(own.id, "CONTAINS", *others)

    def _add_foreign(self, component: Component) -> str:
        """Add a component of a document.  An apk that is installed is the installed one; one that is not must not look like
        it, or scanners would count it: its purl becomes a comment."""
        if not component.purl.startswith("pkg:apk/"):
            return self.add(component)
        found = self.installed.get((component.name, component.version))
        if found is not None:
            return found
        comment = f"{component.comment} Not installed: {component.purl}".strip()
        return self.add(component._replace(purl="", comment=comment))


def _described(own: Component, document: SpdxDocument, origin: Origin) -> Component:
    described = [component for component in document.components if component.id in document.described]
    for component in described:
        if component.name == own.name and component.version == own.version:
            return component
    found = ", ".join(f"`{component.name}` {component.version}" for component in described) or "nothing"
    message = f"the SPDX document of `{own.name}` {own.version} describes {found}"
    raise VerificationError(message, reason="sbom-of-another-package", origin=origin)


def _enriched(own: Component, described: Component) -> Component:
    """The package's component with what only its document knows.  What the signed index says is kept."""
    licence = own.licence if own.licence != NO_ASSERTION else described.licence
    return own._replace(
        supplier=described.supplier or own.supplier,
        originator=described.originator or own.originator,
        licence=licence,
        licence_concluded=described.licence_concluded,
        copyright=own.copyright or described.copyright,
        comment=own.comment or described.comment,
        references=tuple(sorted({*own.references, *described.references})),
        attributions=described.attributions,
    )


def _is_used(licence: LicenceText, part: SpdxDocument) -> bool:
    word = re.compile(rf"(?<![A-Za-z0-9.-]){re.escape(licence.id)}(?![A-Za-z0-9.-])")
    return any(word.search(text) for item in part.components for text in (item.licence, item.licence_concluded))


def _with_licences(component: Component, changed: dict[str, str]) -> Component:
    """The component with references renamed in its expressions."""
    if not changed:
        return component
    return component._replace(
        licence=_renamed(component.licence, changed), licence_concluded=_renamed(component.licence_concluded, changed)
    )


def _renamed(text: str, changed: dict[str, str]) -> str:
    return re.sub(r"LicenseRef-[A-Za-z0-9.-]+", lambda found: changed.get(found.group(), found.group()), text)
