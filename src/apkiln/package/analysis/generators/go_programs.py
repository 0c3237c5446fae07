"""Go programs that were built in a way for which the distribution has a rule (spec package.md §13.2, 1f)."""

from __future__ import annotations

from apkiln.package.analysis.generators.relations import Relations, Scene


def go_programs(scene: Scene, relations: Relations) -> None:
    """What the rules say of the settings that stand in the program."""
    if not scene.rules.go:
        return
    for _, facts in scene.tree.examined():
        settings = dict(facts.go)
        for rule in scene.rules.go if settings else ():
            if all(settings.get(name) in values for name, values in rule.settings):
                relations.depends.update(rule.depends)
