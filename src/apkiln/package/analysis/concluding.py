"""From facts to relations and findings (spec package.md §13.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.dependency import is_dependency_name, provided
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import is_valid
from apkiln.package.analysis.conclusion import Analysis, AnalysisContext
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.generators.relations import Relations, Scene
from apkiln.package.analysis.generators.table import GENERATORS
from apkiln.package.analysis.linters.linting import lint
from apkiln.package.analysis.linters.scene import LintScene
from apkiln.package.analysis.tree import Tree
from apkiln.package.definition.forms import dependency
from apkiln.package.definition.model import Dependencies, PackageOptions
from apkiln.package.definition.parts import part_named


class Generated(NamedTuple):
    """What the files alone say; sorted, each once."""

    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    vendored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def conclude(facts: TreeFacts, context: AnalysisContext) -> Analysis:
    """Dependencies, provides and findings of one package.  Pure; the same whatever the order of entries."""
    return _concluded(scene_of(facts, context), context)


def conclude_all(context: AnalysisContext) -> tuple[Analysis, ...]:
    """`conclude` for each of the siblings, in their order; what they have in common is prepared once."""
    trees = tuple(Tree(item) for item in context.siblings)
    guest = _GuestProvides(context.guest)
    scenes = (_scene(tree, (tree, *(other for other in trees if other is not tree)), guest, context) for tree in trees)
    return tuple(_concluded(scene, context) for scene in scenes)


def _concluded(scene: Scene, context: AnalysisContext) -> Analysis:
    generated = generate(scene)
    depends, provides = with_declared(generated, scene.part.dependencies)
    lint_scene = LintScene(
        tree=scene.tree,
        part=scene.part,
        definition=context.definition,
        arch=context.arch,
        siblings=scene.siblings[1:],
        depends=depends,
        provides=provides,
        vendored=generated.vendored,
    )
    return Analysis(depends, provides, generated.vendored, lint(lint_scene, context.lint), generated.notes)


def scene_of(facts: TreeFacts, context: AnalysisContext) -> Scene:
    """The package among those of its build."""
    tree = Tree(facts)
    others = (Tree(item) for item in context.siblings if item.package != facts.package)
    return _scene(tree, (tree, *others), _GuestProvides(context.guest), context)


def _scene(tree: Tree, siblings: tuple[Tree, ...], guest: _GuestProvides, context: AnalysisContext) -> Scene:
    part = part_named(context.definition, tree.package)
    assert part is not None, f"{tree.package} is a package of the definition"
    version = context.definition.package.full_version
    return Scene(tree, part, version, siblings, guest.version, context.rules)


def generate(scene: Scene) -> Generated:
    """What generators find, with the package's options applied (§13.1, 1 to 3)."""
    relations = Relations()
    for _, generator in GENERATORS:
        generator(scene, relations)
    _drop_unspeakable(relations)
    depends, provides = _by_options(relations, scene.part.options)
    vendored = {item.partition("=")[0] for item in relations.vendored}
    return Generated(
        tuple(sorted(depends - vendored)), tuple(sorted(provides)), tuple(sorted(relations.vendored)), tuple(relations.notes)
    )


def _drop_unspeakable(relations: Relations) -> None:
    """Leave out what apk could not read, made from names of files with blanks or other characters that no name may have."""
    for found, readable in (
        (relations.depends, _is_dependency),
        (relations.provides, _is_provide),
        (relations.vendored, _is_provide),
    ):
        for item in sorted(item for item in found if not readable(item)):
            found.discard(item)
            relations.notes.append(f"`{item}` cannot be said to apk; it is left out")


def _is_dependency(item: str) -> bool:
    return is_dependency_name(re.split("[=<>~]", item, maxsplit=1)[0]) and not dependency(item)


def _is_provide(item: str) -> bool:
    name, _, version = item.partition("=")
    return is_dependency_name(name) and (not version or is_valid(version))


def with_declared(generated: Generated, declared: Dependencies) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Depends and provides with the declared ones; what the package provides itself it does not depend on (§13.1, 4 and 5)."""
    provides = {*generated.provides, *(item.text for item in declared.provides)}
    depends = {*generated.depends, *(item.text for item in declared.runtime)}
    return without_own(depends, provides), tuple(sorted(provides))


def without_own(depends: Iterable[str], provides: Iterable[str]) -> tuple[str, ...]:
    """The dependencies, sorted, without those that are the bare name of something provided.

    Of the versions of libraries the name alone counts: a package that provides `so-ver:X` does not ask for a version of it.
    """
    own = {item.partition("=")[0] for item in provides}
    return tuple(sorted({item for item in depends if _bare(item) not in own}))


def _bare(item: str) -> str:
    return item.partition(">")[0] if item.startswith("so-ver:") else item


def _by_options(relations: Relations, options: PackageOptions) -> tuple[set[str], set[str]]:
    depends, provides = relations.depends, relations.provides
    if options.no_commands:
        depends = {item for item in depends if not item.startswith("cmd:")}
        provides = {item for item in provides if not item.startswith("cmd:")}
    return (set() if options.no_depends else depends), (set() if options.no_provides else provides)


class _GuestProvides:
    """Versions of what the packages of the guest provide, looked at only when asked."""

    def __init__(self, records: tuple[IndexRecord, ...]) -> None:
        self._records = records
        self._versions: dict[str, str] | None = None

    def version(self, name: str) -> str:
        if self._versions is None:
            self._versions = dict(pair for record in self._records for pair in _provided(record.provides))
        return self._versions.get(name, "")


@lru_cache(maxsize=1024)
def _provided(provides: str) -> tuple[tuple[str, str], ...]:
    return tuple(provided(item) for item in provides.split())
