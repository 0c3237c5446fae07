"""Who owns which path when packages are laid over a base image.  Pure.

Everything of the base takes part, so a new package that would overwrite a lower file is refused as it would be by another
package.  Afterwards the base's stray paths leave the plan again: no package owns them.
"""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.value import value
from apkiln.image.base.packages import BaseContents
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.tree_plan import OwnershipPolicy, PlannedDirectory, TreePlan


@value
class PlanUpon:
    """The tree of a base with new packages over it."""

    plan: TreePlan
    """Packages of the base in the order of its database, then the new ones in install order."""
    strays: tuple[str, ...]
    """Paths of the base, not directories, that no package owns."""


def plan_upon(base: BaseContents, packages: Sequence[PackageFiles], policy: OwnershipPolicy) -> PlanUpon:
    """The plan.  Raises what `plan_tree` raises; the base is called `the base-image` there."""
    plan = plan_tree([base.rest, *base.packages, *packages], policy)
    first, *others = plan.packages
    old = {package.name_version for package in (base.rest, *base.packages)}
    directories = tuple(_shifted(item) for item in plan.directories if item.packages != (0,))
    notices = tuple(notice for notice in plan.notices if not {notice.winner, notice.loser} <= old)
    strays = tuple(place for _, place in first.winning())
    return PlanUpon(TreePlan(tuple(others), directories, notices), strays)


def _shifted(item: PlannedDirectory) -> PlannedDirectory:
    """The directory with positions that do not count the strays."""
    return item._replace(owner=item.owner - 1, packages=tuple(position - 1 for position in item.packages if position))
