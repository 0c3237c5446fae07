"""One YAML document to one definition, not yet merged or checked for meaning (spec image.md §2.1, §2.3)."""

from __future__ import annotations

from collections.abc import Callable

from apkiln.core.arch import Arch
from apkiln.core.errors import FaultCollector
from apkiln.core.value import value
from apkiln.formats.yamlnode.node import Document, Scalar
from apkiln.formats.yamlnode.reader import Fields, Value, root
from apkiln.image.configuration import forms, keys
from apkiln.image.configuration.merge import is_removal
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
    Pairs,
    PathMutation,
    RepositoryEntry,
    SbomSettings,
    User,
)
from apkiln.image.configuration.note import Note

Check = Callable[[str], str]
"""Gives what is wrong with a text, or nothing."""

_NUMBERS = 1 << 32
"""User and group numbers are below this."""


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


def path_faults(mutation: PathMutation) -> list[tuple[str, str]]:
    """(message, reason) of what is wrong with an entry of `paths` of a known type: keys it needs or cannot use."""
    kind, found = mutation.type, []
    inline, local = mutation.content is not None, bool(mutation.from_path)
    if kind in ("hardlink", "symlink") and not mutation.source:
        found.append((f"a {kind} needs `source`", "missing-key"))
    if kind == "hardlink" and ".." in mutation.source.split("/"):
        found.append((f"`{mutation.source}` leaves the image", "bad-value"))
    if kind == "file" and inline == local:
        found.append(("a file needs one of `content` and `from`", "missing-key"))
    if kind == "tree" and (inline or not local):
        found.append(("a tree needs `from` and takes no `content`", "missing-key"))
    if kind not in ("file", "tree", "") and (inline or local):
        found.append((f"`content` and `from` mean nothing for type `{kind}`", "useless-key"))
    if kind not in ("file", "") and mutation.sha256:
        found.append((f"`sha256` means nothing for type `{kind}`", "useless-key"))
    return found


def healthcheck_faults(check: Healthcheck) -> list[str]:
    """What is wrong with a health check that container engines would not understand."""
    found = []
    kind = check.test[0] if check.test else ""
    arguments = {"NONE": 0, "CMD-SHELL": 1}.get(kind, max(1, len(check.test) - 1))
    if kind not in ("NONE", "CMD", "CMD-SHELL") or len(check.test) - 1 != arguments:
        found.append("`test` must be a text, or a list that starts with `CMD`, `CMD-SHELL` or `NONE`")
    if check.retries < 0:
        found.append("`retries` is negative")
    return found


