"""All findings about one package (spec package.md §14)."""

from __future__ import annotations

from apkiln.package.analysis.finding import Finding
from apkiln.package.analysis.linters.scene import Default, LintScene
from apkiln.package.analysis.linters.settings import DEFAULT_SETTINGS, LintSettings
from apkiln.package.analysis.linters.table import LINTERS


def lint(scene: LintScene, settings: LintSettings = DEFAULT_SETTINGS) -> tuple[Finding, ...]:
    """All findings, in the order of the linters' names.  Pure; the package's own `checks.disabled` counts for it alone."""
    found: list[Finding] = []
    for linter in sorted(LINTERS):
        verdict = settings.of(linter.name, linter.default, scene.part.checks.disabled)
        if verdict is Default.OFF:
            continue
        for report in linter.check(scene):
            found.append(
                Finding(
                    linter.name,
                    report.message,
                    verdict is Default.REQUIRED,
                    linter.explain,
                    report.paths,
                    report.rows_name,
                    report.rows,
                    report.totals,
                )
            )
    return tuple(found)
