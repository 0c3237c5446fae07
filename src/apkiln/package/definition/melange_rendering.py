"""A resolved definition in the shape of what melange's `compile` prints (spec package.md §15.3), for tools that read that.

Objects stand where melange always has them, even empty; a timeout is a number of nanoseconds; build options have the names
of its program's fields; scripts end with a line feed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from apkiln.package.definition.forms import nanoseconds
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.definition.rendering import document

Document: TypeAlias = dict[str, Any]


def melange_document(definition: PackageDefinition) -> Document:
    """`rendering.document` in melange's shape."""
    shown = document(definition)
    found: Document = {
        "package": _package(shown["package"]),
        "environment": _environment(shown.get("environment", {})),
        "capabilities": shown.get("capabilities", {}),
        "update": shown.get("update", {"enabled": False}),
    }
    if "pipeline" in shown:
        found["pipeline"] = _steps(shown["pipeline"])
    if "subpackages" in shown:
        found["subpackages"] = [_subpackage(one) for one in shown["subpackages"]]
    if "options" in shown:
        found["options"] = {name: _option(option) for name, option in shown["options"].items()}
    if definition.test is not None:
        found["test"] = _test(shown.get("test", {}))
    return found | {key: shown[key] for key in ("vars", "var-transforms") if key in shown}


def _package(package: Document) -> Document:
    found: Document = {"dependencies": {}, "checks": {}, "cpe": {}, "resources": {}} | _scripted(package)
    if "timeout" in found:
        found["timeout"] = nanoseconds(found["timeout"])
    return found


def _scripted(part: Document) -> Document:
    return part | {"scriptlets": {"trigger": {}} | part["scriptlets"]} if "scriptlets" in part else part


def _environment(environment: Document) -> Document:
    return {"contents": {}, "entrypoint": {}, "accounts": {}} | environment


def _subpackage(subpackage: Document) -> Document:
    found: Document = {"dependencies": {}, "checks": {}} | _scripted(subpackage)
    if "pipeline" in found:
        found["pipeline"] = _steps(found["pipeline"])
    if "test" in found:
        found["test"] = _test(found["test"])
    return found


def _test(test: Document) -> Document:
    steps = _steps(test["pipeline"]) if "pipeline" in test else None
    return {"environment": _environment(test.get("environment", {})), "pipeline": steps}


def _steps(steps: list[Document]) -> list[Document]:
    return [_step(step) for step in steps]


def _step(step: Document) -> Document:
    found = dict(step)
    if "runs" in found and not found["runs"].endswith("\n"):
        found["runs"] += "\n"
    if "pipeline" in found:
        found["pipeline"] = _steps(found["pipeline"])
    return found


def _option(option: Document) -> Document:
    packages = option.get("environment", {}).get("contents", {}).get("packages", {})
    changed = {"Add": packages.get("add"), "Remove": packages.get("remove")}
    return {"Vars": option.get("vars"), "Environment": {"Contents": {"Packages": changed}}}
