"""The licence of a package as one SPDX expression (spec package.md §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.formats.sbom.licences import NO_ASSERTION, LicenceText, expression
from apkiln.package.definition.model import Copyright

_DROPPED = pattern(r"[^A-Za-z0-9.-]")
_ALTERNATIVE = pattern(r"\bOR\b")


class Licensing(NamedTuple):
    """What the copyright entries of a definition say together."""

    expression: str
    """`NOASSERTION` when nothing is declared."""
    copyright: str
    """Attestations, each with a line feed; empty when there are none."""
    texts: tuple[LicenceText, ...]
    """Of references, sorted."""
    unknown: tuple[str, ...]
    """Licences as written of which neither SPDX nor the package has a text, in order."""


def licensing(entries: Iterable[Copyright], files: Mapping[str, str]) -> Licensing:
    """`files`: content of the `license-path` of entries.

    Entries are joined with `AND`; one with alternatives gets parentheses, so that joining does not change its meaning.
    """
    listed = tuple(entries)
    parts = [reference(entry.license.text) for entry in listed]
    several = len([part for part in parts if part]) > 1
    joined = " AND ".join(f"({part})" if several and _ALTERNATIVE.search(part) else part for part in parts if part)
    texts: dict[str, str] = {}
    unknown: list[str] = []
    for entry, part in zip(listed, parts, strict=True):
        if not part.startswith("LicenseRef-") or " " in part:
            continue
        content = files.get(entry.license_path.text, "") if entry.license_path.text else ""
        if not content:
            unknown.append(entry.license.text)
        texts[part] = content or f"Non-SPDX License: {entry.license.text}"
    return Licensing(
        joined or NO_ASSERTION,
        "".join(f"{entry.attestation}\n" for entry in listed if entry.attestation),
        tuple(sorted(LicenceText(name, text) for name, text in texts.items())),
        tuple(unknown),
    )


def reference(text: str) -> str:
    """The text itself when it is an SPDX expression, else one `LicenseRef-` for all of it; an empty text stays empty."""
    if not text.strip():
        return ""
    found = expression(text)
    if all(item.text.startswith("LicenseRef-") for item in found.references):
        return found.text
    kept = _DROPPED.sub("", text.strip().replace(" ", "-").replace("_", "-"))
    return "LicenseRef-" + (kept or sha256(text.encode()).hexdigest()[:16])
