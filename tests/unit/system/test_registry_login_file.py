"""Logins written down, read back by what reads them, and given to helpers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ConfigurationError, UnavailableError
from apkiln.core.secret import Secret
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.process import Completed, ScriptedRunner
from apkiln.system.registry_login_file import store_login
from apkiln.system.registry_logins import FileLogins, auth_file_paths
from apkiln.system.registry_names import RepositoryName
from apkiln.system.urls import UserPart

HOME = {"HOME": "/home/me"}
USER = UserPart("me", Secret("pass:word"))


@given(
    st.text("abc.-", min_size=1, max_size=8),
    st.text(min_size=1, max_size=12),
    st.sampled_from(["r.example", "docker.io", "h:5000"]),
)
def test_what_is_stored_is_found(name: str, password: str, host: str) -> None:
    files, runner = MemoryFiles(), ScriptedRunner({})
    stored = UserPart(name, Secret(password.rstrip("\0") or "x"))
    assert store_login(host, stored, files, runner, HOME) == "/home/me/.docker/config.json"
    logins = FileLogins(auth_file_paths(HOME), files, runner, HOME)
    found = logins.login_for(RepositoryName(host, "a/b")).user
    assert found is not None
    assert (found.user, found.password.reveal()) == (stored.user, stored.password.reveal())


def test_the_file_that_exists_is_used_and_the_named_one_first() -> None:
    files = MemoryFiles()
    files.put("/home/me/.config/containers/auth.json", b"{}")
    assert store_login("r.example", USER, files, ScriptedRunner({}), HOME) == "/home/me/.config/containers/auth.json"
    named = {**HOME, "REGISTRY_AUTH_FILE": "/x/auth.json"}
    assert store_login("r.example", USER, files, ScriptedRunner({}), named) == "/x/auth.json"


@pytest.mark.parametrize("known", [{"credsStore": "box"}, {"credHelpers": {"r.example": "box"}}])
def test_a_helper_gets_the_secret_and_the_file_does_not(known: dict[str, object]) -> None:
    files = MemoryFiles()
    files.put("/home/me/.docker/config.json", json.dumps(known).encode())
    runner = ScriptedRunner({("docker-credential-box", "store"): Completed(0, b"", b"")})
    assert store_login("r.example", USER, files, runner, HOME) == "docker-credential-box"
    assert json.loads(runner.commands[0].stdin) == {"ServerURL": "r.example", "Username": "me", "Secret": "pass:word"}
    assert b"word" not in files.read(Path("/home/me/.docker/config.json"), 1000)


def test_what_goes_wrong_is_told_without_the_secret() -> None:
    files = MemoryFiles()
    files.put("/home/me/.docker/config.json", b'{"credsStore": "box"}')
    with pytest.raises(UnavailableError) as caught:
        store_login("r.example", USER, files, ScriptedRunner({("docker-credential-box", "store"): Completed(1, b"", b"")}), HOME)
    assert caught.value.reason == "credential-helper-failed"
    assert "word" not in str(caught.value)
    files.put("/home/me/.docker/config.json", b"[")
    with pytest.raises(ConfigurationError, match="JSON"):
        store_login("r.example", USER, files, ScriptedRunner({}), HOME)
    with pytest.raises(ConfigurationError) as nowhere:
        store_login("r.example", USER, files, ScriptedRunner({}), {})
    assert nowhere.value.reason == "no-home"
