"""All maintainer scripts of one package, as steps and a report (spec debian.md §8)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.debian.file_tree import FileTree
from apkiln.debian.maintainer.declared import declared_steps
from apkiln.debian.maintainer.machine import Surroundings, Untranslated
from apkiln.debian.maintainer.scene import Scene
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.maintainer.walking import Walker
from apkiln.formats.deb.deb822 import decode, parse_stanzas
from apkiln.formats.deb.package import DebControl
from apkiln.formats.shell.parser import parse_script

INSTALL_SCRIPTS = (("preinst", ("install", "")), ("postinst", ("configure", "")))
"""Scripts whose effect a fresh image would miss, in the order they run, with what the installer calls them with."""
OTHER_SCRIPTS = ("prerm", "postrm", "config")
"""Scripts that run at removal or ask questions: without effect in an image."""
_TRIPLETS = {
    "amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf", "i386": "i386-linux-gnu",
    "riscv64": "riscv64-linux-gnu", "ppc64el": "powerpc64le-linux-gnu", "s390x": "s390x-linux-gnu",
}  # fmt: skip


class ScriptOverride(NamedTuple):
    """A reviewed translation of one script."""

    package: str
    script: str
    digests: tuple[str, ...]
    """SHA-256 of every text it was reviewed for, 64 hex digits."""
    reason: str
    steps: tuple[Step, ...]


class ScriptReport(NamedTuple):
    """One maintainer script and what became of it."""

    name: str
    sha256: str
    """Of the script's text."""
    treatment: str
    """`translated`, `override`, `changed` (an override for another text), `untranslated`, or `not-for-images` for scripts that
    run at removal or ask questions."""
    untranslated: tuple[Untranslated, ...] = ()
    """Commands that stop an import, by line."""
    reason: str = ""
    """Of the override."""


class Translation(NamedTuple):
    """What the scripts and declarations of a package do to a fresh image."""

    steps: tuple[Step, ...]
    """In order; those of untranslated scripts as far as they are certain."""
    reports: tuple[ScriptReport, ...]
    """By name."""


NOTHING = Translation((), ())


def translate_scripts(
    control: DebControl, tree: FileTree, architecture: str, overrides: Mapping[tuple[str, str], ScriptOverride]
) -> Translation:
    """Follow the scripts of one package.  `architecture`: of the image, Debian name.  `overrides`: by (package, script)."""
    package = control.fields.get("Package")
    surroundings = Surroundings(package, architecture, _TRIPLETS.get(architecture, ""), _defaults(control))
    scene = Scene(tree.entries, tree.contents)
    for step in declared_steps(tree.contents):
        scene.add(step)
    walker = Walker(scene, surroundings)
    others = [file for file in control.files if file.name in OTHER_SCRIPTS]
    reports = [ScriptReport(file.name, _digest(file.content), "not-for-images") for file in others]
    for name, arguments in INSTALL_SCRIPTS:
        content = control.file(name)
        if content is not None:
            reports.append(_one(walker, name, arguments, content, overrides.get((package, name))))
    return Translation(tuple(walker.scene.steps), tuple(sorted(reports, key=lambda report: report.name)))


def _one(walker: Walker, name: str, arguments: tuple[str, ...], content: bytes, override: ScriptOverride | None) -> ScriptReport:
    digest = _digest(content)
    if override is not None and digest in override.digests:
        for step in override.steps:
            walker.scene.add(step)
        return ScriptReport(name, digest, "override", (), override.reason)
    faults = _followed(walker, name, arguments, content)
    if not faults:
        return ScriptReport(name, digest, "translated")
    return ScriptReport(name, digest, "changed" if override is not None else "untranslated", faults)


def _followed(walker: Walker, name: str, arguments: tuple[str, ...], content: bytes) -> tuple[Untranslated, ...]:
    text = decode(content)
    first = text.partition("\n")[0]
    if not first.startswith("#!") or first.removeprefix("#!").split()[0].rpartition("/")[2] not in ("sh", "bash", "dash"):
        return (Untranslated(1, first if first.startswith("#!") else "", "only shell scripts are translated"),)
    try:
        block = parse_script(text, name)
    except FormatError as fault:
        line = fault.origin.line or 1
        lines = text.split("\n")
        return (Untranslated(line, lines[line - 1].strip() if line <= len(lines) else "", fault.message),)
    return walker.follow(block, name, arguments)


def _defaults(control: DebControl) -> dict[str, str]:
    """Default answers by question, of the package's templates that have one."""
    templates = control.file("templates")
    if templates is None:
        return {}
    stanzas = [item for item in parse_stanzas(templates) if item.get("Default").strip()]
    return {item.get("Template").strip(): item.get("Default").strip() for item in stanzas}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
