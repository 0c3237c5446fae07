"""Who owns which path when packages are laid over each other (spec apk.md §11.3, image-mode column; image.md §5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.tree_plan import OwnershipPolicy, TreePlan


def plan_tree(packages: Sequence[PackageFiles], policy: OwnershipPolicy | None = None) -> TreePlan:
    """Decide every path before anything is written; `packages` in install order.

    Raises ConflictError, or a FaultGroup of all of them: `file-conflict` (two packages, no rule), `file-over-directory`,
    `symlink-over-directory`, `device-not-allowed`.  Pure; independent of hash seeds.
    """
    raise NotImplementedError
