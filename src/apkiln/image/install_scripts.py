"""Install scripts and triggers of packages: never run by the builder, told of or refused (spec image.md §5.4 (c))."""

from __future__ import annotations

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.rootfs.tree_plan import TreePlan

_ONLY_LATER = frozenset({"pre-upgrade", "post-upgrade", "pre-deinstall", "post-deinstall"})
"""Kinds that an installation into an empty root would not run either."""


def script_notices(plan: TreePlan, mode: str) -> tuple[str, ...]:
    """What to say about scripts that an installation would have run.

    `mode`: the definition's `scripts`: `report` (also empty), `ignore`, or `fail`, which raises ConfigurationError
    (`install-script`), one fault a script.
    """
    if mode == "ignore":
        return ()
    found = [
        (package.files.name_version, kind)
        for package in plan.packages
        for kind, _ in package.files.head.scripts
        if kind not in _ONLY_LATER
    ]
    if mode == "fail":
        faults = FaultCollector.empty()
        for name, kind in found:
            faults.add(_fault(name, kind))
        faults.raise_if_any()
    return tuple(f"the {kind} script of {name} is not run" for name, kind in found)


def _fault(name: str, kind: str) -> ApkilnError:
    return ConfigurationError(
        f"the {kind} script of {name} would have to run, and images run none",
        reason="install-script",
        origin=Origin(package=name),
        hint="`scripts: report` only tells of it",
    )
