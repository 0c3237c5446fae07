"""When a look at a part of the names is enough: answers that no order of decisions could change.

Full discovery follows install_if in both directions and so reaches most of an index (a name leads to its `-doc` package, that
to `docs`, and `docs` to every other package).  What lies beyond only moves names within the order of decisions.  A run over
what the world can really need is accepted in its place when its answer does not depend on that order:

* no item of the answer speaks against a package of the answer, so no order can disqualify one of them;
* every required name got the provider that is best before anything is decided, so every order picks the same one;
* what install_if adds is the only package of its name that could be added so.

Anything else, and every request with an installed set, tags or wishes, takes the full run.
"""

from __future__ import annotations

from apkiln.formats.apk.dependency import hits
from apkiln.solver.callers import may_be_picked
from apkiln.solver.greedy import GreedyRun
from apkiln.solver.preference import precedes
from apkiln.solver.request import Request
from apkiln.solver.universe import Candidate, Name, Provide, Universe


def may_be_certain(universe: Universe, request: Request) -> bool:
    """Whether a partial run is worth trying at all."""
    return not (request.strict_apk or request.installed or request.cached or request.wish or request.wishes or universe.tags)


def is_certain(universe: Universe, run: GreedyRun) -> bool:
    """Whether the answer of a finished run without errors stands in every order of decisions."""
    if any(item.conflict for candidate in universe.candidates for item in candidate.install_if):
        return False
    refused = _refused(universe, run)
    for name in universe.names:
        if name.requirers:
            if not _only_choice(name, refused):
                return False
        elif name.chosen is not None and name.chosen.candidate.name == name.text and not _only_trigger(universe, name):
            return False
    return True


def _refused(universe: Universe, run: GreedyRun) -> set[Candidate]:
    """Packages the world itself rules out: it is applied before anything is decided."""
    return {
        provide.candidate
        for item in run.world
        for provide in universe.name(item.name).providers
        if hits(item, provide.version, provide.candidate.identity) == item.conflict
    }


def _only_choice(name: Name, refused: set[Candidate]) -> bool:
    best: Provide | None = None
    others = False
    for provide in name.providers:
        candidate = provide.candidate
        if candidate in refused or candidate.unusable or not candidate.reachable:
            continue
        if not may_be_picked(name, provide):
            others = True
        if best is None or precedes(provide, best):
            best = provide
    if best is None or name.chosen is None or name.chosen.candidate is not best.candidate:
        return False
    return not others or len({provide.candidate for provide in name.providers}) == 1


def _only_trigger(universe: Universe, name: Name) -> bool:
    """Whether a package nobody requires came by install_if, with no other package of its name that could."""
    assert name.chosen is not None, "asked of chosen names only"
    chosen = name.chosen.candidate
    if any(universe.name(text).requirers for text, _ in chosen.provides):
        return True  # called for by a provided name, which is looked at itself
    return sum(1 for provide in name.providers if provide.candidate.install_if) == 1
