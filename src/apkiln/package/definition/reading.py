"""One YAML document to one definition, nothing replaced yet (spec package.md §2, §3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from apkiln.core.errors import FaultCollector
from apkiln.formats.yamlnode.node import Document, Scalar
from apkiln.formats.yamlnode.reader import Fields, Text, Value, root
from apkiln.package.definition import forms, keys
from apkiln.package.definition.model import (
    NO_TEXT,
    Accounts,
    BuildOption,
    Capabilities,
    Checks,
    Contents,
    Copyright,
    Cpe,
    Data,
    Dependencies,
    Environment,
    Group,
    Monitor,
    Package,
    PackageDefinition,
    PackageOptions,
    PackageTest,
    Resources,
    Schedule,
    Scriptlets,
    Setcap,
    Step,
    Subpackage,
    Trigger,
    Update,
    User,
    VarTransform,
    Verbatim,
    VersionData,
    VersionSource,
    VersionTransform,
)
from apkiln.package.definition.step_reading import (
    StepReader,
    condition_of,
    pairs_of,
    prose_of,
    sections_of,
    text_of,
    texts_of,
    verbatim_of,
)

Check = Callable[[str], str]
"""Gives what is wrong with a text, or nothing."""
_Section = TypeVar("_Section")

_CPE_FIELDS = ("part", "vendor", "product", "edition", "language", "sw_edition", "target_sw", "target_hw", "other")
_NUMBERS = 1 << 32


def read_definition(document: Document, faults: FaultCollector) -> PackageDefinition:
    """Every deviation from the schema is added to `faults` (`unknown-key`, `wrong-type`, `unknown-value`, `missing-key`,
    `bad-value` …) with its place; what could be read is returned.
    """
    if isinstance(document.root, Scalar) and document.root.is_null:
        root(document, faults).fault("the definition is empty", "empty-definition")
    return _Reader(faults).definition(root(document, faults))


@dataclass(frozen=True, slots=True)
class _Reader:
    faults: FaultCollector

    def definition(self, value: Value) -> PackageDefinition:
        fields = value.fields(keys.names(""))
        package = fields.get("package")
        if package is None:
            value.fault("the definition needs `package`", "missing-key")
        update = fields.get("update")
        return PackageDefinition(
            package=Package(NO_TEXT, NO_TEXT) if package is None else self._package(package),
            environment=self._section(fields, "environment", self._environment, Environment()),
            capabilities=self._section(fields, "capabilities", self._capabilities, Capabilities()),
            pipeline=self._steps(fields),
            subpackages=tuple(self._subpackage(item) for item in sections_of(fields, "subpackages")),
            data=self._data(fields),
            update=None if update is None else self._update(update),
            variables=self._verbatim_pairs(fields, "vars"),
            var_transforms=tuple(self._transform(item) for item in sections_of(fields, "var-transforms")),
            options=self._build_options(fields),
            test=self._test(fields),
        )

    def _section(self, fields: Fields, key: str, read: Callable[[Value], _Section], nothing: _Section) -> _Section:
        value = fields.get(key)
        return nothing if value is None else read(value)

    def _steps(self, fields: Fields) -> tuple[Step, ...]:
        return StepReader(self.faults).steps(fields)

    def _package(self, value: Value) -> Package:
        fields = value.fields(keys.names("package"))
        return Package(
            name=_required(fields, "name"),
            version=_required(fields, "version"),
            epoch=_number(fields, "epoch") or 0,
            description=prose_of(fields, "description"),
            url=text_of(fields, "url"),
            commit=text_of(fields, "commit"),
            annotations=pairs_of(fields, "annotations"),
            target_architecture=texts_of(fields, "target-architecture"),
            copyright=tuple(self._copyright(item) for item in sections_of(fields, "copyright")),
            dependencies=self._section(fields, "dependencies", self._dependencies, Dependencies()),
            options=self._section(fields, "options", self._package_options, PackageOptions()),
            scriptlets=self._section(fields, "scriptlets", self._scriptlets, Scriptlets()),
            checks=self._section(fields, "checks", self._checks, Checks()),
            cpe=self._section(fields, "cpe", self._cpe, Cpe()),
            setcap=tuple(self._setcap(item) for item in sections_of(fields, "setcap")),
            timeout=_checked(fields, "timeout", forms.duration),
            resources=self._section(fields, "resources", self._resources, Resources()),
            test_resources=self._section(fields, "test-resources", self._resources, Resources()),
            origin=value.origin,
        )

    def _subpackage(self, value: Value) -> Subpackage:
        fields = value.fields(keys.names("subpackage"))
        return Subpackage(
            name=_required(fields, "name"),
            condition=condition_of(fields),
            range=verbatim_of(fields, "range"),
            pipeline=self._steps(fields),
            dependencies=self._section(fields, "dependencies", self._dependencies, Dependencies()),
            options=self._section(fields, "options", self._package_options, PackageOptions()),
            scriptlets=self._section(fields, "scriptlets", self._scriptlets, Scriptlets()),
            description=prose_of(fields, "description"),
            annotations=pairs_of(fields, "annotations"),
            url=text_of(fields, "url"),
            commit=text_of(fields, "commit"),
            checks=self._section(fields, "checks", self._checks, Checks()),
            test=self._test(fields),
            setcap=tuple(self._setcap(item) for item in sections_of(fields, "setcap")),
            origin=value.origin,
        )

    def _copyright(self, value: Value) -> Copyright:
        fields = value.fields(keys.names("copyright"))
        path = fields.get("license-path")
        if path is not None and (wrong := forms.local_path(path.text())):
            path.fault(f"`{path.path}`: {wrong}", "path-outside")
        return Copyright(
            license=text_of(fields, "license"),
            paths=texts_of(fields, "paths"),
            attestation=fields.text("attestation"),
            license_path=text_of(fields, "license-path"),
            detection_override=fields.text("detection-override"),
            origin=value.origin,
        )

    def _dependencies(self, value: Value) -> Dependencies:
        fields = value.fields(keys.names("dependencies"))
        return Dependencies(
            runtime=texts_of(fields, "runtime"),
            provides=texts_of(fields, "provides"),
            replaces=texts_of(fields, "replaces"),
            provider_priority=text_of(fields, "provider-priority"),
            replaces_priority=text_of(fields, "replaces-priority"),
        )

    def _package_options(self, value: Value) -> PackageOptions:
        fields = value.fields(keys.names("package-options"))
        return PackageOptions(*(fields.boolean(name) for name in keys.names("package-options")))

    def _scriptlets(self, value: Value) -> Scriptlets:
        fields = value.fields(keys.names("scriptlets"))
        scripts = (text_of(fields, name) for name in keys.names("scriptlets")[1:])
        return Scriptlets(self._section(fields, "trigger", self._trigger, Trigger()), *scripts)

    def _trigger(self, value: Value) -> Trigger:
        fields = value.fields(keys.names("trigger"))
        return Trigger(text_of(fields, "script"), texts_of(fields, "paths"))

    def _checks(self, value: Value) -> Checks:
        return Checks(tuple(item.text for item in value.fields(keys.names("checks")).texts("disabled")))

    def _cpe(self, value: Value) -> Cpe:
        fields = value.fields(keys.names("cpe"))
        given = [_checked(fields, name, forms.cpe_field) for name in _CPE_FIELDS]
        other = [_checked(fields, name.replace("_", "-"), forms.cpe_field) if "_" in name else "" for name in _CPE_FIELDS]
        cpe = Cpe(*(one or two for one, two in zip(given, other, strict=True)))
        fields.choice("part", keys.choices("cpe", "part"))
        if bool(cpe.vendor) != bool(cpe.product):
            value.fault(f"`{value.path}` needs both `vendor` and `product`, or neither", "missing-key")
        return cpe

    def _setcap(self, value: Value) -> Setcap:
        fields = value.fields(keys.names("setcap"))
        add = fields.pairs("add")
        for names, _ in add:
            if wrong := forms.file_capabilities(names):
                (fields.get("add") or value).fault(f"`{value.path}`: {wrong}", "bad-value")
        return Setcap(_required(fields, "path").text, add, _required(fields, "reason").text, value.origin)

    def _resources(self, value: Value) -> Resources:
        fields = value.fields(keys.names("resources"))
        return Resources(*(text_of(fields, name) for name in keys.names("resources")))

    def _capabilities(self, value: Value) -> Capabilities:
        fields = value.fields(keys.names("capabilities"))
        for item in (*fields.items("add"), *fields.items("drop")):
            if wrong := forms.process_capability(item.text()):
                item.fault(f"`{item.path}`: {wrong}", "bad-value")
        add, drop = fields.texts("add"), fields.texts("drop")
        return Capabilities(tuple(item.text for item in add), tuple(item.text for item in drop))

    def _environment(self, value: Value) -> Environment:
        fields = value.fields(keys.names("environment"))
        return Environment(
            contents=self._section(fields, "contents", self._contents, Contents()),
            environment=pairs_of(fields, "environment"),
            accounts=self._section(fields, "accounts", self._accounts, Accounts()),
        )

    def _contents(self, value: Value) -> Contents:
        fields = value.fields(keys.names("contents"))
        return Contents(*(texts_of(fields, name) for name in keys.names("contents")[:5]))

    def _accounts(self, value: Value) -> Accounts:
        fields = value.fields(keys.names("accounts"))
        return Accounts(
            run_as=fields.text("run-as"),
            users=tuple(self._user(item) for item in sections_of(fields, "users")),
            groups=tuple(self._group(item) for item in sections_of(fields, "groups")),
        )

    def _user(self, value: Value) -> User:
        fields = value.fields(keys.names("user"))
        name, uid, gid = _required(fields, "username").text, _number(fields, "uid") or 0, _number(fields, "gid")
        return User(name, uid, gid, fields.text("shell"), fields.text("homedir"), value.origin)

    def _group(self, value: Value) -> Group:
        fields = value.fields(keys.names("group"))
        members = tuple(item.text for item in fields.texts("members"))
        return Group(_required(fields, "groupname").text, _number(fields, "gid") or 0, members, value.origin)

    def _test(self, fields: Fields) -> PackageTest | None:
        value = fields.get("test")
        if value is None:
            return None
        inner = value.fields(keys.names("test"))
        environment = self._section(inner, "environment", self._environment, Environment())
        return PackageTest(environment, self._steps(inner), value.origin)

    def _data(self, fields: Fields) -> tuple[Data, ...]:
        found: dict[str, Data] = {}
        for item in sections_of(fields, "data"):
            inner = item.fields(keys.names("data"))
            name = _required(inner, "name").text
            if name in found:
                item.fault(f"`{item.path}`: the data block `{name}` exists already", "duplicate-name")
            found.setdefault(name, Data(name, pairs_of(inner, "items"), item.origin))
        return tuple(found.values())

    def _verbatim_pairs(self, fields: Fields, key: str) -> tuple[tuple[str, Verbatim], ...]:
        return tuple((name, Verbatim(*text)) for name, text in pairs_of(fields, key))

    def _transform(self, value: Value) -> VarTransform:
        fields = value.fields(keys.names("var-transform"))
        if "replace" not in fields.found:
            value.fault(f"`{value.path}` needs `replace`", "missing-key")
        source, match, target = (_required(fields, name) for name in ("from", "match", "to"))
        return VarTransform(Verbatim(*source), Verbatim(*match), verbatim_of(fields, "replace"), Verbatim(*target))

    def _build_options(self, fields: Fields) -> tuple[BuildOption, ...]:
        value = fields.get("options")
        members = () if value is None else value.members()
        return tuple(sorted((self._build_option(name, item) for name, item in members), key=lambda option: option.name))

    def _build_option(self, name: str, value: Value) -> BuildOption:
        fields = value.fields(keys.names("build-option"))
        inner = fields
        for key, section in (
            ("environment", "option-environment"),
            ("contents", "option-contents"),
            ("packages", "option-packages"),
        ):
            below = inner.get(key)
            if below is None:
                return BuildOption(name, self._verbatim_pairs(fields, "vars"))
            inner = below.fields(keys.names(section))
        add, remove = (tuple(item.text for item in inner.texts(key)) for key in ("add", "remove"))
        return BuildOption(name, self._verbatim_pairs(fields, "vars"), add, remove)

    def _update(self, value: Value) -> Update:
        fields = value.fields(keys.names("update"))
        monitors = tuple(self._monitor(kind, found) for kind in keys.MONITORS if (found := fields.get(kind)) is not None)
        if len(monitors) > 1:
            value.fault(f"`{value.path}` takes one of " + ", ".join(f"`{kind}`" for kind in keys.MONITORS), "several-monitors")
        transforms = (item.fields(keys.names("version-transform")) for item in sections_of(fields, "version-transform"))
        schedule, feeds = fields.get("schedule"), fields.get("version_data")
        return Update(
            enabled=fields.boolean("enabled"),
            manual=fields.boolean("manual"),
            require_sequential=fields.boolean("require-sequential"),
            shared=fields.boolean("shared"),
            enable_prerelease_tags=fields.boolean("enable-prerelease-tags"),
            version_separator=text_of(fields, "version-separator"),
            ignore_regex_patterns=texts_of(fields, "ignore-regex-patterns"),
            version_transform=tuple(VersionTransform(text_of(item, "match"), text_of(item, "replace")) for item in transforms),
            exclude_reason=prose_of(fields, "exclude-reason"),
            schedule=None if schedule is None else self._schedule(schedule),
            monitors=monitors,
            version_data=None if feeds is None else self._version_data(feeds),
        )

    def _schedule(self, value: Value) -> Schedule:
        fields = value.fields(keys.names("schedule"))
        _required(fields, "period")
        return Schedule(fields.choice("period", keys.choices("schedule", "period")), prose_of(fields, "reason"))

    def _monitor(self, kind: str, value: Value) -> Monitor:
        fields = value.fields(keys.names(kind))
        return Monitor(
            kind=kind,
            identifier=text_of(fields, "identifier"),
            strip_prefix=text_of(fields, "strip-prefix"),
            strip_suffix=text_of(fields, "strip-suffix"),
            filter=text_of(fields, "tag-filter"),
            filter_prefix=text_of(fields, "version-filter-prefix" if kind == "release-monitor" else "tag-filter-prefix"),
            filter_contains=text_of(fields, "version-filter-contains" if kind == "release-monitor" else "tag-filter-contains"),
            use_tag=fields.boolean("use-tag"),
            origin=value.origin,
        )

    def _version_data(self, value: Value) -> VersionData:
        fields = value.fields(keys.names("version-data"))
        sources = (item.fields(keys.names("version-source")) for item in sections_of(fields, "sources"))
        return VersionData(text_of(fields, "version_format"), tuple(self._version_source(source) for source in sources))

    def _version_source(self, fields: Fields) -> VersionSource:
        return VersionSource(
            name=text_of(fields, "name"),
            stream=text_of(fields, "stream"),
            ignore=texts_of(fields, "ignore"),
            commit_source=text_of(fields, "commit_source"),
            use_release=fields.boolean("use_release"),
        )


def _checked(fields: Fields, key: str, check: Check) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    text = value.text()
    if objection := check(text):
        value.fault(f"`{value.path}`: {objection}", "bad-value")
    return text


def _required(fields: Fields, key: str) -> Text:
    """A text that must be there and not be empty."""
    value = fields.get(key)
    if value is None or not value.text().strip():
        where = f"`{fields.whole.path}`" if fields.whole.path else "the definition"
        fields.whole.fault(f"{where} needs `{key}`", "missing-key")
        return NO_TEXT
    return Text(value.text(), value.origin)


def _number(fields: Fields, key: str) -> int | None:
    """A number that is not negative; None when absent or null."""
    value = fields.get(key)
    if value is None:
        return None
    number = value.integer()
    if not 0 <= number < _NUMBERS:
        value.fault(f"`{value.path}`: {number} is not between 0 and {_NUMBERS - 1}", "bad-number")
        return 0
    return number
