"""The packages that a world can reach, and who depends on which name."""

from __future__ import annotations

from collections.abc import Container, Iterable

from apkiln.formats.apk.dependency import Dependency
from apkiln.solver.universe import Candidate, Name, Universe


class Reach:
    """What matters of a universe to a world."""

    def __init__(self, universe: Universe, world: Iterable[Dependency]) -> None:
        self._universe = universe
        self.packages: dict[Candidate, None] = {}
        """In order of discovery."""
        self.askers: dict[str, list[Candidate]] = {}
        """Name → packages that depend on it."""
        self._find(world)

    def _find(self, world: Iterable[Dependency]) -> None:
        """Along what packages depend on, what they are named, and what their names trigger."""
        pending = [item.name for item in world]
        seen = set(pending)
        found = self.packages
        while pending:
            name = self._universe.name(pending.pop())
            for candidate in dict.fromkeys(
                [*(provide.candidate for provide in name.providers), *self._triggered_by(name, found)]
            ):
                if candidate in found:
                    continue
                found[candidate] = None
                needed = dict.fromkeys([item.name for item in candidate.depends])
                for text in needed:
                    self.askers.setdefault(text, []).append(candidate)
                for text in (candidate.name, *(text for text, _ in candidate.provides), *needed):
                    if text not in seen:
                        seen.add(text)
                        pending.append(text)

    def _triggered_by(self, name: Name, found: Container[Candidate]) -> list[Candidate]:
        """Packages that mention `name` in install_if and whose other positive items are provided by something."""
        return [
            candidate
            for candidate in self._universe.mentioning(name.text)
            if all(item.conflict or item.name == name.text or self._is_known(item.name, found) for item in candidate.install_if)
        ]

    def _is_known(self, text: str, found: Container[Candidate]) -> bool:
        return any(provide.candidate in found for provide in self._universe.name(text).providers)
