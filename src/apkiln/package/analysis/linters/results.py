"""Findings as documents (spec package.md §14, results)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apkiln.package.analysis.finding import Finding, Row


def results(package: str, findings: Iterable[Finding]) -> dict[str, Any]:
    """The JSON value that `--persist-lint-results` writes; `package`: `NAME-VERSION`."""
    by_linter: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        row: dict[str, Any] = {"message": f"{package}: {finding.message}", "explain": finding.explain}
        details = _details(finding)
        by_linter.setdefault(finding.linter, []).append(row | ({"details": details} if details else {}))
    return {"package_name": package, "findings": by_linter}


def _details(finding: Finding) -> dict[str, Any]:
    if finding.rows_name:
        return _shown(finding.totals) | {finding.rows_name: [_shown(row) for row in finding.rows]}
    if finding.totals:
        return _shown(finding.totals)
    return {"paths": list(finding.paths)} if finding.paths else {}


def _shown(row: Row) -> dict[str, Any]:
    return {name: list(item) if isinstance(item, tuple) else item for name, item in row}
