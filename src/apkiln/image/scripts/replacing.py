"""All scripts of an image in the order in which an installation would run them, each replaced as a whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.effects import ScriptReport, State
from apkiln.image.scripts.sandboxed import UncoveredScript
from apkiln.image.scripts.walking import Untold, walk
from apkiln.image.scripts.world import DraftWorld
from apkiln.rootfs.package_files import PackageFiles

RunUncovered = Callable[[tuple[UncoveredScript, ...]], tuple[ScriptReport, ...]]
"""Runs scripts and writes what they leave into the draft; a report for each."""
_INSTALLING = ("pre-install", "post-install")


def replace_scripts(
    draft: Draft, packages: Sequence[PackageFiles], mode: str, run: RunUncovered | None = None
) -> tuple[ScriptReport, ...]:
    """What became of each script; what they would do is in `draft` afterwards.

    `packages`: new ones, in install order.  `mode`: the definition's `scripts`: `report` (also empty); `ignore`, which does and
    tells nothing; `fail`, which raises ConfigurationError (`install-script`), one fault for each that is not covered;
    `sandbox`, which hands those to `run`, in order, and raises what it raises (`no-sandbox` where there is none).
    """
    if mode == "ignore":
        return ()
    replacing = _Replacing(draft)
    reports = tuple(replacing.reports(packages))
    if mode == "fail":
        _refuse(reports)
    if mode != "sandbox" or not replacing.uncovered:
        return reports
    if run is None:
        raise ConfigurationError("package scripts cannot be run here", reason="no-sandbox")
    ran = dict(zip((script.report for script in replacing.uncovered), run(tuple(replacing.uncovered)), strict=True))
    return tuple(ran.get(report, report) for report in reports)


def script_notices(reports: Iterable[ScriptReport]) -> tuple[str, ...]:
    """What must be said unasked: the scripts that are not covered."""
    return tuple(str(report) for report in reports if report.state is State.NOT_COVERED)


class _Replacing:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._world = DraftWorld(draft)
        self.uncovered: list[UncoveredScript] = []

    def reports(self, packages: Sequence[PackageFiles]) -> Iterator[ScriptReport]:
        for package in packages:
            for kind in _INSTALLING:
                for text in _texts(package, kind):
                    yield self._replace(package, kind, text, (package.head.info.version,))
        for package in packages:
            for text in _texts(package, "trigger"):
                directories = self._triggered(package.head.info.triggers)
                if directories:
                    yield self._replace(package, "trigger", text, directories)
                else:
                    yield _report(package, "trigger", text, State.HARMLESS, "no directory of the image triggers it")

    def _replace(self, package: PackageFiles, kind: str, text: bytes, arguments: tuple[str, ...]) -> ScriptReport:
        before = self._draft.saved()
        try:
            effects = walk(text, arguments, self._world)
        except Untold as fault:
            self._draft.restore(before)
            report = _report(package, kind, text, State.NOT_COVERED, fault.why, fault.line)
            self.uncovered.append(UncoveredScript(report, text, arguments))
            return report
        return _report(package, kind, text, State.REPLACED if effects else State.HARMLESS)

    def _triggered(self, globs: Iterable[str]) -> tuple[str, ...]:
        """Directories of the image that match, sorted."""
        patterns = [glob.removeprefix("+") for glob in globs]
        if not patterns:
            return ()
        found = [path for path in self._draft.packages.paths() if _is_directory(self._draft, path)]
        return tuple(sorted(f"/{path}" for path in found if any(_matches(f"/{path}", pattern) for pattern in patterns)))


def _texts(package: PackageFiles, kind: str) -> Iterator[bytes]:
    return (text for name, text in package.head.scripts if name == kind)


def _is_directory(draft: Draft, path: str) -> bool:
    found = draft.peek(path)
    return found is not None and found.directory


def _matches(path: str, pattern: str) -> bool:
    """Glob with path semantics: no wildcard matches `/`."""
    parts, wanted = path.split("/"), pattern.rstrip("/").split("/")
    return len(parts) == len(wanted) and all(fnmatchcase(part, glob) for part, glob in zip(parts, wanted, strict=True))


def _report(package: PackageFiles, kind: str, text: bytes, state: State, why: str = "", line: int = 0) -> ScriptReport:
    return ScriptReport(package.name_version, kind, hashlib.sha256(text).hexdigest(), state, why, line)


def _refuse(reports: Iterable[ScriptReport]) -> None:
    faults = FaultCollector.empty()
    for report in reports:
        if report.state is State.NOT_COVERED:
            message = f"the {report.kind} script of {report.package} would have to run: {report.why}"
            origin = Origin(report.kind, line=report.line, package=report.package)
            hint = "`scripts: report` only tells of it"
            faults.add(ConfigurationError(message, reason="install-script", origin=origin, hint=hint))
    faults.raise_if_any()
