"""What the definition says of a package, held against its files (spec package.md §14)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.errors import ApkilnError
from apkiln.package.analysis.linters.scene import LintScene, Report, listed
from apkiln.package.analysis.tree import REGULAR

_PLAIN_SHELLS = ("#!/bin/sh", "#!/usr/bin/sh", "#!/bin/busybox sh", "#!/usr/bin/env sh")


def capabilities(scene: LintScene) -> Iterator[Report]:
    """Capabilities for what is no file of the package."""

    def is_missing(path: str) -> bool:
        entry = scene.tree.at(path)
        return entry is None or entry.type not in REGULAR

    paths = (item.path.strip("/") for item in scene.part.setcap)
    return listed((path for path in paths if is_missing(path)), "gives capabilities to files that it does not have")


def scripts(scene: LintScene) -> Iterator[Report]:
    """Scripts that a shell would refuse, or that do not say which shell they are for."""
    lets = scene.part.scriptlets
    named = {
        "pre-install": lets.pre_install,
        "post-install": lets.post_install,
        "pre-upgrade": lets.pre_upgrade,
        "post-upgrade": lets.post_upgrade,
        "pre-deinstall": lets.pre_deinstall,
        "post-deinstall": lets.post_deinstall,
        "trigger": lets.trigger.script,
    }
    for name, script in named.items():
        if not script.text:
            continue
        wrong = _fault_of(script.text)
        if wrong:
            yield Report(f"script `{name}` {wrong}")
    if bool(lets.trigger.paths) != bool(lets.trigger.script.text):
        yield Report("has a trigger of which the script or the paths are missing")


def _fault_of(text: str) -> str:
    first = text.partition("\n")[0].strip()
    if not first.startswith("#!"):
        return "does not begin with `#!`"
    if first.removesuffix(" -e") not in _PLAIN_SHELLS:
        return ""
    from apkiln.formats.shell.parser import parse_script

    try:
        parse_script(text)
    except ApkilnError as fault:
        return f"has a fault in line {fault.origin.line}: {fault.message}"
    return ""


def licences(scene: LintScene) -> Iterator[Report]:
    if not scene.definition.package.copyright:
        yield from listed(scene.below("usr/share/licenses/"), "has licence texts and declares no licence")
