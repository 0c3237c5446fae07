"""One YAML document to one definition, not yet merged or checked for meaning (spec image.md §2.1, §2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from apkiln.core.arch import Arch
from apkiln.core.errors import FaultCollector
from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.node import Document, Scalar
from apkiln.formats.yamlnode.reader import Fields, Value, root
from apkiln.image.configuration import keys
from apkiln.image.configuration.model import (
    Accounts,
    BaseImage,
    Certificates,
    CommandLine,
    Contents,
    Entrypoint,
    Group,
    Healthcheck,
    ImageConfiguration,
    Include,
    KeyringEntry,
    Layering,
    NamedContent,
    PackageRequest,
    PathMutation,
    RepositoryEntry,
    SbomSettings,
    User,
)

_NUMBERS = 1 << 32
"""User and group numbers are below this."""


class Note(NamedTuple):
    """Something legal that is probably not meant."""

    message: str
    origin: Origin


def read_configuration(
    document: Document, faults: FaultCollector, notes: list[Note], *, strict: bool = False
) -> ImageConfiguration:
    """Every deviation from the schema is added to `faults` (`unknown-key`, `refused-key`, `wrong-type`, `unknown-value`,
    `bad-mode`, `bad-number` …) with its place; what could be read is returned.  `strict` refuses what apko does not know.
    """
    return _Reader(faults, notes, strict).configuration(root(document, faults))


def reads_as_octal(digits: str) -> bool:
    """Whether decimal `digits` make no sense as a decimal mode but do as an octal one: `755` does, `493` and `511` do not."""
    if not digits.isdigit() or len(digits) > 4 or digits.startswith("0") or set(digits) & {"8", "9"}:
        return False
    return _is_usual_mode(int(digits, 8)) and not _is_usual_mode(int(digits))


def _is_usual_mode(mode: int) -> bool:
    """Others may not do more than the group, the group not more than the owner, and nobody writes without reading."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    ordered = not (other & ~group or group & ~owner)
    return ordered and all(bits & 4 or not bits & 2 for bits in (owner, group, other))


