"""Who we are at which registry: the files that `docker login` and `podman login` write, and credential helpers.

Facts: supply-chain.md §7.1, containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from apkiln.core.errors import ConfigurationError, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.core.protocol import Protocol
from apkiln.core.secret import Secret
from apkiln.system.files import FileReader
from apkiln.system.process import Command, Runner
from apkiln.system.registry_names import DOCKER_HUB, RepositoryName, normal_host
from apkiln.system.urls import UserPart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls its hub in files and to helpers."""
_HELPER = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS = 60.0


class Login(NamedTuple):
    """One way to authenticate, or none."""

    user: UserPart | None = None
    identity_token: Secret | None = None
    """Exchanged for access tokens (OAuth2 refresh token)."""
    registry_token: Secret | None = None
    """Sent as it is."""

    @property
    def anonymous(self) -> bool:
        return self == ANONYMOUS


ANONYMOUS = Login()


class Logins(Protocol):
    """Finds the login for a repository."""

    def login_for(self, repository: RepositoryName) -> Login:
        """`ANONYMOUS` when there is none.  Raises ConfigurationError `bad-auth-file`, UnavailableError
        `credential-helper-failed` and what running a program raises; no text of a secret is in an error."""


class NoLogins:
    """Anonymous everywhere."""

    def login_for(self, repository: RepositoryName) -> Login:
        return ANONYMOUS


class KnownLogins:
    """Logins by repository or host, given as values."""

    def __init__(self, logins: Mapping[str, Login]) -> None:
        self._logins = dict(logins)

    def login_for(self, repository: RepositoryName) -> Login:
        return next((self._logins[key] for key in _keys(repository) if key in self._logins), ANONYMOUS)


class AuthFile(NamedTuple):
    """One file of logins."""

    path: str
    logins: tuple[tuple[str, Login], ...]
    """By `host` or `host/path`."""
    helpers: tuple[tuple[str, str], ...]
    """Helper by host."""
    default_helper: str = ""


class FileLogins:
    """Logins of the auth files in order, read when the first is asked for; the first file that knows the repository is right.

    In a file: the helper of the host, then the entry with the longest matching path, then the default helper.
    """

    def __init__(self, paths: Iterable[Path], files: FileReader, runner: Runner, environment: Mapping[str, str]) -> None:
        self._paths = tuple(paths)
        self._files = files
        self._runner = runner
        self._environment = environment
        self._read: tuple[AuthFile, ...] | None = None

    def login_for(self, repository: RepositoryName) -> Login:
        if self._read is None:
            self._read = tuple(self._existing())
        found = (login for file in self._read for login in self._of_file(file, repository))
        return next((login for login in found if not login.anonymous), ANONYMOUS)

    def _existing(self) -> Iterator[AuthFile]:
        for path in self._paths:
            if self._files.status(path) is not None:
                yield parse_auth_file(self._files.read(path, MIB), str(path))

    def _of_file(self, file: AuthFile, repository: RepositoryName) -> Iterator[Login]:
        own = dict(file.helpers).get(repository.host, "")
        if own:
            yield self._ask(own, repository.host)
        logins = dict(file.logins)
        yield from (logins[key] for key in _keys(repository) if key in logins)
        if file.default_helper and not own:
            yield self._ask(file.default_helper, repository.host)

    def _ask(self, helper: str, host: str) -> Login:
        """What a helper program knows of a host; a helper that knows nothing is not an error."""
        program = f"docker-credential-{helper}"
        server = HUB_KEY if host == DOCKER_HUB else host
        command = Command(
            (program, "get"),
            environment=tuple(sorted(self._environment.items())),
            stdin=server.encode(),
            output_limit=MIB,
            timeout=_HELPER_SECONDS,
        )
        answer = self._runner.run(command)
        if answer.exit_code and b"not found" in (answer.stdout + answer.stderr).lower():
            return ANONYMOUS
        login = _helper_login(answer.stdout) if answer.exit_code == 0 else None
        if login is None:
            how = f"ended with exit code {answer.exit_code}" if answer.exit_code else "gave no credentials that can be read"
            hint = f"try `echo {server} | {program} get`"
            raise UnavailableError(f"`{program}` {how}", reason="credential-helper-failed", origin=Origin(source=host), hint=hint)
        return login


