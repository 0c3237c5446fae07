"""What analysis is told beside the files, and what it says."""

from __future__ import annotations

from apkiln.core.arch import Arch
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.apk.records import IndexRecord
from apkiln.package.analysis.facts import TreeFacts
from apkiln.package.analysis.finding import Finding
from apkiln.package.analysis.linters.settings import DEFAULT_SETTINGS, LintSettings
from apkiln.package.analysis.rules import DEFAULT_RULES, AnalysisRules
from apkiln.package.definition.model import PackageDefinition


@value
class AnalysisContext:
    """What the rules need to know beside the files of the package."""

    arch: Arch
    definition: PackageDefinition
    """Resolved.  The declared dependencies, options and tests of each package stand in it."""
    siblings: tuple[TreeFacts, ...] = ()
    """Every package of the same build; whether the one that is looked at is among them makes no difference."""
    guest: tuple[IndexRecord, ...] = ()
    """Packages installed where it was built."""
    rules: AnalysisRules = DEFAULT_RULES
    lint: LintSettings = DEFAULT_SETTINGS


class Analysis(NamedTuple):
    """Relations of one package, and what is remarkable about its files."""

    depends: tuple[str, ...] = ()
    """Declared and generated, sorted, each once."""
    provides: tuple[str, ...] = ()
    vendored: tuple[str, ...] = ()
    """Provided for the package itself only."""
    findings: tuple[Finding, ...] = ()
    """In the order of the linters' names."""
    notes: tuple[str, ...] = ()
    """Files that could not be understood, and why."""