def _is_usual_mode(mode: int) -> bool:
    """Others may not do more than the group, the group not more than the owner, and nobody writes without reading."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    ordered = not (other & ~group or group & ~owner)
    return ordered and all(bits & 4 or not bits & 2 for bits in (owner, group, other))


@value
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
            archs=tuple(map(_oci_name, _texts(fields, "archs", forms.architecture))),
            environment=_pairs(fields, "environment", forms.variable),
            paths=tuple(self._path(item) for item in fields.items("paths")),
            vcs_url=fields.text("vcs-url"),
            annotations=_pairs(fields, "annotations", forms.filled),
            include=self._include(fields),
            volumes=_texts(fields, "volumes", forms.filled),
            layering=None if layering is None else self._layering(layering),
            format=self._choice(fields, "", "format"),
            certificates=self._certificates(self._section(fields, "certificates")),
            labels=_pairs(fields, "labels", forms.filled) if fields.get("labels") else None,
            healthcheck=self._healthcheck(fields),
            ports=_texts(fields, "ports", forms.port),
            os_release=self._os_release(fields),
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

    def _command(self, fields: Fields, name: str, check: Check = forms.command) -> CommandLine:
        value = fields.get(name)
        if value is None:
            return CommandLine()
        if value.is_sequence:
            self._refused(value, "a list")
            return CommandLine(words=tuple(item.text for item in value.texts()), origin=value.origin)
        return CommandLine(_checked(value, check), origin=value.origin)

    def _contents(self, fields: Fields) -> Contents:
        base = fields.get("baseimage")
        return Contents(
            repositories=self._repositories(fields, "repositories"),
            build_repositories=self._repositories(fields, "build_repositories"),
            runtime_repositories=self._repositories(fields, "runtime_repositories"),
            keyring=tuple(self._key(item) for item in fields.items("keyring")),
            runtime_keyring=tuple(self._named(item) for item in fields.items("runtime_keyring")),
            packages=tuple(self._package(item) for item in fields.items("packages")),
            baseimage=None if base is None else self._base(base),
            drift=_texts(fields, "drift", forms.package_name),
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
            return _checked(value, forms.line if section == "key" else None), ""
        self._refused(value, "a mapping")
        fields = value.fields(keys.names(section))
        path, url = fields.text("path"), fields.text("url")
        if bool(path) == bool(url):
            value.fault(f"`{value.path}` needs one of `path` and `url`", "missing-key")
        return path or url, _text(fields, "sha256", forms.sha256)

    def _named(self, value: Value) -> NamedContent:
        fields = self._fields(value, "named")
        return NamedContent(_required(fields, "name", forms.content_name), _required(fields, "content"), value.origin)

    def _package(self, value: Value) -> PackageRequest:
        if not value.is_mapping:
            text = value.text()
            self._removal(value, text) if is_removal(text) else _checked(value, forms.package)
            return PackageRequest(text, (), value.origin)
        self._refused(value, "a mapping")
        fields = value.fields(keys.names("package"))
        archs = tuple(map(_oci_name, _texts(fields, "archs", forms.architecture)))
        return PackageRequest(_required(fields, "name", forms.package), archs, value.origin)

    def _removal(self, value: Value, text: str) -> None:
        self._refused(value, f"removing `{text[1:]}`")

    def _repositories(self, fields: Fields, key: str) -> tuple[RepositoryEntry, ...]:
        return tuple(self._repository(item) for item in fields.items(key))

    def _repository(self, value: Value) -> RepositoryEntry:
        text = _checked(value, forms.repository)
        if is_removal(text):
            self._removal(value, text)
        return RepositoryEntry(text.rstrip("/") or text, value.origin)

    def _entrypoint(self, fields: Fields) -> Entrypoint:
        return Entrypoint(
            type=self._choice(fields, "entrypoint", "type"),
            command=self._command(fields, "command"),
            shell_fragment=fields.text("shell-fragment"),
            services=_pairs(fields, "services", forms.service, forms.service_command),
        )

    def _accounts(self, fields: Fields) -> Accounts:
        return Accounts(
            run_as=_text(fields, "run-as", forms.run_as),
            users=tuple(self._user(item) for item in fields.items("users")),
            groups=tuple(self._group(item) for item in fields.items("groups")),
            gshadow=fields.boolean("gshadow"),
        )

    def _user(self, value: Value) -> User:
        fields = self._fields(value, "user")
        return User(
            username=_required(fields, "username", forms.account),
            uid=self._user_number(fields),
            gid=_number(fields, "gid"),
            shell=_text(fields, "shell", forms.passwd_field),
            homedir=_text(fields, "homedir", forms.passwd_field),
            groups=_texts(fields, "groups", forms.account),
            origin=value.origin,
        )

    def _user_number(self, fields: Fields) -> int:
        before = len(self.faults.faults)
        uid = _number(fields, "uid") or 0
        if uid == 0 and len(self.faults.faults) == before:
            place = fields.get("uid") or fields.whole
            place.fault(f"`{fields.whole.path}` needs a `uid`, and not 0", "uid-zero", "to run as root, use `run-as: 0`")
        return uid

    def _group(self, value: Value) -> Group:
        fields = self._fields(value, "group")
        name, members = _required(fields, "groupname", forms.account), _texts(fields, "members", forms.account)
        return Group(name, _number(fields, "gid") or 0, members, value.origin)

    def _path(self, value: Value) -> PathMutation:
        fields = self._fields(value, "path")
        if fields.get("type") is None:
            value.fault(f"`{value.path}` needs `type`", "missing-key")
        mutation = PathMutation(
            path=_required(fields, "path", forms.image_path),
            type=self._choice(fields, "path", "type"),
            uid=_number(fields, "uid"),
            gid=_number(fields, "gid"),
            permissions=self._mode(fields, "permissions"),
            source=fields.text("source"),
            recursive=fields.boolean("recursive"),
            content=fields.text("content") if fields.get("content") else None,
            from_path=fields.text("from"),
            sha256=_text(fields, "sha256", forms.sha256),
            force=fields.boolean("force"),
            follow=fields.boolean("follow"),
            xattrs=_pairs(fields, "xattrs", forms.xattr_name, forms.xattr_text),
            if_exists=self._choice(fields, "path", "if-exists"),
            origin=value.origin,
        )
        for message, reason in path_faults(mutation):
            value.fault(f"`{value.path}`: {message}", reason)
        return mutation

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
        budget = fields.integer("budget") if "budget" in fields.found else None
        return Layering(self._choice(fields, "layering", "strategy"), budget, groups, value.origin)

    def _certificates(self, fields: Fields) -> Certificates:
        additional = tuple(self._named(item) for item in fields.items("additional"))
        return Certificates(additional, _texts(fields, "providers", forms.filled))

    def _healthcheck(self, fields: Fields) -> Healthcheck | None:
        value = fields.get("healthcheck")
        if value is None:
            return None
        inner = self._fields(value, "healthcheck")
        test = self._command(inner, "test", forms.filled)
        check = Healthcheck(
            test=test.words or (("CMD-SHELL", test.text) if test.text else ()),
            interval=_text(inner, "interval", forms.duration),
            timeout=_text(inner, "timeout", forms.duration),
            start_period=_text(inner, "start-period", forms.duration),
            start_interval=_text(inner, "start-interval", forms.duration),
            retries=inner.integer("retries"),
            origin=value.origin,
        )
        for message in healthcheck_faults(check):
            value.fault(f"`healthcheck`: {message}", "bad-healthcheck")
        return check

    def _sbom(self, fields: Fields) -> SbomSettings:
        formats = tuple(item.choice(keys.choices("sbom", "formats")) for item in fields.items("formats"))
        namespace, supplier = _text(fields, "namespace", forms.uri), fields.text("supplier")
        return SbomSettings(formats, namespace, supplier, _texts(fields, "creators", forms.filled))

    def _os_release(self, fields: Fields) -> Pairs:
        pairs = _pairs(fields, "os-release", lambda key: forms.os_release_key(_os_release_key(key)), forms.line)
        return tuple(sorted((_os_release_key(key), text) for key, text in pairs))


def _checked(value: Value, check: Check | None) -> str:
    """The text of a value; a fault at it when `check` objects."""
    text = value.text()
    objection = check(text) if check is not None else ""
    if objection:
        value.fault(f"`{value.path}`: {objection}", "bad-value")
    return text


def _text(fields: Fields, key: str, check: Check) -> str:
    value = fields.get(key)
    return "" if value is None else _checked(value, check)


def _required(fields: Fields, key: str, check: Check | None = None) -> str:
    """A text that must be there and not be empty."""
    value = fields.get(key)
    if value is None or not value.text().strip():
        fields.whole.fault(f"`{fields.whole.path}` needs `{key}`", "missing-key")
        return ""
    return _checked(value, check)


def _texts(fields: Fields, key: str, check: Check) -> tuple[str, ...]:
    return tuple(_checked(item, check) for item in fields.items(key))


def _pairs(fields: Fields, key: str, check_key: Check, check_value: Check | None = None) -> Pairs:
    value = fields.found.get(key)
    members = value.members() if value is not None else ()
    for name, member in members:
        if objection := check_key(name):
            member.fault(f"`{key}`: {objection}", "bad-value")
    return tuple(sorted((name, _checked(member, check_value)) for name, member in members))


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
