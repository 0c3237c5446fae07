"""Bills of materials against the installed database: the same packages, no more, no fewer (spec image.md §10.2 S1, S12)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.image.audit.findings import Violation

Package = tuple[str, str]
"""Name and version."""


def bill_names(arch: str) -> tuple[str, ...]:
    """Where builders leave the SBOM of an image, relative to a layout or to the directory of an archive."""
    stems = (f"sbom-{arch}.spdx.json", f"sbom-{arch}.cdx.json")
    return tuple(f"{directory}{stem}" for directory in ("", "sboms/") for stem in stems)


def packages_of_bill(content: bytes, name: str) -> tuple[Package, ...]:
    """Every apk package that an SPDX 2 or CycloneDX JSON document names by a `pkg:apk/` URL, in order, repetitions kept.

    Raises FormatError `bad-sbom` when it is neither.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise _bad(name, "it is not JSON") from cause
    if not isinstance(document, dict):
        raise _bad(name, "it is not an object")
    if "spdxVersion" in document:
        return tuple(_packages(_spdx_locators(document)))
    if document.get("bomFormat") == "CycloneDX":
        return tuple(_packages(_cyclonedx_locators(document)))
    raise _bad(name, "it is neither SPDX 2 nor CycloneDX")


def compare_bill(name: str, listed: Iterable[Package], installed: Iterable[Package]) -> Iterator[Violation]:
    """`sbom-package-missing`, `sbom-package-extra`, `sbom-package-twice`."""
    counted: dict[Package, int] = {}
    for package in listed:
        counted[package] = counted.get(package, 0) + 1
    wanted = set(installed)
    for package in sorted(wanted - counted.keys()):
        yield Violation("sbom-package-missing", name, "-".join(package), "")
    for package in sorted(counted.keys() - wanted):
        yield Violation("sbom-package-extra", name, "", "-".join(package))
    for package, count in sorted(counted.items()):
        if count > 1:
            yield Violation("sbom-package-twice", name, f"{'-'.join(package)} once", f"{count} times")


def _spdx_locators(document: dict[str, Any]) -> Iterator[str]:
    for package in _rows(document.get("packages")):
        # One package may carry its URL in several spellings; it is one package.
        locators = {
            str(reference.get("referenceLocator", ""))
            for reference in _rows(package.get("externalRefs"))
            if reference.get("referenceType") == "purl"
        }
        yield from sorted(locators)


def _cyclonedx_locators(document: dict[str, Any]) -> Iterator[str]:
    for component in _rows(document.get("components")):
        if "purl" in component:
            yield str(component["purl"])


def _packages(locators: Iterable[str]) -> Iterator[Package]:
    for locator in locators:
        if not locator.startswith("pkg:apk/"):
            continue
        path = locator.partition("?")[0].partition("#")[0]
        name, _at, version = path.rpartition("/")[2].partition("@")
        yield unquote(name), unquote(version)


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _bad(name: str, why: str) -> FormatError:
    return FormatError(f"the SBOM cannot be used: {why}", reason="bad-sbom", origin=Origin(name))
