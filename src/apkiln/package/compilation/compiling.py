"""A definition resolved for one architecture (spec package.md §3.10, §4.1 C1-C2, §5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.version import is_valid
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.scope import Scope, main_scope, subpackage_scope
from apkiln.package.compilation.steps import StepCompiler, holds
from apkiln.package.definition import forms
from apkiln.package.definition.model import (
    NOWHERE,
    Dependencies,
    Environment,
    PackageDefinition,
    PackageTest,
    Subpackage,
)
from apkiln.package.definition.note import Note
from apkiln.package.evaluation.evaluating import Evaluated
from apkiln.package.evaluation.references import Substitution

_Part = TypeVar("_Part")


class CompilationSettings(NamedTuple):
    """What the command line adds when a definition is compiled."""

    libc_flavor: str = "gnu"
    """C library of `host.triplet.*`: `gnu` or `musl`."""
    packages: tuple[str, ...] = ()
    """Further packages of the build environment."""
    test_packages: tuple[str, ...] = ()
    """Further packages of every test environment."""
    strict: bool = False
    """What apk could not read (version, dependencies) is a fault, as it is for a build; otherwise a remark."""


NO_SETTINGS = CompilationSettings()


def is_targeted(definition: PackageDefinition, arch: Arch) -> bool:
    """Whether the package is built for `arch` at all; others are passed over, which is no failure."""
    names = [item.text for item in definition.package.target_architecture]
    return not names or names == ["all"] or any(Arch.parse(name) == arch for name in names)


def compile_definition(
    evaluated: Evaluated,
    arch: Arch,
    library: PipelineLibrary,
    substitution: Substitution,
    settings: CompilationSettings = NO_SETTINGS,
) -> PackageDefinition:
    """The definition with pipelines loaded, inputs and variables replaced, needs moved into the environments, subpackages
    whose `if` is false left out.  Compiling the result again changes nothing.

    Faults (`bad-condition`, those of steps; when strict `bad-version`, `bad-dependency`) go to `substitution.faults`.
    Raises ConfigurationError `not-targeted` when the definition is not for `arch`.
    """
    definition = evaluated.definition
    if not is_targeted(definition, arch):
        origin = definition.package.target_architecture[0].origin
        message = f"`{definition.package.name.text}` is not built for {arch.apk}"
        raise ConfigurationError(message, reason="not-targeted", origin=origin)
    return _Compiler(evaluated, arch, library, substitution, settings).run()


class _Compiler:
    def __init__(
        self,
        evaluated: Evaluated,
        arch: Arch,
        library: PipelineLibrary,
        substitution: Substitution,
        settings: CompilationSettings,
    ) -> None:
        self.evaluated = evaluated
        self.substitution = substitution
        self.settings = settings
        self.steps = StepCompiler(library, substitution)
        self.scope = main_scope(evaluated, arch, settings.libc_flavor, substitution)

    def run(self) -> PackageDefinition:
        definition = self.evaluated.definition
        package = self._part(definition.package, self.scope)
        self._check_version(package.version, package.full_version)
        self._check_dependencies(package.dependencies)
        needs: list[Text] = []
        pipeline = self.steps.steps(definition.pipeline, self.scope, needs)
        subpackages = tuple(self._subpackages(definition.subpackages, needs))
        needs += [Text(name, NOWHERE) for name in self.settings.packages]
        return definition._replace(
            package=package,
            environment=_with_packages(self._part(definition.environment, self.scope), needs),
            pipeline=pipeline,
            subpackages=subpackages,
            update=self._part(definition.update, self.scope),
            test=self._test(definition.test, self.scope, package.name),
        )

    def _part(self, part: _Part, scope: Scope) -> _Part:
        return self.substitution.replaced(part, scope.lookup, scope)

    def _subpackages(self, subpackages: Iterable[Subpackage], needs: list[Text]) -> Iterable[Subpackage]:
        for subpackage in subpackages:
            scope = subpackage_scope(self.scope, self.evaluated, subpackage.name.text, self.substitution)
            shell = self._part(subpackage._replace(pipeline=(), test=None), scope)
            self._check_dependencies(shell.dependencies)
            active = holds(shell.condition, self.substitution)
            # A package that is left out is compiled all the same, so that its mistakes do not wait for another architecture.
            pipeline = self.steps.steps(subpackage.pipeline, scope, needs, active=active)
            test = self._test(subpackage.test, scope, shell.name)
            if active:
                yield shell._replace(pipeline=pipeline, test=test)

    def _test(self, test: PackageTest | None, scope: Scope, name: Text) -> PackageTest | None:
        if test is None:
            return None
        needs: list[Text] = []
        pipeline = self.steps.steps(test.pipeline, scope, needs)
        needs += [name, *(Text(package, NOWHERE) for package in self.settings.test_packages)]
        return test._replace(environment=_with_packages(self._part(test.environment, scope), needs), pipeline=pipeline)

    def _check_version(self, version: Text, full: str) -> None:
        if version.text and "${{" not in version.text and not is_valid(full):
            hint = "apk versions look like `1.2.3`, `1.2.3a`, `1.2.3_rc1` or `1.2.3_p4`"
            self._unreadable(f"`{full}` is no version that apk can read", "bad-version", version.origin, hint)

    def _check_dependencies(self, dependencies: Dependencies) -> None:
        for item in (*dependencies.runtime, *dependencies.provides, *dependencies.replaces):
            if "${{" not in item.text and (wrong := forms.dependency(item.text)):
                self._unreadable(wrong, "bad-dependency", item.origin)

    def _unreadable(self, message: str, reason: str, origin: Origin, hint: str = "") -> None:
        if self.settings.strict:
            self.substitution.fault(message, reason, origin, "", hint)
        else:
            self.substitution.notes.append(Note(message, origin))


def _with_packages(environment: Environment, needs: list[Text]) -> Environment:
    """The environment with `needs` among its packages: sorted, each once."""
    packages: dict[str, Text] = {}
    for item in (*environment.contents.packages, *needs):
        packages.setdefault(item.text, item)
    ordered = tuple(packages[name] for name in sorted(packages))
    return environment._replace(contents=environment.contents._replace(packages=ordered))
