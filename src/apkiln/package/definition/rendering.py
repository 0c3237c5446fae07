"""A definition as the document it could be read from (spec package.md §3.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition import keys
from apkiln.package.definition.model import (
    Accounts,
    BuildOption,
    Contents,
    Copyright,
    Cpe,
    Dependencies,
    Environment,
    Input,
    Monitor,
    Package,
    PackageDefinition,
    PackageOptions,
    PackageTest,
    Pairs,
    Resources,
    Scriptlets,
    Setcap,
    Step,
    Subpackage,
    Update,
    User,
    VersionData,
)

Document: TypeAlias = dict[str, Any]


def document(definition: PackageDefinition) -> Document:
    """The definition with the keys of the file, in the order of the schema; what is empty is left out."""
    options = {option.name: _build_option(option) for option in definition.options}
    shown = {
        "package": _package(definition.package),
        "environment": _environment(definition.environment),
        "capabilities": _filled({"add": list(definition.capabilities.add), "drop": list(definition.capabilities.drop)}),
        "pipeline": [_step(step) for step in definition.pipeline],
        "subpackages": [_subpackage(item) for item in definition.subpackages],
        "data": [{"name": block.name, "items": _pairs(block.items)} for block in definition.data],
        "update": None if definition.update is None else _update(definition.update),
        "vars": {name: value.text for name, value in definition.variables},
        "var-transforms": [
            {"from": one.source.text, "match": one.match.text, "replace": one.replace.text, "to": one.to.text}
            for one in definition.var_transforms
        ],
        "options": options,
        "test": None if definition.test is None else _test(definition.test),
    }
    return _filled(shown)


def render_yaml(definition: PackageDefinition) -> str:
    """The definition as YAML text."""
    from apkiln.formats.yamlnode.writer import write

    return write(document(definition))


def _package(package: Package) -> Document:
    shown = {
        "name": package.name.text,
        "version": package.version.text,
        "epoch": package.epoch,
        "description": package.description.text,
        "url": package.url.text,
        "commit": package.commit.text,
        "annotations": _pairs(package.annotations),
        "target-architecture": _texts(package.target_architecture),
        "copyright": [_copyright(entry) for entry in package.copyright],
        "dependencies": _dependencies(package.dependencies),
        "options": _package_options(package.options),
        "scriptlets": _scriptlets(package.scriptlets),
        "checks": _filled({"disabled": list(package.checks.disabled)}),
        "cpe": _cpe(package.cpe),
        "setcap": [_setcap(entry) for entry in package.setcap],
        "timeout": package.timeout,
        "resources": _resources(package.resources),
        "test-resources": _resources(package.test_resources),
    }
    return {key: value for key, value in shown.items() if key == "epoch" or _is_filled(value)}


def _copyright(entry: Copyright) -> Document:
    shown = {
        "license": entry.license.text,
        "paths": _texts(entry.paths),
        "attestation": entry.attestation,
        "license-path": entry.license_path.text,
        "detection-override": entry.detection_override,
    }
    return _filled(shown)


def _dependencies(dependencies: Dependencies) -> Document:
    shown = {
        "runtime": _texts(dependencies.runtime),
        "provides": _texts(dependencies.provides),
        "replaces": _texts(dependencies.replaces),
        "provider-priority": dependencies.provider_priority.text,
        "replaces-priority": dependencies.replaces_priority.text,
    }
    return _filled(shown)


def _package_options(options: PackageOptions) -> Document:
    return _filled(dict(zip(keys.names("package-options"), options, strict=True)))


def _scriptlets(scriptlets: Scriptlets) -> Document:
    trigger = _filled({"script": scriptlets.trigger.script.text, "paths": _texts(scriptlets.trigger.paths)})
    scripts = zip(keys.names("scriptlets")[1:], scriptlets[1:], strict=True)
    return _filled({"trigger": trigger} | {name: script.text for name, script in scripts})


def _cpe(cpe: Cpe) -> Document:
    return _filled(dict(zip(Cpe._fields, cpe, strict=True)))


def _setcap(entry: Setcap) -> Document:
    return {"path": entry.path, "add": dict(entry.add), "reason": entry.reason}


def _resources(resources: Resources) -> Document:
    return _filled({name: value.text for name, value in zip(keys.names("resources"), resources, strict=True)})


def _environment(environment: Environment) -> Document:
    shown = {
        "contents": _contents(environment.contents),
        "environment": _pairs(environment.environment),
        "accounts": _accounts(environment.accounts),
    }
    return _filled(shown)


def _contents(contents: Contents) -> Document:
    return _filled({name: _texts(items) for name, items in zip(Contents._fields, contents, strict=True)})


def _accounts(accounts: Accounts) -> Document:
    groups = [
        _filled({"groupname": group.groupname}) | {"gid": group.gid} | _filled({"members": list(group.members)})
        for group in accounts.groups
    ]
    return _filled({"run-as": accounts.run_as, "users": [_user(user) for user in accounts.users], "groups": groups})


def _user(user: User) -> Document:
    shown: Document = {"username": user.username, "uid": user.uid}
    if user.gid is not None:
        shown["gid"] = user.gid
    return shown | _filled({"shell": user.shell, "homedir": user.homedir})


def _step(step: Step) -> Document:
    shown = {
        "if": step.condition.text,
        "name": step.name.text,
        "label": step.label,
        "uses": step.uses.text,
        "with": _pairs(step.inputs_given),
        "runs": step.runs.text,
        "pipeline": [_step(inner) for inner in step.pipeline],
        "inputs": {item.name: _input(item) for item in step.inputs},
        "needs": _filled({"packages": _texts(step.needs)}),
        "assertions": None if step.required_steps is None else {"required-steps": step.required_steps},
        "working-directory": step.working_directory.text,
        "environment": _pairs(step.environment),
        "network": step.network,
        "prefetch": [_filled({"kind": one.kind, "lock": one.lock.text, "root": one.root.text}) for one in step.prefetch],
    }
    return _filled(shown)


def _input(item: Input) -> Document:
    return _filled({"description": item.description, "default": item.default.text, "required": item.required})


def _subpackage(subpackage: Subpackage) -> Document:
    shown = {
        "if": subpackage.condition.text,
        "range": subpackage.range.text,
        "name": subpackage.name.text,
        "pipeline": [_step(step) for step in subpackage.pipeline],
        "dependencies": _dependencies(subpackage.dependencies),
        "options": _package_options(subpackage.options),
        "scriptlets": _scriptlets(subpackage.scriptlets),
        "description": subpackage.description.text,
        "annotations": _pairs(subpackage.annotations),
        "url": subpackage.url.text,
        "commit": subpackage.commit.text,
        "checks": _filled({"disabled": list(subpackage.checks.disabled)}),
        "test": None if subpackage.test is None else _test(subpackage.test),
        "setcap": [_setcap(entry) for entry in subpackage.setcap],
    }
    return _filled(shown)


def _test(test: PackageTest) -> Document:
    return _filled({"environment": _environment(test.environment), "pipeline": [_step(step) for step in test.pipeline]})


def _build_option(option: BuildOption) -> Document:
    packages = _filled({"add": list(option.add), "remove": list(option.remove)})
    environment = {"contents": {"packages": packages}} if packages else {}
    return _filled({"vars": {name: value.text for name, value in option.variables}, "environment": environment})


def _update(update: Update) -> Document:
    schedule = update.schedule
    shown: Document = {
        "enabled": update.enabled,
        "manual": update.manual,
        "require-sequential": update.require_sequential,
        "shared": update.shared,
        "enable-prerelease-tags": update.enable_prerelease_tags,
        "version-separator": update.version_separator.text,
        "ignore-regex-patterns": _texts(update.ignore_regex_patterns),
        "version-transform": [
            _filled({"match": one.match.text, "replace": one.replace.text}) for one in update.version_transform
        ],
        "exclude-reason": update.exclude_reason.text,
        "schedule": None if schedule is None else _filled({"period": schedule.period, "reason": schedule.reason.text}),
    }
    monitors = {monitor.kind: _monitor(monitor) for monitor in update.monitors}
    feeds = {} if update.version_data is None else {"version_data": _version_data(update.version_data)}
    # `git: {}` means something; `enabled` is always said.
    return {"enabled": shown.pop("enabled")} | _filled(shown) | monitors | feeds


def _monitor(monitor: Monitor) -> Document:
    number = monitor.kind == "release-monitor"
    identifier = monitor.identifier.text
    shown = {
        "identifier": int(identifier) if number and identifier.isdecimal() else identifier,
        "strip-prefix": monitor.strip_prefix.text,
        "strip-suffix": monitor.strip_suffix.text,
        "tag-filter": monitor.filter.text,
        "version-filter-prefix" if number else "tag-filter-prefix": monitor.filter_prefix.text,
        "version-filter-contains" if number else "tag-filter-contains": monitor.filter_contains.text,
        "use-tag": monitor.use_tag,
    }
    return _filled(shown)


def _version_data(data: VersionData) -> Document:
    sources = [
        _filled(
            {
                "name": one.name.text,
                "stream": one.stream.text,
                "ignore": _texts(one.ignore),
                "commit_source": one.commit_source.text,
                "use_release": one.use_release,
            }
        )
        for one in data.sources
    ]
    return _filled({"version_format": data.version_format.text, "sources": sources})


def _texts(items: tuple[Text, ...]) -> list[str]:
    return [item.text for item in items]


def _pairs(items: Pairs) -> dict[str, str]:
    return {name: value.text for name, value in items}


def _is_filled(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})


def _filled(values: Mapping[str, Any]) -> Document:
    return {key: value for key, value in values.items() if _is_filled(value)}
