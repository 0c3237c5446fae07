"""What a definition must fulfil once its variables are known (spec package.md §5)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition import forms
from apkiln.package.definition.model import Condition, Dependencies, Package, PackageDefinition, Scriptlets, Step, Subpackage
from apkiln.package.definition.note import Note
from apkiln.package.evaluation.conditions import is_ambiguous
from apkiln.package.evaluation.references import Substitution


def validate(definition: PackageDefinition, substitution: Substitution) -> None:
    """Add faults: `bad-package-name`, `duplicate-name`, `missing-key`, `bad-priority`, `bad-value`."""
    _Validator(definition, substitution).run()


class _Validator:
    def __init__(self, definition: PackageDefinition, substitution: Substitution) -> None:
        self.definition = definition
        self.substitution = substitution
        self.notes = substitution.notes

    def run(self) -> None:
        package = self.definition.package
        self._names()
        self._licences()
        for origin, key, text in _single_lines(self.definition):
            if "\n" in text.strip("\n") or "\r" in text or "\0" in text:
                message = f"`{key}` must be one line"
                self._fault(message, "line-feed", origin, "further lines would become fields of the package")
        self._dependencies(package.dependencies)
        self._scriptlets(package.scriptlets, package.origin)
        for subpackage in self.definition.subpackages:
            self._dependencies(subpackage.dependencies)
            self._scriptlets(subpackage.scriptlets, subpackage.origin)
            self._condition(subpackage.condition)
        for step in all_steps(self.definition):
            self._step(step)
        self._monitor()
        if [name.text for name in package.target_architecture] == ["all"]:
            message = "`target-architecture: [all]` is the same as leaving it out"
            self.notes.append(Note(message, package.target_architecture[0].origin))

    def _fault(self, message: str, reason: str, origin: Origin, hint: str = "") -> None:
        self.substitution.fault(message, reason, origin, "", hint)

    def _names(self) -> None:
        seen: dict[str, Text] = {}
        for name in (self.definition.package.name, *(item.name for item in self.definition.subpackages)):
            if not name.text:
                continue  # reported when it was read
            if name.text in seen:
                self._fault(f"two packages are called `{name.text}`", "duplicate-name", name.origin)
            elif "${{" not in name.text and (wrong := forms.package_name(name.text)):
                self._fault(wrong, "bad-package-name", name.origin)
            seen.setdefault(name.text, name)

    def _licences(self) -> None:
        for entry in self.definition.package.copyright:
            if "${{" not in entry.license.text and (wrong := forms.licence(entry.license.text)):
                self.notes.append(Note(wrong, entry.license.origin if entry.license.text else entry.origin))

    def _dependencies(self, dependencies: Dependencies) -> None:
        for key, value in (
            ("provider-priority", dependencies.provider_priority),
            ("replaces-priority", dependencies.replaces_priority),
        ):
            if "${{" not in value.text and (wrong := forms.priority(value.text)):
                self._fault(f"`{key}`: {wrong}", "bad-priority", value.origin)

    def _scriptlets(self, scriptlets: Scriptlets, origin: Origin) -> None:
        trigger = scriptlets.trigger
        if bool(trigger.script.text) != bool(trigger.paths):
            place = trigger.script.origin if trigger.script.text else origin
            self.notes.append(Note("a trigger needs both `script` and `paths`", place))
        for script in (trigger.script, *scriptlets[1:]):
            if script.text and not script.text.startswith("#!"):
                self.notes.append(Note("the script does not begin with `#!`", script.origin))

    def _step(self, step: Step) -> None:
        self._condition(step.condition)
        if step.uses.text and step.pipeline:
            self.notes.append(Note(f"`uses: {step.uses.text}` is ignored beside `pipeline`", step.uses.origin))

    def _condition(self, condition: Condition) -> None:
        if condition.text and is_ambiguous(condition):
            message = "`&&` and `||` bind equally and run from left to right; use parentheses"
            self.notes.append(Note(message, condition.origin))

    def _monitor(self) -> None:
        for monitor in self.definition.update.monitors if self.definition.update else ():
            number = monitor.identifier.text
            if monitor.kind == "release-monitor" and not (number.isdecimal() and number.isascii()):
                self._fault(f"`release-monitor.identifier`: `{number}` is no number", "bad-value", monitor.origin)


def _single_lines(definition: PackageDefinition) -> Iterator[tuple[Origin, str, str]]:
    """Place, key and text of everything that becomes a line of a package's control data."""
    package = definition.package
    yield package.version.origin, "version", package.version.text
    for entry in package.copyright:
        yield entry.license.origin, "license", entry.license.text
    items: tuple[Package | Subpackage, ...] = (package, *definition.subpackages)
    for item in items:
        yield item.description.origin, "description", item.description.text
        yield item.url.origin, "url", item.url.text
        yield item.commit.origin, "commit", item.commit.text
        for key, texts in zip(("runtime", "provides", "replaces"), item.dependencies[:3], strict=True):
            yield from ((text.origin, key, text.text) for text in texts)
        yield from ((path.origin, "paths", path.text) for path in item.scriptlets.trigger.paths)


def all_steps(definition: PackageDefinition) -> Iterator[Step]:
    """Every step, with those inside others, in file order."""
    yield from _walk(definition.pipeline)
    for subpackage in definition.subpackages:
        yield from _walk(subpackage.pipeline)
        yield from _walk(subpackage.test.pipeline if subpackage.test else ())
    yield from _walk(definition.test.pipeline if definition.test else ())


def _walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _walk(step.pipeline)
