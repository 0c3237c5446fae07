"""From the text of a definition to resolved documents, with all faults of a phase at once."""

from __future__ import annotations

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.excerpt import excerpt
from apkiln.package.compilation import compiling
from apkiln.package.compilation.compiling import CompilationSettings, compile_definition
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.definition.note import Note
from apkiln.package.definition.reading import read_definition
from apkiln.package.evaluation.evaluating import NO_SETTINGS, Evaluated, EvaluationSettings, evaluate
from apkiln.package.evaluation.references import Sources, Substitution

MAXIMUM_ALIASED = 10_000
"""Nodes that YAML aliases of a definition may stand for (spec package.md §2.1)."""


class LoadedDefinition(NamedTuple):
    """A definition that was read and evaluated."""

    evaluated: Evaluated
    written: PackageDefinition
    """As it stands in the file."""
    sources: Sources
    notes: tuple[Note, ...]


class ResolvedDefinition(NamedTuple):
    """A definition for one architecture."""

    arch: Arch
    definition: PackageDefinition
    notes: tuple[Note, ...]
    """Remarks on the definition and the pipelines it uses."""


def parse(content: bytes, source: str, limits: Limits = DEFAULT_LIMITS) -> tuple[PackageDefinition, Sources]:
    """Only read.  Raises ConfigurationError, or a FaultGroup with all deviations from the schema."""
    faults = FaultCollector.empty()
    document = compose(content, source, faults, limits, maximum_aliased=MAXIMUM_ALIASED)
    definition = read_definition(document, faults)
    faults.raise_if_any()
    return definition, Sources({source: document.text})


def load(
    content: bytes, source: str, settings: EvaluationSettings = NO_SETTINGS, limits: Limits = DEFAULT_LIMITS
) -> LoadedDefinition:
    """Read and evaluate.  Raises ConfigurationError, or a FaultGroup with all faults, each with its line."""
    written, sources = parse(content, source, limits)
    substitution = Substitution(FaultCollector.empty(), sources)
    evaluated: Evaluated | None = None
    try:
        evaluated = evaluate(written, substitution, settings)
    except ConfigurationError as error:
        substitution.faults.add(error)
    _raise_faults(substitution)
    assert evaluated is not None
    return LoadedDefinition(evaluated, written, sources, tuple(substitution.notes))


def resolve(
    loaded: LoadedDefinition, arch: Arch, library: PipelineLibrary, settings: CompilationSettings = compiling.NO_SETTINGS
) -> ResolvedDefinition:
    """Compile for one architecture.  Raises as `load`; ConfigurationError `not-targeted` when `arch` is not asked for."""
    substitution = Substitution(FaultCollector.empty(), Sources(dict(loaded.sources.texts)), list(loaded.notes))
    definition: PackageDefinition | None = None
    try:
        definition = compile_definition(loaded.evaluated, arch, library, substitution, settings)
    except ConfigurationError as error:
        substitution.faults.add(error)
    _raise_faults(substitution)
    assert definition is not None
    return ResolvedDefinition(arch, definition, tuple(dict.fromkeys(substitution.notes)))


def _raise_faults(substitution: Substitution) -> None:
    """Raise what was collected, in order of place, with the lines it is about."""
    for fault in substitution.faults.faults[:100]:
        text = substitution.sources.texts.get(fault.origin.source)
        if text is not None and not fault.details and fault.origin.column:
            fault.details = excerpt(text, fault.origin.line, fault.origin.column)
    substitution.faults.faults.sort(key=lambda fault: (fault.origin.source, fault.origin.line, fault.origin.column))
    substitution.faults.raise_if_any()
