"""What is about to be built, as one value: packages, order, repositories and time per architecture (spec image.md §4, §6).

Pure.  The plan can be printed, hashed and compared; it holds no secret (URLs are redacted) and nothing of the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.secret import redact_url
from apkiln.core.value import value
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.solution import SelectedPackage, Solution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PlannedPackage(NamedTuple):
    """One package of one architecture."""

    record: IndexRecord
    repository: str
    """URL or path of the repository it comes from, without credentials."""
    tag: str = ""
    sha256: str = ""
    """Hex SHA-256 of the whole `.apk` file; empty until it was seen."""
    from_base: bool = False
    """It is in the base image already."""

    def document(self) -> dict[str, Any]:
        record = self.record
        return {
            "name": record.name,
            "version": record.version,
            "arch": record.arch,
            "identity": record.identity.hex(),
            "size": record.size,
            "sha256": self.sha256,
            "repository": self.repository,
            "tag": self.tag,
        } | ({"base": True} if self.from_base else {})


@value
class ArchitecturePlan:
    """One image of the index."""

    arch: Arch
    world: tuple[str, ...]
    """What was asked for, sorted, as written."""
    packages: tuple[PlannedPackage, ...]
    """In install order: dependencies first."""
    epoch: int
    """Unix seconds for everything the builder dates."""

    def document(self) -> dict[str, Any]:
        packages = [package.document() for package in self.packages]
        return {"arch": self.arch.apk, "epoch": self.epoch, "world": list(self.world), "packages": packages}


@value
class ImagePlan:
    """All architectures of one image, sorted by OCI name."""

    configuration_checksum: str
    """Of the definition with its includes: `sha256-<base64>`."""
    architectures: tuple[ArchitecturePlan, ...]

    @property
    def epoch(self) -> int:
        """Of the index: the latest of its images."""
        return max((item.epoch for item in self.architectures), default=0)

    def document(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {
            "version": 1,
            "configuration": self.configuration_checksum,
            "architectures": [item.document() for item in self.architectures],
        }

    def digest(self) -> Digest:
        """SHA-256 of the canonical document: equal plans, equal digests."""
        return Digest.sha256(hashlib.sha256(canonical_json.encode(self.document())).digest())


def plan_architecture(
    arch: Arch,
    requests: Iterable[str],
    solution: Solution,
    repositories: Mapping[int, str],
    *,
    source_date_epoch: int | None = None,
    build_date: int = 0,
    base: Iterable[IndexRecord] = (),
) -> ArchitecturePlan:
    """`repositories`: location by number, as the solver saw them.  `base`: packages that are there already; they come first."""
    below = [PlannedPackage(record, "", record.repository_tag, from_base=True) for record in base]
    packages = (*below, *(_planned(selected, repositories) for selected in install_order(solution)))
    newest = max((package.record.build_date for package in packages), default=0)
    epoch = source_date_epoch if source_date_epoch is not None else max(build_date, newest)
    return ArchitecturePlan(arch, tuple(sorted(set(requests))), packages, epoch)


def install_order(solution: Solution) -> tuple[SelectedPackage, ...]:
    """The packages in the order of the transaction."""
    return tuple(change.new for change in solution.changes if change.new is not None)


def parse_epoch(text: str, name: str = "SOURCE_DATE_EPOCH") -> int:
    """Unix seconds from an environment variable.  Raises UsageError (`bad-epoch`)."""
    if not text.isdecimal() or len(text) > 12:
        raise UsageError(f"{name} is `{text}`, which is not a number of seconds", reason="bad-epoch")
    return int(text)


def parse_build_date(text: str) -> int:
    """Unix seconds of an RFC 3339 time.  Raises UsageError (`bad-build-date`)."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as cause:
        hint = "write for example `2026-11-25T00:00:00Z`"
        raise UsageError(f"`{text}` is not an RFC 3339 time", reason="bad-build-date", hint=hint) from cause
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def differing_versions(plans: Sequence[ArchitecturePlan]) -> tuple[str, ...]:
    """Names whose versions differ between architectures that both have them, sorted."""
    versions: dict[str, set[str]] = {}
    for plan in plans:
        for package in plan.packages:
            versions.setdefault(package.record.name, set()).add(package.record.version)
    return tuple(sorted(name for name, found in versions.items() if len(found) > 1))


def _planned(selected: SelectedPackage, repositories: Mapping[int, str]) -> PlannedPackage:
    return PlannedPackage(selected.record, redact_url(repositories[selected.repository]), selected.tag)
