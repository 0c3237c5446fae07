"""All suite modules, in the order of the report.  A new suite = a module with `SUITES` and one line here."""

from __future__ import annotations

from importlib import import_module

from tests.conformance.scoring import Suite

MODULES = (
    "apk_tools",
    "apk_random",
    "apko_tables",
    "apk_formats",
    "apko_images",
    "image_graphs",
    "image_locks",
    "image_definitions",
    "image_documents",
    "image_audit",
    "melange_definitions",
    "melange_editing",
    "melange_signing",
    "melange_licences",
    "melange_compiled",
    "melange_builds",
    "melange_analysis",
    "melange_linters",
    "melange_emission",
    "melange_runs_emission",
    "field_reports",
)


def load_suites() -> list[Suite]:
    """Import the suite modules and list what they offer."""
    return [suite for module in MODULES for suite in import_module(f"tests.conformance.suites.{module}").SUITES]
