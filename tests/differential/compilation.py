"""Where the product and melange agree on what a definition compiles to, and why where they do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.conformance.suites.melange_compiled import canonical, differences
from tests.differential.real_melange import COMMIT, Compiled

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import BUILT_IN, shelf
from apkiln.package.definition.forms import nanoseconds
from apkiln.package.definition.rendering import document
from apkiln.package.evaluation.evaluating import EvaluationSettings
from apkiln.system.folder import DirectoryFolder, MemoryFolder

AGREE = "agree"
BOTH_REFUSE = "both refuse"
DIFFERENT = "documents differ"
REFUSED = "refused what melange compiles"
ACCEPTED = "compiled what melange refuses"
DISAGREEMENTS = (DIFFERENT, REFUSED, ACCEPTED)

_BUILT_IN = shelf("built-in", DirectoryFolder(BUILT_IN))
OWN = frozenset(_BUILT_IN.names())
_TRIES = 12
"""Runs of melange before a difference counts: it resolves inputs that refer to each other in random order."""
_NOT_REPLACED = re.compile(r"\$\{\{[^}]*\}\}")
_BY_DESIGN_REFUSED = {
    "unknown-value": "a word that the schema does not know is refused; melange ignores it",
    "missing-key": "a transform must say what it sets; melange sets the empty name",
    "input-cycle": "an input that refers to itself with nothing around it is refused; melange leaves the text in the script",
}
"""Reasons of ours where the product is stricter."""
_BY_DESIGN_ACCEPTED = (
    ("stripping runs comments", "the shell's grammar is checked by the shell; melange needs to parse every script"),
    ("evaluating conditional", "variables in conditions are values, quoted or not; melange inserts the text of some"),
    ("variable targets.subpkgdir not defined", "pipelines of ours fill the package they are used in, also the main one"),
)
"""Words of melange's refusal where it is stricter."""


class Verdict(NamedTuple):
    """The comparison of one case."""

    outcome: str
    detail: str = ""

    @property
    def disagrees(self) -> bool:
        return self.outcome in DISAGREEMENTS


def compile_here(text: str, pipelines: Mapping[str, str], arch: str, options: Sequence[str]) -> Compiled:
    """What the product says."""
    own = MemoryFolder({f"{name}.yaml": content.encode() for name, content in pipelines.items()})
    library = PipelineLibrary((shelf("pipelines", own), _BUILT_IN))
    try:
        loaded = load(text.encode(), "case.yaml", EvaluationSettings(options=tuple(options), commit=COMMIT))
        resolved = resolve(loaded, Arch.parse(arch), library)
    except FaultGroup as group:
        return Compiled(None, "; ".join(f"{fault.reason}: {fault}" for fault in group.faults))
    except ApkilnError as error:
        return Compiled(None, f"{error.reason}: {error}")
    return Compiled(json.loads(json.dumps(document(resolved.definition))), "")


def compare(again: Callable[[], Compiled], here: Compiled) -> Verdict:
    """`again` runs melange."""
    peer = again()
    if peer.document is None:
        return _refused(peer, here)
    if here.document is None:
        reason = here.message.partition(":")[0]
        why = _BY_DESIGN_REFUSED.get(reason)
        return Verdict(f"by design: {why}") if why else Verdict(REFUSED, here.message)
    ours = canonical(spelled_alike(here.document), OWN)
    found = _different(peer, ours)
    for _ in range(_TRIES if found else 0):
        peer = again()
        if peer.document is not None and not _different(peer, ours):
            return Verdict("by design: inputs that refer to each other are resolved in their order; melange takes a random one")
    return Verdict(DIFFERENT, "\n".join(found)) if found else Verdict(AGREE)


def _refused(peer: Compiled, here: Compiled) -> Verdict:
    if here.document is None:
        return Verdict(BOTH_REFUSE)
    if peer.crashed:
        return Verdict("by design: environments of steps are inherited; melange crashes where the outer step has none")
    for words, why in _BY_DESIGN_ACCEPTED:
        if words in peer.message:
            return Verdict(f"by design: {why}")
    return Verdict(ACCEPTED, peer.message.strip()[-400:])


def _different(peer: Compiled, ours: Any) -> list[str]:
    return [line for line in differences(canonical(spelled_alike(peer.document), OWN), ours) if not _late(line)][:6]


def _late(line: str) -> bool:
    """Whether a reference stands in melange's text that is replaced in ours."""
    recorded, _, got = line.partition(", got ")
    return bool(_NOT_REPLACED.search(recorded)) and not _NOT_REPLACED.search(got)


def spelled_alike(compiled: Any) -> Any:
    """Without what only the writing of the two differs in: names of options, durations, scripts of pipeline files."""
    package = dict(compiled["package"])
    if isinstance(package.get("timeout"), str):
        package["timeout"] = nanoseconds(package["timeout"])
    shown = {**compiled, "package": package}
    if "options" in shown:
        shown["options"] = _lower(shown["options"])
    return _inner_scripts(shown)


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if key in ("extra",) else key.lower(): _lower(member) for key, member in value.items()}
    return value


def _inner_scripts(value: Any) -> Any:
    """A script beside `uses` as the first step inside, where ours stands."""
    if isinstance(value, list):
        return [_inner_scripts(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _inner_scripts(member) for key, member in value.items()}
    if found.get("uses") and found.get("runs"):
        first = {key: found[key] for key in ("environment", "working-directory") if key in found}
        found["pipeline"] = [{"runs": found.pop("runs"), **first}, *found.get("pipeline", [])]
    return found


def causes(verdicts: Mapping[str, int]) -> Iterator[str]:
    """One line an outcome, the most frequent first."""
    for outcome, count in sorted(verdicts.items(), key=lambda pair: -pair[1]):
        yield f"{count:7} {outcome}"
