"""A definition shown again: as YAML or JSON with defaults filled in, as apko's one-line copy for the image, and as a digest.

Passwords in URLs appear in none of these (spec image.md §1 I8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace
from apkiln.image.configuration import keys
from apkiln.image.configuration.model import (
    Accounts,
    BaseImage,
    Certificates,
    CommandLine,
    Contents,
    Entrypoint,
    Healthcheck,
    ImageConfiguration,
    Include,
    KeyringEntry,
    Layering,
    NamedContent,
    PackageRequest,
    PathMutation,
    SbomSettings,
    User,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Document = dict[str, Any]


def completed(configuration: ImageConfiguration) -> ImageConfiguration:
    """With the defaults that apko fills in: home directories, and the command and package of a service bundle."""
    accounts, contents, entrypoint = configuration.accounts, configuration.contents, configuration.entrypoint
    if entrypoint.type == "service-bundle":
        entrypoint = entrypoint._replace(command=CommandLine("/bin/s6-svscan /sv"))
        if all(request.text != "s6" for request in contents.packages):
            contents = contents._replace(packages=(*contents.packages, PackageRequest("s6")))
    users = tuple(replace(user, homedir=user.home) for user in accounts.users)
    return configuration._replace(contents=contents, entrypoint=entrypoint, accounts=accounts._replace(users=users))


def document(configuration: ImageConfiguration) -> Document:
    """The definition with the keys of the file, in the order of the schema; what is not set is left out."""
    entrypoint, accounts = configuration.entrypoint, configuration.accounts
    values: Document = {
        "contents": _contents(configuration.contents),
        "entrypoint": {
            "type": entrypoint.type,
            "command": _command(entrypoint.command),
            "shell-fragment": entrypoint.shell_fragment,
            "services": dict(entrypoint.services),
        },
        "cmd": _command(configuration.cmd),
        "stop-signal": configuration.stop_signal,
        "work-dir": configuration.work_dir,
        "accounts": {
            "run-as": accounts.run_as,
            "users": [_user(user) for user in accounts.users],
            "groups": [{"groupname": g.groupname, "gid": g.gid, "members": list(g.members)} for g in accounts.groups],
        }
        | ({"gshadow": True} if accounts.gshadow else {}),
        "archs": list(configuration.archs),
        "environment": dict(configuration.environment),
        "paths": [_path(mutation) for mutation in configuration.paths],
        "vcs-url": redact_url(configuration.vcs_url),
        "annotations": dict(configuration.annotations),
        "include": _includes(configuration.include),
        "volumes": list(configuration.volumes),
        "layering": None if configuration.layering is None else _layering(configuration.layering),
        "format": configuration.format,
        "certificates": _certificates(configuration.certificates),
        "labels": None if configuration.labels is None else dict(configuration.labels),
        "healthcheck": None if configuration.healthcheck is None else _healthcheck(configuration.healthcheck),
        "ports": list(configuration.ports),
        "os-release": dict(configuration.os_release),
        "sbom": _sbom(configuration.sbom),
        "scripts": configuration.scripts,
        "merge": configuration.merge,
    }
    given = {"entrypoint": entrypoint != Entrypoint(), "accounts": accounts != Accounts()}
    given |= {key: values[key] is not None for key in ("layering", "labels", "healthcheck")}
    return {key: value for key, value in values.items() if given.get(key, bool(value))}


def render_yaml(configuration: ImageConfiguration) -> str:
    """The definition as YAML text.

    FormatError `bad-value`: repositories with a space that does not follow a tag; apko reads and overlays such lines, and
    refuses to write them too.
    """
    from apkiln.formats.yamlnode.writer import write

    _refuse_spaces(configuration.contents)
    return write(document(configuration))


def _refuse_spaces(contents: Contents) -> None:
    faults = FaultCollector.empty()
    for entry in (*contents.build_repositories, *contents.runtime_repositories, *contents.repositories):
        if not entry.text.startswith("@") and " " in entry.text.strip():
            message = f"`{entry.redacted}` holds a space: only `@tag` stands before an address"
            faults.add(FormatError(message, reason="bad-value", origin=entry.origin))
    faults.raise_if_any()


def definition_digest(configuration: ImageConfiguration) -> Digest:
    """Identity of everything a definition asks for: SHA-256 of its canonical JSON, includes and defaults resolved.

    Changes with each value that can change the image, and with the command line's additions once they are overlaid.
    """
    shown = document(completed(configuration)._replace(include=(), merge=""))
    return Digest.sha256(sha256(canonical_json.encode(shown, sort_keys=True)).digest())


def image_copy(configuration: ImageConfiguration, arch: Arch, packages: Sequence[str], run_as: str) -> Document:
    """The content of `/etc/apko.json`: the peer's keys only, for one architecture, empty values left out (spec §5.3).

    `packages`: what to list instead of the requests; `run_as`: the numeric user after accounts are known.
    """
    shown = document(completed(configuration))
    contents = {key: value for key, value in shown["contents"].items() if key in keys.peer_names("contents")}
    packed: Document = {"contents": contents | {"packages": list(packages)}, "entrypoint": {}, "accounts": {}}
    for key in keys.peer_names(""):
        if key not in ("contents", "vcs-url", "include") and key in shown:
            packed[key] = shown[key]
    packed["archs"] = [arch.oci]
    if run_as:
        packed["accounts"] = {"run-as": run_as} | {k: v for k, v in packed["accounts"].items() if k in ("users", "groups")}
    order = keys.peer_names("")
    verbatim = ("environment", "annotations")
    return {key: packed[key] if key in verbatim else _compact(packed[key]) for key in sorted(packed, key=order.index)}


def origins(configuration: ImageConfiguration) -> dict[str, str]:
    """Where each entry was written, as `file:line:column`, by its place in the shown document."""
    contents, accounts = configuration.contents, configuration.accounts
    lists: dict[str, Sequence[Any]] = {f"contents.{name}": getattr(contents, name) for name in keys.names("contents")[:6]}
    lists |= {"accounts.users": accounts.users, "accounts.groups": accounts.groups, "paths": configuration.paths}
    lists["certificates.additional"] = configuration.certificates.additional
    found = {f"{name}[{index}]": str(item.origin) for name, items in lists.items() for index, item in enumerate(items)}
    single: dict[str, Origin | None] = {
        "entrypoint.command": configuration.entrypoint.command.origin,
        "cmd": configuration.cmd.origin,
        "layering": configuration.layering.origin if configuration.layering else None,
        "healthcheck": configuration.healthcheck.origin if configuration.healthcheck else None,
    }
    return found | {name: str(origin) for name, origin in single.items() if origin is not None and origin.source}


def _contents(contents: Contents) -> Document:
    return _filled(
        {
            "build_repositories": [entry.redacted for entry in contents.build_repositories],
            "runtime_repositories": [entry.redacted for entry in contents.runtime_repositories],
            "repositories": [entry.redacted for entry in contents.repositories],
            "keyring": [_key(entry) for entry in contents.keyring],
            "runtime_keyring": [_named(item) for item in contents.runtime_keyring],
            "packages": [_package(request) for request in contents.packages],
            "baseimage": None if contents.baseimage is None else _base(contents.baseimage),
            "drift": list(contents.drift),
            "no_runtime_repositories": contents.no_runtime_repositories,
        }
    )


def _key(entry: KeyringEntry) -> str | Document:
    return _located(entry.location, entry.sha256)


def _located(location: str, digest: str) -> str | Document:
    shown = redact_url(location)
    return {"url" if "://" in location else "path": shown, "sha256": digest} if digest else shown


def _named(item: NamedContent) -> Document:
    return {"name": item.name, "content": item.content}


def _package(request: PackageRequest) -> str | Document:
    return {"name": request.text, "archs": list(request.archs)} if request.archs else request.text


def _base(base: BaseImage) -> Document:
    return _filled({"image": redact_url(base.image), "apkindex": base.apkindex})


def _command(command: CommandLine) -> str | list[str]:
    return list(command.words) if command.words else command.text


def _user(user: User) -> Document:
    shown: Document = {"username": user.username, "uid": user.uid}
    if user.gid is not None:
        shown["gid"] = user.gid
    shown |= {"shell": user.shell, "homedir": user.homedir}
    return shown | ({"groups": list(user.groups)} if user.groups else {})


def _path(mutation: PathMutation) -> Document:
    numbers = {"uid": mutation.uid, "gid": mutation.gid, "permissions": mutation.permissions}
    shown: Document = {"path": mutation.path, "type": mutation.type}
    shown |= {key: number for key, number in numbers.items() if number is not None}
    shown |= {"source": mutation.source, "recursive": mutation.recursive}
    if mutation.content is not None:
        shown["content"] = mutation.content
    extensions = {
        "from": mutation.from_path,
        "sha256": mutation.sha256,
        "force": mutation.force,
        "follow": mutation.follow,
        "xattrs": dict(mutation.xattrs),
        "if-exists": mutation.if_exists,
    }
    return shown | _filled(extensions)


def _includes(includes: tuple[Include, ...]) -> Any:
    shown = [_located(include.location, include.sha256) for include in includes]
    return shown[0] if len(shown) == 1 and isinstance(shown[0], str) else shown


def _layering(layering: Layering) -> Document:
    groups = [list(group) for group in layering.groups]
    budget = {} if layering.budget is None else {"budget": layering.budget}
    return _filled({"strategy": layering.strategy}) | budget | _filled({"groups": groups})


def _certificates(certificates: Certificates) -> Document:
    additional = [_named(item) for item in certificates.additional]
    return _filled({"additional": additional, "providers": list(certificates.providers)})


def _healthcheck(check: Healthcheck) -> Document:
    shown = {
        "test": list(check.test),
        "interval": check.interval,
        "timeout": check.timeout,
        "start-period": check.start_period,
        "start-interval": check.start_interval,
        "retries": check.retries,
    }
    return _filled(shown)


def _sbom(settings: SbomSettings) -> Document:
    shown = {
        "formats": list(settings.formats),
        "namespace": settings.namespace,
        "supplier": settings.supplier,
        "creators": list(settings.creators),
    }
    return _filled(shown)


def _filled(values: Document) -> Document:
    return {key: value for key, value in values.items() if value}


_OWNERS = ("uid", "gid")


def _compact(value: Any) -> Any:
    """The value without empty members of mappings at any depth; lists keep their items.  An owner of 0 that was given stays."""
    if isinstance(value, Mapping):
        return {
            key: _compact(member)
            for key, member in value.items()
            if member not in ("", 0, False, None, [], {}) or (member == 0 and key in _OWNERS and "groupname" not in value)
        }
    return [_compact(item) for item in value] if isinstance(value, list) else value
