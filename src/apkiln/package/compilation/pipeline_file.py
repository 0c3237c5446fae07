"""A named pipeline: its inputs and what it does (spec package.md §3.9)."""

from __future__ import annotations

from apkiln.core.errors import ApkilnError, FaultCollector
from apkiln.core.limits import MIB, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.formats.yamlnode.node import Document, Mapping, Sequence
from apkiln.formats.yamlnode.reader import report, root
from apkiln.package.definition import keys
from apkiln.package.definition.model import Step
from apkiln.package.definition.note import Note
from apkiln.package.definition.step_reading import StepReader

_LIMITS = Limits(document=MIB)


class PipelineFile(NamedTuple):
    """One file, read once and used by many steps."""

    name: str
    source: str
    text: str
    """The file's text, for excerpts and places."""
    step: Step | None
    """The file as a step with `inputs`; None when it has faults."""
    faults: tuple[ApkilnError, ...] = ()
    notes: tuple[Note, ...] = ()


def read_pipeline_file(name: str, source: str, content: bytes, *, strict: bool = False) -> PipelineFile:
    """Never raises; faults are part of the value.

    Unknown keys are remarks, since existing files rely on them being passed over, unless `strict` or they look like a known
    key misspelt.  A pipeline that does nothing at all is a fault, `empty-pipeline`.
    """
    faults = FaultCollector.empty()
    notes: list[Note] = []
    try:
        document = compose(content, source, faults, _LIMITS)
    except ApkilnError as error:
        return PipelineFile(name, source, content.decode(errors="replace"), None, (*faults.faults, error))
    document = _known_only(document, faults, notes, strict)
    value = root(document, faults)
    fields = value.fields(keys.names("pipeline-file"))
    step = StepReader(faults, lenient=True).step(fields)
    if not faults.faults and not (step.runs.text or step.pipeline or step.needs or step.uses.text):
        value.fault(f"pipeline `{name}` does nothing", "empty-pipeline", "give it `runs` or `pipeline`")
    found = None if faults.faults else step
    return PipelineFile(name, source, document.text, found, tuple(faults.faults), tuple(notes))


def _known_only(document: Document, faults: FaultCollector, notes: list[Note], strict: bool) -> Document:
    """The document without unknown keys of the file and its steps, each reported."""
    known = keys.names("pipeline-file")

    def checked(node: Mapping) -> Mapping:
        kept = []
        for key, value in node.items:
            if key.text not in known:
                guess = nearest(key.text, known)
                if strict or guess:
                    hint = f"did you mean `{guess}`?" if guess else ""
                    report(faults, document, key, f"unknown key `{key.text}`", "unknown-key", hint)
                else:
                    notes.append(Note(f"unknown key `{key.text}` is passed over", document.origin(key)))
                continue
            if key.text == "pipeline" and isinstance(value, Sequence):
                items = tuple(checked(item) if isinstance(item, Mapping) else item for item in value.items)
                value = value._replace(items=items)
            kept.append((key, value))
        return node._replace(items=tuple(kept))

    return document._replace(root=checked(document.root)) if isinstance(document.root, Mapping) else document
