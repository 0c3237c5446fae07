"""What an audit says: violations, and what it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apkiln.core.named_tuple import NamedTuple


class Violation(NamedTuple):
    """One broken rule at one place."""

    rule: str
    """Stable kebab-case word, for example `unowned-path`, `owner`, `content` (the list stands in docs/audit.md)."""
    path: str
    """Path in the image without leading slash; for rules about documents and blobs, what they are: `manifest`, `layer 1`."""
    expected: str = ""
    found: str = ""
    package: str = ""
    """`name-version` of the package concerned; empty when there is none."""

    def __str__(self) -> str:
        owner = f" ({self.package})" if self.package else ""
        text = f"{self.path}{owner}: {self.rule}"
        if self.expected or self.found:
            text += f": expected {self.expected or 'nothing'}, found {self.found or 'nothing'}"
        return text


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of one audit of one image (one architecture)."""

    image: str
    """What was audited: digest of the manifest, or the directory."""
    builder: str
    """Who accounts for generated paths: `apkiln`, `apko` or `none`."""
    violations: tuple[Violation, ...]
    """Sorted by path, then rule."""
    packages: int
    """Installed packages."""
    paths: int
    """Paths of the tree."""
    owned: int
    """Paths of packages."""
    generated: tuple[tuple[str, int], ...]
    """Rule and number of its paths, sorted."""
    bills: int
    """SBOM documents that were compared."""
    notes: tuple[str, ...] = ()
    """What could not be checked, one line each."""

    def value(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "image": self.image,
            "builder": self.builder,
            "clean": not self.violations,
            "packages": self.packages,
            "paths": self.paths,
            "owned": self.owned,
            "generated": dict(self.generated),
            "sbom_documents": self.bills,
            "notes": list(self.notes),
            "violations": [violation._asdict() for violation in self.violations],
        }


def in_order(violations: list[Violation]) -> tuple[Violation, ...]:
    """Sorted and free of repetitions."""
    return tuple(sorted(set(violations), key=lambda item: (item.path, item.rule, item.package, item.expected, item.found)))
