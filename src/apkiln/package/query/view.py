"""A definition under the names that templates use: `.Package.TargetArchitecture` for `target-architecture`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apkiln.package.definition import keys

_INITIALISMS = {"url": "URL", "cpe": "CPE", "oci": "OCI", "uid": "UID", "gid": "GID", "github": "GitHubMonitor"}
_SPECIAL = {"runs-as": "RunAs", "git": "GitMonitor", "release-monitor": "ReleaseMonitor", "cpumodel": "CPUModel", "cpu": "CPU"}


_ORDERS = {
    "copyright": ("paths", "attestation", "license", "license-path", "detection-override"),
    "cpe": ("part", "vendor", "product", "edition", "language", "sw_edition", "target_sw", "target_hw", "other"),
}
"""Sections that melange prints in another order than that of the schema, or with fewer keys."""


def _full_version(package: dict[str, Any]) -> str:
    return f"{package.get('version', '')}-r{package.get('epoch', 0)}"


def _licences(package: dict[str, Any]) -> str:
    return " AND ".join(entry.get("license", "") for entry in package.get("copyright") or ())


def _name(definition: dict[str, Any]) -> str:
    return str(definition["package"]["name"])


_MADE: dict[tuple[str, str], Callable[[dict[str, Any]], str]] = {
    ("", "Name"): _name,
    ("package", "FullVersion"): _full_version,
    ("package", "LicenseExpression"): _licences,
}
"""What templates may ask for beside the keys, by section."""


class Section:
    """One mapping of the document; absent members have the empty value of their kind."""

    def __init__(self, section: str, members: dict[str, Any]) -> None:
        self.section = section
        self.members = members

    def names(self) -> tuple[str, ...]:
        listed = _ORDERS.get(self.section) or tuple(key.name for key in keys.SECTIONS[self.section])
        return tuple(template_name(name) for name in listed)

    def member(self, name: str) -> Any:
        """Raises KeyError for a name the section does not have."""
        for key in keys.SECTIONS[self.section]:
            if template_name(key.name) == name:
                return _view(key.kind, self.members.get(key.name))
        made = _MADE.get((self.section, name))
        if made is None:
            raise KeyError(name)
        return made(self.members)

    def __bool__(self) -> bool:
        return bool(self.members)

    def __str__(self) -> str:
        return "{" + " ".join(shown(self.member(name)) for name in self.names()) + "}"


def template_name(key: str) -> str:
    """`provider-priority` → `ProviderPriority`, `url` → `URL`."""
    special = _SPECIAL.get(key)
    words = re.split("[-_]", key)
    return special or "".join(_INITIALISMS.get(word, word[:1].upper() + word[1:]) for word in words)


def _view(kind: str, value: Any) -> Any:
    form, _, section = kind.partition(":")
    if form == "section":
        return Section(section, value or {})
    if form == "list":
        return tuple(Section(section, item) for item in value or ())
    if form == "map":
        return {name: Section(section, item) for name, item in (value or {}).items()}
    if form in ("pairs", "inputs"):
        return dict(value or {})
    if form == "texts":
        return tuple(value or ())
    if form == "boolean":
        return bool(value)
    return value if value is not None else 0 if form == "integer" else ""


def shown(value: Any) -> str:
    """A value as Go's templates print it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + " ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return str(value)