def auth_file_paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where logins are looked for: `$REGISTRY_AUTH_FILE` alone when it is set; else `$DOCKER_CONFIG/config.json`,
    `$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json`, `~/.docker/config.json`."""
    named = environment.get("REGISTRY_AUTH_FILE", "")
    if named:
        return (Path(named),)
    home = environment.get("HOME", "")
    config = environment.get("XDG_CONFIG_HOME", "") or (f"{home}/.config" if home else "")
    places = (
        (environment.get("DOCKER_CONFIG", ""), "config.json"),
        (environment.get("XDG_RUNTIME_DIR", ""), "containers/auth.json"),
        (config, "containers/auth.json"),
        (home, ".docker/config.json"),
    )
    return tuple(dict.fromkeys(Path(directory, name) for directory, name in places if directory))


def parse_auth_file(content: bytes, path: str) -> AuthFile:
    """A `config.json` of docker or an `auth.json` of podman.  Raises ConfigurationError `bad-auth-file`, which names the
    file and the entry and nothing of its content."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _bad_file(path, "is not JSON") from None
    auths = _table(document, "auths", path)
    helpers = _table(document, "credHelpers", path)
    default = document.get("credsStore") or ""
    names = [*helpers.values(), *([default] if default else [])]
    if not all(isinstance(name, str) and _HELPER.fullmatch(name) for name in names):
        raise _bad_file(path, "names a credential helper that cannot be a program's name")
    logins = tuple((_normal_key(key), _entry(value, key, path)) for key, value in auths.items())
    return AuthFile(path, logins, tuple((_normal_key(host), name) for host, name in helpers.items()), default)


def _table(document: Any, name: str, path: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else ()
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _bad_file(path, f"has no table `{name}`")
    return found


def _entry(value: Any, key: str, path: str) -> Login:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _bad_file(path, f"has an entry for `{_normal_key(key)}` that is not understood")
    user = None
    if value.get("auth"):
        try:
            decoded = base64.b64decode(value["auth"], validate=True).decode()
        except (binascii.Error, ValueError):
            raise _bad_file(path, f"has an entry for `{_normal_key(key)}` whose `auth` is not base64") from None
        name, _, password = decoded.rstrip("\0").partition(":")
        user = UserPart(name, Secret(password))
    elif value.get("username"):
        user = UserPart(value["username"], Secret(value.get("password", "")))
    return Login(user, _secret(value.get("identitytoken")), _secret(value.get("registrytoken")))


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _helper_login(output: bytes) -> Login | None:
    try:
        value = json.loads(output)
        name, secret = value["Username"], value["Secret"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(name, str) or not isinstance(secret, str):
        return None
    if name == "<token>":
        return Login(identity_token=Secret(secret))
    return Login(UserPart(name, Secret(secret)))


def _keys(repository: RepositoryName) -> Iterator[str]:
    """Keys under which the repository may stand, the longest first."""
    parts = repository.path.split("/")
    for length in range(len(parts), 0, -1):
        yield "/".join((repository.host, *parts[:length]))
    yield repository.host


def _normal_key(key: str) -> str:
    """`https://host/v1/` and `host` are one; paths of podman's keys are kept."""
    bare = re.sub(r"^https?://", "", key.strip())
    bare = re.sub(r"/v[12]/?$", "", bare).rstrip("/")
    host, slash, path = bare.rpartition("@")[2].partition("/")
    return normal_host(host) + slash + path


def _bad_file(path: str, what: str) -> ConfigurationError:
    hint = "log in again, for example with `docker login` or `podman login`"
    return ConfigurationError(f"`{path}` {what}", reason="bad-auth-file", origin=Origin(source=path), hint=hint)