@dataclass(frozen=True, slots=True)
class _Reader:
    faults: FaultCollector
    notes: list[Note]
    strict: bool

    def configuration(self, value: Value) -> ImageConfiguration:
        fields = self._fields(value, "")
        layering = fields.get("layering")
        return ImageConfiguration(
            contents=self._contents(self._section(fields, "contents")),
            entrypoint=self._entrypoint(self._section(fields, "entrypoint")),
            cmd=self._command(fields, "cmd"),
            stop_signal=fields.text("stop-signal"),
            work_dir=fields.text("work-dir"),
            accounts=self._accounts(self._section(fields, "accounts")),
            archs=tuple(_oci_name(item.text) for item in fields.texts("archs")),
            environment=fields.pairs("environment"),
            paths=tuple(self._path(item) for item in fields.items("paths")),
            vcs_url=fields.text("vcs-url"),
            annotations=fields.pairs("annotations"),
            include=self._include(fields),
            volumes=_plain(fields, "volumes"),
            layering=None if layering is None else self._layering(layering),
            format=self._choice(fields, "", "format"),
            certificates=self._certificates(self._section(fields, "certificates")),
            labels=fields.pairs("labels") if fields.get("labels") else None,
            healthcheck=self._healthcheck(fields),
            ports=_plain(fields, "ports"),
            os_release=tuple(sorted((_os_release_key(key), text) for key, text in fields.pairs("os-release"))),
            sbom=self._sbom(self._section(fields, "sbom")),
            scripts=self._choice(fields, "", "scripts"),
            merge=self._choice(fields, "", "merge"),
        )

    def _fields(self, value: Value, section: str) -> Fields:
        if not self.strict:
            return value.fields(keys.names(section))
        message = "an extension that `--strict-apko` refuses"
        extensions = tuple((key.name, message) for key in keys.SECTIONS[section] if key.extension)
        return value.fields(keys.peer_names(section), extensions)

    def _section(self, fields: Fields, name: str) -> Fields:
        value = fields.found.get(name)
        nothing = fields.whole._replace(node=Scalar("", True, fields.origin.line, fields.origin.column), path=name)
        return self._fields(value if value is not None else nothing, name)

    def _choice(self, fields: Fields, section: str, name: str) -> str:
        allowed = keys.choices(section, name)
        return fields.choice(name, keys.PEER_ONLY_CHOICES.get((section, name), allowed) if self.strict else allowed)

    def _refused(self, value: Value, what: str) -> None:
        if self.strict:
            value.fault(f"`{value.path}`: {what} is an extension that `--strict-apko` refuses", "refused-key")

    def _command(self, fields: Fields, name: str) -> CommandLine:
        value = fields.get(name)
        if value is None:
            return CommandLine()
        if value.is_sequence:
            self._refused(value, "a list")
            return CommandLine(words=tuple(item.text for item in value.texts()), origin=value.origin)
        return CommandLine(value.text(), origin=value.origin)

    def _contents(self, fields: Fields) -> Contents:
        base = fields.get("baseimage")
        return Contents(
            repositories=_repositories(fields, "repositories"),
            build_repositories=_repositories(fields, "build_repositories"),
            runtime_repositories=_repositories(fields, "runtime_repositories"),
            keyring=tuple(self._key(item) for item in fields.items("keyring")),
            runtime_keyring=tuple(self._named(item) for item in fields.items("runtime_keyring")),
            packages=tuple(self._package(item) for item in fields.items("packages")),
            baseimage=None if base is None else self._base(base),
            drift=_plain(fields, "drift"),
            no_runtime_repositories=fields.boolean("no_runtime_repositories"),
        )

    def _base(self, value: Value) -> BaseImage | None:
        fields = self._fields(value, "baseimage")
        base = BaseImage(fields.text("image"), fields.text("apkindex"), value.origin)
        return base if base.image or base.apkindex else None

    def _key(self, value: Value) -> KeyringEntry:
        location, sha256 = self._located(value, "key")
        return KeyringEntry(location, sha256, value.origin)

    def _located(self, value: Value, section: str) -> tuple[str, str]:
        """A text, or a mapping with one of `path` and `url`, and perhaps `sha256`."""
        if not value.is_mapping:
            return value.text(), ""
        self._refused(value, "a mapping")
        fields = value.fields(keys.names(section))
        path, url = fields.text("path"), fields.text("url")
        if bool(path) == bool(url):
            value.fault(f"`{value.path}` needs one of `path` and `url`", "missing-key")
        return path or url, fields.text("sha256")

    def _named(self, value: Value) -> NamedContent:
        fields = self._fields(value, "named")
        return NamedContent(fields.text("name"), fields.text("content"), value.origin)

    def _package(self, value: Value) -> PackageRequest:
        if not value.is_mapping:
            return PackageRequest(value.text(), (), value.origin)
        self._refused(value, "a mapping")
        fields = value.fields(keys.names("package"))
        return PackageRequest(fields.text("name"), tuple(map(_oci_name, _plain(fields, "archs"))), value.origin)

    def _entrypoint(self, fields: Fields) -> Entrypoint:
        return Entrypoint(
            type=self._choice(fields, "entrypoint", "type"),
            command=self._command(fields, "command"),
            shell_fragment=fields.text("shell-fragment"),
            services=fields.pairs("services"),
        )

    def _accounts(self, fields: Fields) -> Accounts:
        return Accounts(
            run_as=fields.text("run-as"),
            users=tuple(self._user(item) for item in fields.items("users")),
            groups=tuple(self._group(item) for item in fields.items("groups")),
            gshadow=fields.boolean("gshadow"),
        )

    def _user(self, value: Value) -> User:
        fields = self._fields(value, "user")
        return User(
            username=fields.text("username"),
            uid=_number(fields, "uid") or 0,
            gid=_number(fields, "gid"),
            shell=fields.text("shell"),
            homedir=fields.text("homedir"),
            groups=_plain(fields, "groups"),
            origin=value.origin,
        )

    def _group(self, value: Value) -> Group:
        fields = self._fields(value, "group")
        return Group(fields.text("groupname"), _number(fields, "gid") or 0, _plain(fields, "members"), value.origin)

    def _path(self, value: Value) -> PathMutation:
        fields = self._fields(value, "path")
        return PathMutation(
            path=fields.text("path"),
            type=self._choice(fields, "path", "type"),
            uid=_number(fields, "uid"),
            gid=_number(fields, "gid"),
            permissions=self._mode(fields, "permissions"),
            source=fields.text("source"),
            recursive=fields.boolean("recursive"),
            content=fields.text("content") if fields.get("content") else None,
            from_path=fields.text("from"),
            sha256=fields.text("sha256"),
            force=fields.boolean("force"),
            follow=fields.boolean("follow"),
            xattrs=fields.pairs("xattrs"),
            if_exists=self._choice(fields, "path", "if-exists"),
            origin=value.origin,
        )

    def _mode(self, fields: Fields, name: str) -> int | None:
        value = fields.get(name)
        if value is None:
            return None
        mode = value.mode()
        if isinstance(value.node, Scalar) and reads_as_octal(value.node.text):
            message = (
                f"`{value.path}: {value.node.text}` is decimal, which means {mode:#o}; write `0o{value.node.text}` for octal"
            )
            self.notes.append(Note(message, value.origin))
        return mode

    def _include(self, fields: Fields) -> tuple[Include, ...]:
        value = fields.get("include")
        if value is None:
            return ()
        if value.is_sequence:
            self._refused(value, "a list")
        items = value.items() if value.is_sequence else (value,)
        located = ((*self._located(item, "include"), item.origin) for item in items)
        return tuple(Include(location, sha256, origin) for location, sha256, origin in located if location)

    def _layering(self, value: Value) -> Layering:
        fields = self._fields(value, "layering")
        groups = tuple(tuple(text.text for text in item.texts()) for item in fields.items("groups"))
        return Layering(self._choice(fields, "layering", "strategy"), fields.integer("budget"), groups)

    def _certificates(self, fields: Fields) -> Certificates:
        additional = tuple(self._named(item) for item in fields.items("additional"))
        return Certificates(additional, _plain(fields, "providers"))

    def _healthcheck(self, fields: Fields) -> Healthcheck | None:
        value = fields.get("healthcheck")
        if value is None:
            return None
        inner = self._fields(value, "healthcheck")
        test = self._command(inner, "test")
        return Healthcheck(
            test=test.words or (("CMD-SHELL", test.text) if test.text else ()),
            interval=inner.text("interval"),
            timeout=inner.text("timeout"),
            start_period=inner.text("start-period"),
            start_interval=inner.text("start-interval"),
            retries=inner.integer("retries"),
        )

    def _sbom(self, fields: Fields) -> SbomSettings:
        formats = tuple(item.choice(keys.choices("sbom", "formats")) for item in fields.items("formats"))
        namespace, supplier = fields.text("namespace"), fields.text("supplier")
        return SbomSettings(formats, namespace, supplier, _plain(fields, "creators"))


def _plain(fields: Fields, key: str) -> tuple[str, ...]:
    return tuple(item.text for item in fields.texts(key))


def _repositories(fields: Fields, key: str) -> tuple[RepositoryEntry, ...]:
    return tuple(RepositoryEntry(item.text.rstrip("/") or item.text, item.origin) for item in fields.texts(key))


def _number(fields: Fields, key: str) -> int | None:
    """A user or group number; None when absent or null."""
    value = fields.get(key)
    if value is None:
        return None
    number = value.integer()
    if not 0 <= number < _NUMBERS:
        value.fault(f"`{value.path}`: {number} is not between 0 and {_NUMBERS - 1}", "bad-number")
        return 0
    return number


def _oci_name(name: str) -> str:
    return Arch.parse(name).oci


def _os_release_key(key: str) -> str:
    """`pretty-name`, as apko's former section spelled it, and `PRETTY_NAME` are the same key."""
    return key.upper().replace("-", "_")
