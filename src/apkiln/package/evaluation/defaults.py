"""What a definition means without saying so: build user, environment variables, commit (spec package.md §4.9-§4.11)."""

from __future__ import annotations

from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import (
    NOWHERE,
    Accounts,
    Environment,
    Group,
    PackageDefinition,
    PackageTest,
    Pairs,
    Step,
    Subpackage,
    User,
)

WORKSPACE = "/home/build"
"""Home of the build user and directory of every step that names none."""
OUTPUT = f"{WORKSPACE}/melange-out"
"""Below it, one directory per package."""
CACHE = "/var/cache/melange"

BUILD_USER = User("build", 1000, 1000)
BUILD_GROUP = Group("build", 1000, ("build",))
DEFAULT_ENVIRONMENT = (
    ("HOME", WORKSPACE),
    ("GOPATH", f"{WORKSPACE}/.cache/go"),
    ("GOMODCACHE", f"{CACHE}/gomodcache"),
    ("UV_CACHE_DIR", f"{CACHE}/uv"),
    ("PIP_CACHE_DIR", f"{CACHE}/pip"),
    ("COMPOSER_CACHE_DIR", f"{CACHE}/composer"),
    ("npm_config_cache", f"{CACHE}/npm"),
)


def completed(definition: PackageDefinition, commit: str, environment: tuple[tuple[str, str], ...] = ()) -> PackageDefinition:
    """The definition with defaults filled in; doing it again changes nothing.

    `environment`: variables that win over the defaults and yield to the definition's own.
    """
    package = definition.package
    if not package.commit.text and commit:
        package = package._replace(commit=Text(commit, NOWHERE))
    build = definition.environment
    build = build._replace(environment=_variables(build.environment, environment), accounts=_accounts(build.accounts))
    return definition._replace(
        package=package,
        environment=build,
        pipeline=propagated(definition.pipeline),
        subpackages=tuple(_subpackage(item, package.commit) for item in definition.subpackages),
        test=_test(definition.test),
    )


def _subpackage(subpackage: Subpackage, commit: Text) -> Subpackage:
    return subpackage._replace(
        commit=subpackage.commit if subpackage.commit.text else commit,
        pipeline=propagated(subpackage.pipeline),
        test=_test(subpackage.test),
    )


def _test(test: PackageTest | None) -> PackageTest | None:
    if test is None or not test.pipeline:
        return test
    return test._replace(environment=_test_environment(test.environment), pipeline=propagated(test.pipeline))


def _test_environment(environment: Environment) -> Environment:
    return environment._replace(accounts=_accounts(environment.accounts))


def _accounts(accounts: Accounts) -> Accounts:
    users = accounts.users if any(user.username == "build" for user in accounts.users) else (*accounts.users, BUILD_USER)
    groups = accounts.groups
    if not any(group.groupname == "build" for group in groups):
        groups = (*groups, BUILD_GROUP)
    return accounts._replace(users=users, groups=groups)


def _variables(written: Pairs, given: tuple[tuple[str, str], ...]) -> Pairs:
    merged = {name: Text(text, NOWHERE) for name, text in given} | dict(written)
    for name, text in DEFAULT_ENVIRONMENT:
        if not merged.get(name, Text("", NOWHERE)).text:
            merged[name] = Text(text, NOWHERE)
    return tuple(sorted(merged.items(), key=lambda pair: pair[0]))


def propagated(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps whose inner ones have the working directory and the variables of those around them; inner values win."""
    return tuple(step if not step.pipeline else step._replace(pipeline=propagated(_inheriting(step))) for step in steps)


def _inheriting(step: Step) -> tuple[Step, ...]:
    return tuple(inherited(inner, step.working_directory, step.environment) for inner in step.pipeline)


def inherited(step: Step, directory: Text, environment: Pairs) -> Step:
    """A step inside one that has this working directory and environment."""
    if not step.working_directory.text and directory.text:
        step = step._replace(working_directory=directory)
    if environment:
        merged = dict(environment) | dict(step.environment)
        step = step._replace(environment=tuple(sorted(merged.items(), key=lambda pair: pair[0])))
    return step
