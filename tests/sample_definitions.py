"""Definitions for tests, and how they are compiled against pipelines that exist in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.package.compilation.compiling import CompilationSettings
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import ResolvedDefinition, load, resolve
from apkiln.package.compilation.shelves import shelf
from apkiln.package.definition.rendering import document
from apkiln.package.evaluation.evaluating import EvaluationSettings
from apkiln.system.folder import MemoryFolder

HEAD = "package:\n  name: demo\n  version: 1.10\n  epoch: 2\n"


def library(pipelines: Mapping[str, str]) -> PipelineLibrary:
    """Pipelines by name."""
    folder = MemoryFolder({f"{name}.yaml": text.encode() for name, text in pipelines.items()})
    return PipelineLibrary((shelf("lib", folder),))


def resolved(
    text: str,
    pipelines: Mapping[str, str] | None = None,
    arch: str = "x86_64",
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008
    compilation: CompilationSettings = CompilationSettings(),  # noqa: B008
) -> ResolvedDefinition:
    return resolve(load(text.encode(), "x.yaml", settings), Arch.parse(arch), library(pipelines or {}), compilation)


def compiled(text: str, pipelines: Mapping[str, str] | None = None, arch: str = "x86_64", **settings: Any) -> dict[str, Any]:
    """The resolved document."""
    return document(resolved(text, pipelines, arch, **settings).definition)


def faults(text: str, pipelines: Mapping[str, str] | None = None, **settings: Any) -> list[tuple[str, str, int, int]]:
    """(reason, file, line, column) of everything that is wrong."""
    try:
        resolved(text, pipelines, **settings)
    except FaultGroup as group:
        return [_shown(fault) for fault in group.faults]
    except ApkilnError as fault:
        return [_shown(fault)]
    return []


def _shown(fault: ApkilnError) -> tuple[str, str, int, int]:
    return fault.reason, fault.origin.source, fault.origin.line, fault.origin.column
