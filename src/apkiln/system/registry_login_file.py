"""Writing down who we are at a registry, where docker, podman and we look for it.

A file keeps what else it holds.  Where it names a credential helper for the registry, the secret goes to the helper and not
into the file.  Facts: supply-chain.md §7.1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apkiln.core.errors import ConfigurationError, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.system.files import Files
from apkiln.system.process import Command, Runner
from apkiln.system.registry_logins import HUB_KEY, auth_file_paths, parse_auth_file
from apkiln.system.registry_names import DOCKER_HUB, normal_host
from apkiln.system.urls import UserPart

_HELPER_SECONDS = 60.0


def store_login(host: str, user: UserPart, files: Files, runner: Runner, environment: Mapping[str, str]) -> str:
    """Keep a login; where it is kept now: a path or the name of a helper's program.

    The file is `$REGISTRY_AUTH_FILE` or `$DOCKER_CONFIG/config.json` where these are set, else the first that exists of those
    that are read, else `~/.docker/config.json`; it is readable for its owner only.  Raises ConfigurationError
    `bad-auth-file`, `no-home`, UnavailableError `credential-helper-failed`.
    """
    path = _path(files, environment)
    content = files.read(path, MIB) if files.status(path) is not None else b"{}"
    known = parse_auth_file(content, str(path))
    name = normal_host(host)
    server = HUB_KEY if name == DOCKER_HUB else name
    helper = dict(known.helpers).get(name, known.default_helper)
    if helper:
        return _to_helper(f"docker-credential-{helper}", server, user, runner, environment)
    document: dict[str, Any] = json.loads(content)
    token = base64.b64encode(f"{user.user}:{user.password.reveal()}".encode()).decode()
    document["auths"] = {**(document.get("auths") or {}), server: {"auth": token}}
    files.make_directory(path.parent, 0o700)
    with files.create(path, 0o600, replace=True) as stream:
        stream.write(json.dumps(document, indent=2).encode() + b"\n")
    return str(path)


def _path(files: Files, environment: Mapping[str, str]) -> Path:
    paths = auth_file_paths(environment)
    if not paths:
        hint = "set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE"
        raise ConfigurationError("there is no place for logins", reason="no-home", hint=hint)
    if environment.get("REGISTRY_AUTH_FILE") or environment.get("DOCKER_CONFIG"):
        return paths[0]
    return next((path for path in paths if files.status(path) is not None), paths[-1])


def _to_helper(program: str, server: str, user: UserPart, runner: Runner, environment: Mapping[str, str]) -> str:
    request = {"ServerURL": server, "Username": user.user, "Secret": user.password.reveal()}
    command = Command(
        (program, "store"),
        environment=tuple(sorted(environment.items())),
        stdin=json.dumps(request).encode(),
        output_limit=MIB,
        timeout=_HELPER_SECONDS,
    )
    answer = runner.run(command)
    if answer.exit_code:
        message = f"`{program}` ended with exit code {answer.exit_code}"
        raise UnavailableError(message, reason="credential-helper-failed", origin=Origin(source=server))
    return program
