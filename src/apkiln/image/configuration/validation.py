"""What a merged definition must fulfil as a whole, beyond the form of its single entries (spec image.md §2)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.image.configuration.merge import is_removal, report_idle_removal
from apkiln.image.configuration.model import ImageConfiguration, NamedContent, PackageRequest, RepositoryEntry

LARGEST_BUDGET = 120
"""Container engines stop near 127 layers (spec image.md §8.2)."""


def validate(configuration: ImageConfiguration, faults: FaultCollector, origin: Origin, *, strict: bool = False) -> None:
    """Add every fault of the merged definition, each at the entry it concerns; `origin` is for what has no place of its own.

    What could be a mere consequence of a fault that is already collected is not looked for.  Certificates and keys are
    checked for name and presence; whether they parse is seen when they are installed.
    """
    _Validator(configuration, faults, origin, strict).run()


@value
class _Validator:
    configuration: ImageConfiguration
    faults: FaultCollector
    origin: Origin
    strict: bool

    def run(self) -> None:
        contents = self.configuration.contents
        if not self.faults.faults:
            self._presence()
            self._base_image()
            self._layering()
        self._removals(contents.repositories + contents.build_repositories + contents.runtime_repositories)
        self._removals(contents.packages)
        self._names(contents.runtime_keyring, "contents.runtime_keyring")
        self._names(self.configuration.certificates.additional, "certificates.additional")

    def fault(self, message: str, reason: str, origin: Origin | None = None, hint: str = "") -> None:
        place = origin if origin is not None and origin.source else self.origin
        self.faults.add(ConfigurationError(message, reason=reason, origin=place, hint=hint))

    def _presence(self) -> None:
        contents = self.configuration.contents
        if not (contents.repositories or contents.runtime_repositories or contents.no_runtime_repositories):
            hint = "list `contents.repositories`, or set `contents.no_runtime_repositories: true`"
            self.fault("no repository for the image", "no-repositories", hint=hint)

    def _removals(self, entries: Iterable[PackageRequest | RepositoryEntry]) -> None:
        """Removals that merging has not used up: there was no included definition."""
        for entry in entries:
            if is_removal(entry.text):
                report_idle_removal(entry.text, entry.origin, self.faults)

    def _names(self, items: tuple[NamedContent, ...], where: str) -> None:
        seen: dict[str, NamedContent] = {}
        for item in items:
            if item.name in seen:
                self.fault(f"`{where}`: the name `{item.name}` is a duplicate", "duplicate-name", item.origin)
            seen[item.name] = item

    def _base_image(self) -> None:
        base = self.configuration.contents.baseimage
        if base is not None and not base.image:
            self.fault("`contents.baseimage` needs `image`", "missing-key", base.origin)
        if base is not None and self.strict and not base.apkindex:
            self.fault("`contents.baseimage` needs `apkindex`", "missing-key", base.origin)

    def _layering(self) -> None:
        layering = self.configuration.layering
        if layering is None:
            return
        if self.configuration.format == "erofs":
            self.fault("`layering` and `format: erofs` exclude each other", "layering-with-erofs", layering.origin)
        if layering.budget and not layering.strategy:
            self.fault("`layering.budget` needs a `strategy`", "budget-without-strategy", layering.origin)
        if layering.budget is not None and not 0 <= layering.budget <= LARGEST_BUDGET:
            message = f"`layering.budget`: {layering.budget} is not between 0 and {LARGEST_BUDGET}"
            self.fault(message, "bad-number", layering.origin)
        if (layering.strategy == "groups") != bool(layering.groups):
            self.fault("`layering.groups` goes with `strategy: groups`, and only with it", "bad-layering", layering.origin)
        names = [name for group in layering.groups for name in group]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.fault(f"`layering.groups` names `{name}` twice", "duplicate-name", layering.origin)
