"""What each package of a build will hold, decided before anything is read (spec package.md §10)."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.payload import ContentReader
from apkiln.formats.archive.entry import Entry
from apkiln.package.definition.parts import PackagePart, part_named
from apkiln.package.emission.normalising import Normaliser
from apkiln.package.emission.request import EmissionRequest
from apkiln.package.output_tree import OutputTree


@value
class PackagePlan:
    """One package, ready to be read and written."""

    part: PackagePart
    entries: tuple[Entry, ...]
    content: ContentReader
    notes: tuple[str, ...]


def plan_packages(request: EmissionRequest, trees: Sequence[OutputTree]) -> tuple[PackagePlan, ...]:
    """A plan for each tree, in the order given.

    Raises, all faults together: ConfigurationError `unknown-package` for a tree of no package of the definition,
    `tree-repeated`; those of `normalising.Normaliser`.
    """
    faults = FaultCollector.empty()
    plans: list[PackagePlan] = []
    for tree in trees:
        part = part_named(request.definition, tree.package)
        if part is None:
            faults.add(_fault(f"the definition makes no package `{tree.package}`", "unknown-package", tree))
        elif any(plan.part.name == tree.package for plan in plans):
            faults.add(_fault(f"there are two trees of `{tree.package}`", "tree-repeated", tree))
        else:
            plans.append(_plan(request, part, tree, faults))
    faults.raise_if_any()
    return tuple(plans)


def _plan(request: EmissionRequest, part: PackagePart, tree: OutputTree, faults: FaultCollector) -> PackagePlan:
    normaliser = Normaliser(
        tree.package, request.accounts, request.source_date, request.strict_ids, request.keep_user_xattrs, faults
    )
    entries = normaliser.entries(tree.entries)
    return PackagePlan(part, entries, tree.content, tuple(normaliser.notes))


def _fault(message: str, reason: str, tree: OutputTree) -> ConfigurationError:
    return ConfigurationError(message, reason=reason, origin=Origin(package=tree.package))
