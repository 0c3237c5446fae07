"""Reviewed exceptions, as YAML in version control: script translations, alternatives, pruning, licences (spec debian.md §8.2).

scripts:      {PACKAGE: {preinst|postinst: {source_sha256: [DIGEST …], reason: TEXT, steps: [{VERB: [ARGUMENT …]} …]}}}
alternatives: {PACKAGE: {GROUP: CHOICE}}
keep: [PACKAGE …]          installer-only packages that stay whatever the proof says
drop: [PACKAGE …]          packages that count as installer-only; the proof is still asked
acknowledged: [{package: NAME, path: PATH, reason: TEXT} …]     evidence that a person found to be none
licences:     {PACKAGE: SPDX-EXPRESSION}
priorities:   {PACKAGE: NUMBER}                                provider_priority
enhances:     {PACKAGE: PACKAGE}      the first comes into every image that has the second, which its `Enhances` names (§3)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from apkiln.core.errors import ConfigurationError, FaultCollector, FormatError
from apkiln.debian.maintainer.steps import Step, parse_step
from apkiln.debian.maintainer.translating import ScriptOverride
from apkiln.debian.pruning import Acknowledgement
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.reader import Value, root

_KEYS = ("scripts", "alternatives", "keep", "drop", "acknowledged", "licences", "priorities", "enhances")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Overrides:
    """All exceptions that hold for an import.  Later files win over earlier ones."""

    scripts: tuple[ScriptOverride, ...] = ()
    """Each (package, script) once."""
    alternatives: tuple[tuple[str, str, str], ...] = ()
    """(package, canonical text of the group, canonical text of the choice)."""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    licences: tuple[tuple[str, str], ...] = ()
    """(package, SPDX expression)."""
    priorities: tuple[tuple[str, int], ...] = ()
    """(package, provider_priority)."""
    enhances: tuple[tuple[str, str], ...] = ()
    """(package, what it enhances)."""
    digest: str = ""
    """SHA-256 over all files, for locks and caches; empty for none."""


NO_OVERRIDES = Overrides()


def read_overrides(files: Iterable[tuple[str, bytes]]) -> Overrides:
    """Files as (name, content), the weakest first.

    Raises ConfigurationError with the line of every fault: those of `yamlnode`, `step-syntax`, `override-digest`.
    """
    faults = FaultCollector.empty()
    read: list[Overrides] = []
    state = hashlib.sha256()
    for name, content in files:
        state.update(hashlib.sha256(content).digest())
        read.append(_file(root(compose(content, name, faults), faults)))
    faults.raise_if_any()
    return _together(read, state.hexdigest()) if read else NO_OVERRIDES


def _together(read: list[Overrides], digest: str) -> Overrides:
    scripts = {(item.package, item.script): item for overrides in read for item in overrides.scripts}
    # An override of the same script for further texts does not take the earlier texts away.
    chosen = {(item[0], item[1]): item[2] for overrides in read for item in overrides.alternatives}
    return Overrides(
        tuple(scripts[key] for key in sorted(scripts)),
        tuple((package, group, chosen[package, group]) for package, group in sorted(chosen)),
        tuple(dict.fromkeys(name for overrides in read for name in overrides.keep)),
        tuple(dict.fromkeys(name for overrides in read for name in overrides.drop)),
        tuple(item for overrides in read for item in overrides.acknowledged),
        tuple(sorted(dict(pair for overrides in read for pair in overrides.licences).items())),
        tuple(sorted(dict(pair for overrides in read for pair in overrides.priorities).items())),
        tuple(sorted(dict(pair for overrides in read for pair in overrides.enhances).items())),
        digest,
    )


def _file(value: Value) -> Overrides:
    fields = value.fields(_KEYS)
    scripts: list[ScriptOverride] = []
    listed = fields.get("scripts")
    for package, by_name in listed.members() if listed is not None else ():
        for name in ("preinst", "postinst"):
            script = by_name.fields(("preinst", "postinst")).get(name) if by_name.is_mapping else None
            if script is not None:
                scripts.append(_script(package, name, script))
    alternatives = fields.get("alternatives")
    choices = [
        (package, _spaced(group), _spaced(choice))
        for package, groups in (alternatives.members() if alternatives is not None else ())
        for group, choice in groups.pairs()
    ]
    priorities = fields.get("priorities")
    return Overrides(
        tuple(scripts),
        tuple(choices),
        tuple(item.text for item in fields.texts("keep")),
        tuple(item.text for item in fields.texts("drop")),
        tuple(_acknowledgement(item) for item in fields.items("acknowledged")),
        fields.pairs("licences"),
        tuple((name, item.integer()) for name, item in (priorities.members() if priorities is not None else ())),
        fields.pairs("enhances"),
    )


def _spaced(text: str) -> str:
    """White space as the canonical text of a group has it."""
    return " | ".join(" ".join(part.split()) for part in text.split("|"))


def _acknowledgement(value: Value) -> Acknowledgement:
    fields = value.fields(("package", "path", "reason"))
    return Acknowledgement(fields.text("package"), fields.text("path"), fields.text("reason"))


def _script(package: str, name: str, value: Value) -> ScriptOverride:
    fields = value.fields(("source_sha256", "reason", "steps"))
    digests = tuple(item.text for item in fields.texts("source_sha256"))
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            value.fault(f"`{digest}` is no SHA-256", "override-digest")
    if not digests:
        value.fault("an override is bound to a script by `source_sha256`", "override-digest")
    steps = [step for item in fields.items("steps") for step in _steps(item)]
    return ScriptOverride(package, name, digests, fields.text("reason"), tuple(steps))


def _steps(value: Value) -> list[Step]:
    """A step is a verb alone, or a mapping of one verb to its arguments."""
    members = value.members() if value.is_mapping else ((value.text(), None),)
    steps: list[Step] = []
    for verb, arguments in members:
        try:
            steps.append(parse_step(verb, tuple(item.text for item in arguments.texts()) if arguments is not None else ()))
        except FormatError as fault:
            value.faults.add(ConfigurationError(fault.message, reason=fault.reason, origin=value.origin, hint=fault.hint))
    return steps
