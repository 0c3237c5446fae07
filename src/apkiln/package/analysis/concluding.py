"""From facts to relations and findings (spec package.md §13.1)."""

from __future__ import annotations

from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.definition.parts import part_named


def conclude(facts: TreeFacts, context: AnalysisContext) -> Analysis:
    """Dependencies, provides and findings of one package.  Pure; the same whatever the order of entries."""
    part = part_named(context.definition, facts.package)
    assert part is not None, f"{facts.package} is a package of the definition"
    declared = part.dependencies
    return Analysis(
        tuple(sorted({item.text for item in declared.runtime})), tuple(sorted({item.text for item in declared.provides}))
    )
