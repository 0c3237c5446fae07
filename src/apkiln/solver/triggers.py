"""Which packages a set of packages triggers through install_if, and why one of them does not join (spec apk.md §10.6.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.universe import Candidate, Universe


class Triggers:
    """Looks at one set of chosen packages."""

    def __init__(self, universe: Universe, world: Sequence[Dependency], chosen: Iterable[Candidate]) -> None:
        self._universe = universe
        self._world = world
        self._chosen = set(chosen)
        self._names = {candidate.name for candidate in self._chosen}

    def met(self) -> list[Candidate]:
        """Triggered packages whose own name nothing chosen has: by name, of one name the highest version first.

        A package that no allowed tag reaches is silently left out (§19.1) and not listed.
        """
        mentioning: dict[Candidate, None] = {}
        for candidate in sorted(self._chosen, key=lambda each: each.name):
            for text in dict.fromkeys([candidate.name, *(text for text, _ in candidate.provides)]):
                mentioning.update(dict.fromkeys(self._universe.mentioning(text)))
        found = [candidate for candidate in mentioning if candidate.name not in self._names and self._is_met(candidate)]
        return sorted(sorted(found, key=lambda each: each.key, reverse=True), key=lambda each: each.name)

    def still_met(self, candidate: Candidate) -> bool:
        """Whether all items of its install_if hold."""
        return all(self._holds(item) != item.conflict for item in candidate.install_if)

    def _is_met(self, candidate: Candidate) -> bool:
        if not self.still_met(candidate):
            return False
        for item in candidate.install_if:
            for provide in self._universe.name(item.name).providers:
                if provide.candidate in self._chosen:
                    candidate.allowed_tags |= provide.candidate.allowed_tags
        return candidate.tag_allowed

    def _holds(self, item: Dependency, besides: Candidate | None = None) -> bool:
        """Whether a chosen package is what the item speaks of."""
        return any(
            provide.candidate in self._chosen
            and provide.candidate is not besides
            and hits(item, provide.version, provide.candidate.identity)
            for provide in self._universe.name(item.name).providers
        )

    def obstacle(self, candidate: Candidate) -> str:
        """What speaks against a triggered package beside the chosen ones, in one phrase; empty when nothing does."""
        if candidate.unusable or not candidate.reachable:
            return candidate.unusable or "unavailable"
        for item in self._world:
            if item.conflict and self._is_hit(item, candidate):
                return f"the world has {item}"
        for item in candidate.depends:
            if item.conflict and self._holds(item, candidate):
                return f"it refuses {str(item).removeprefix('!')}"
            if not item.conflict and not self._holds(item) and not self._is_hit(item, candidate):
                return f"it needs {item}"
        for chosen in sorted(self._chosen, key=lambda each: each.name):
            if any(item.conflict and self._is_hit(item, candidate) for item in chosen.depends):
                return f"{chosen.record.name_version} refuses it"
        return self._rival(candidate)

    def _is_hit(self, item: Dependency, candidate: Candidate) -> bool:
        provides = self._universe.name(item.name).providers
        return any(provide.candidate is candidate and hits(item, provide.version, candidate.identity) for provide in provides)

    def _rival(self, candidate: Candidate) -> str:
        owned: dict[str, str] = {candidate.name: candidate.record.version}
        for text, version in candidate.provides:
            if text in owned and (version or owned[text]):
                return "it conflicts with itself"
            owned.setdefault(text, version)
        for text, version in owned.items():
            for provide in self._universe.name(text).providers:
                if provide.candidate in self._chosen and (version or provide.version):
                    return f"{provide.candidate.record.name_version} owns the name {text}"
        return ""
