"""Who we are at which registry: auth files, credential helpers, names of repositories, challenges."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ConfigurationError, UnavailableError, UsageError
from apkiln.core.secret import Secret
from apkiln.formats.oci.reference import parse_reference
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.process import Completed, ScriptedRunner
from apkiln.system.registry_addresses import is_loopback, scheme_for
from apkiln.system.registry_challenges import Challenge, choose_challenge, parse_challenges
from apkiln.system.registry_logins import ANONYMOUS, FileLogins, Login, auth_file_paths, parse_auth_file
from apkiln.system.registry_names import RepositoryName, repository_of
from apkiln.system.urls import UserPart

HUB = "https://index.docker.io/v1/"


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def user(name: str, password: str) -> Login:
    return Login(UserPart(name, Secret(password)))


def logins(files: dict[str, Any], environment: dict[str, str] | None = None, **helpers: Completed) -> FileLogins:
    answers: dict[tuple[str, ...], Completed] = {
        (f"docker-credential-{name}", "get"): completed for name, completed in helpers.items()
    }
    memory = MemoryFiles({path: json.dumps(document).encode() for path, document in files.items()})
    settings = environment or {"HOME": "/home/me"}
    return FileLogins(auth_file_paths(settings), memory, ScriptedRunner(answers), settings)


def login(found: FileLogins, reference: str) -> Login:
    return found.login_for(repository_of(parse_reference(reference)))


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        ("host.example", "host.example/team/app"),
        ("HOST.example", "host.example/team/app"),
        ("https://host.example", "host.example/team/app"),
        ("https://host.example/v1/", "host.example/team/app"),
        ("http://host.example/v2", "host.example/team/app"),
        ("host.example/team", "host.example/team/app"),
        ("host.example/team/app", "host.example/team/app"),
        ("host.example:5000", "host.example:5000/app"),
        (HUB, "app"),
        ("docker.io", "me/app"),
        ("index.docker.io", "registry-1.docker.io/me/app"),
    ],
)
def test_keys_of_auth_files(key: str, reference: str) -> None:
    assert login(logins({"/home/me/.docker/config.json": {"auths": {key: auth("me:pass:word")}}}), reference) == user(
        "me", "pass:word"
    )


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        ("host.example", "host.example:5000/app"),
        ("host.example", "sub.host.example/app"),
        ("host.example/tea", "host.example/team/app"),
        ("host.example/team/app/more", "host.example/team/app"),
        ("example", "host.example/app"),
        (HUB, "host.example/app"),
    ],
)
def test_keys_that_do_not_fit(key: str, reference: str) -> None:
    assert login(logins({"/home/me/.docker/config.json": {"auths": {key: auth("me:word")}}}), reference) == ANONYMOUS


def test_the_longest_path_wins_and_the_first_file_that_knows() -> None:
    podman = {"auths": {"host.example/team": auth("team:1"), "host.example": auth("all:2"), "empty.example": {}}}
    docker = {"auths": {"host.example/team/app": auth("never:3"), "other.example": auth("other:4"), "empty.example": auth("e:5")}}
    found = logins(
        {"/run/me/containers/auth.json": podman, "/home/me/.docker/config.json": docker},
        {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/me"},
    )
    assert login(found, "host.example/team/app") == user("team", "1")
    assert login(found, "host.example/x") == user("all", "2")
    assert login(found, "other.example/x") == user("other", "4")
    assert login(found, "empty.example/x") == user("e", "5")


def test_places_of_auth_files() -> None:
    everything = {"HOME": "/h", "DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"}
    assert [str(path) for path in auth_file_paths(everything)] == [
        "/d/config.json",
        "/r/containers/auth.json",
        "/c/containers/auth.json",
        "/h/.docker/config.json",
    ]
    assert [str(path) for path in auth_file_paths(everything | {"REGISTRY_AUTH_FILE": "/only"})] == ["/only"]
    assert auth_file_paths({}) == ()


def test_tokens_in_auth_files() -> None:
    entries = {"a.example": {"identitytoken": "refresh", "auth": ""}, "b.example": {"registrytoken": "bearer"}}
    found = logins({"/home/me/.docker/config.json": {"auths": entries}})
    assert login(found, "a.example/x") == Login(identity_token=Secret("refresh"))
    assert login(found, "b.example/x") == Login(registry_token=Secret("bearer"))


def helper_says(**value: str) -> Completed:
    return Completed(0, json.dumps(value).encode(), b"")


def test_helpers_of_a_host_and_for_all() -> None:
    document = {
        "auths": {"filed.example": auth("filed:1"), "stored.example": {}},
        "credHelpers": {"own.example": "own", HUB: "hub"},
        "credsStore": "store",
    }
    found = logins(
        {"/home/me/.docker/config.json": document},
        own=helper_says(ServerURL="x", Username="own", Secret="not found"),
        hub=helper_says(Username="<token>", Secret="refresh"),
        store=helper_says(Username="stored", Secret="3"),
    )
    assert login(found, "own.example/x") == user("own", "not found")
    assert login(found, "app") == Login(identity_token=Secret("refresh"))
    assert login(found, "filed.example/x") == user("filed", "1")
    assert login(found, "stored.example/x") == user("stored", "3")
    asked = [command.stdin for command in found._runner.commands]  # type: ignore[attr-defined]
    assert asked == [b"own.example", HUB.encode(), b"stored.example"]


def test_a_helper_that_knows_nothing_and_helpers_that_fail() -> None:
    document = {"credHelpers": {f"{name}.example": name for name in ("none", "fails", "nonsense", "absent")}}
    found = logins(
        {"/home/me/.docker/config.json": document},
        none=Completed(1, b"credentials not found in native keychain\n", b""),
        fails=Completed(2, b"a-secret-word", b"a-secret-word"),
        nonsense=Completed(0, b'{"Username": 3, "Secret": "a-secret-word"}', b""),
    )
    assert login(found, "none.example/x") == ANONYMOUS
    for name in ("fails", "nonsense"):
        with pytest.raises(UnavailableError) as caught:
            login(found, f"{name}.example/x")
        assert caught.value.reason == "credential-helper-failed"
        assert "a-secret-word" not in repr((str(caught.value), caught.value.details, caught.value.hint))
    with pytest.raises(Exception, match="docker-credential-absent"):
        login(found, "absent.example/x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"auths":[]}',
        b'{"auths":{"a":3}}',
        b'{"auths":{"a":{"auth":3}}}',
        b'{"auths":{"a":{"auth":"word"}}}',
        b'{"auths":{"a":{"auth":"/w=="}}}',
        b'{"credHelpers":{"a":"../x"}}',
        b'{"credsStore":"a b"}',
        b'{"credsStore":["word"]}',
    ],
)
def test_bad_auth_files_are_named_and_not_shown(content: bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_auth_file(content, "/auth.json")
    assert (caught.value.reason, caught.value.origin.source) == ("bad-auth-file", "/auth.json")
    assert "word" not in str(caught.value)


def test_logins_print_no_secrets() -> None:
    text = repr(Login(UserPart("me", Secret("hidden")), Secret("hidden"), Secret("hidden")))
    assert "hidden" not in text


# Names


@pytest.mark.parametrize(
    ("reference", "host", "path"),
    [
        ("app", "docker.io", "library/app"),
        ("me/app:1", "docker.io", "me/app"),
        ("docker.io/app", "docker.io", "library/app"),
        ("index.docker.io/me/app", "docker.io", "me/app"),
        ("localhost/app", "localhost", "app"),
        ("LocalHost.example/app", "localhost.example", "app"),
        ("host:5000/a/b", "host:5000", "a/b"),
        ("[::1]:5000/a", "[::1]:5000", "a"),
    ],
)
def test_names_of_repositories(reference: str, host: str, path: str) -> None:
    assert repository_of(parse_reference(reference)) == RepositoryName(host, path)


def test_the_hub_is_reached_under_another_name() -> None:
    assert repository_of(parse_reference("app")).api_host == "registry-1.docker.io"


@pytest.mark.parametrize("reference", ["Host/app", "host.example/App"])
def test_names_that_are_none(reference: str) -> None:
    with pytest.raises(UsageError):
        repository_of(parse_reference(reference))


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("localhost", "http"),
        ("localhost:5000", "http"),
        ("a.localhost:80", "http"),
        ("127.0.0.1:1", "http"),
        ("127.8.9.1", "http"),
        ("[::1]:5000", "http"),
        ("10.0.0.1", "https"),
        ("192.168.1.1:5000", "https"),
        ("localhost.example", "https"),
        ("127.0.0.1.example", "https"),
        ("plain.example:80", "http"),
        ("named.example:99", "http"),
        ("plain.example:81", "https"),
    ],
)
def test_plain_http_is_for_the_loopback_device_or_asked_for(host: str, scheme: str) -> None:
    assert scheme_for(host, frozenset({"plain.example:80", "named.example"})) == scheme


def test_loopback_names() -> None:
    assert is_loopback("localhost.") and is_loopback("::ffff:127.0.0.1") and not is_loopback("0.0.0.0")


# Challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ('Basic realm="x"', (Challenge("basic", (("realm", "x"),)),)),
        (
            'Bearer realm="https://a/t?x=1,2",service="s, \\"q\\"",scope=repository:a:pull',
            (Challenge("bearer", (("realm", "https://a/t?x=1,2"), ("service", 's, "q"'), ("scope", "repository:a:pull"))),),
        ),
        ('Negotiate, Basic Realm = "x"', (Challenge("negotiate", ()), Challenge("basic", (("realm", "x"),)))),
        ('realm="alone"', ()),
        ('Basic realm="open', (Challenge("basic", (("realm", '"open'),)),)),
    ],
)
def test_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    if header.endswith("open"):
        assert [item.scheme for item in parse_challenges(header)][:1] == ["basic"]
    else:
        assert parse_challenges(header) == expected


def test_bearer_comes_before_basic() -> None:
    found = choose_challenge('Basic realm="a", Bearer realm="b"')
    assert found == Challenge("bearer", (("realm", "b"),))
    assert choose_challenge('Digest realm="a"') is None


@given(st.text())
def test_any_header_is_some_challenge(header: str) -> None:
    parse_challenges(header)


_WORD = st.text("abcdefghijklmnop-", min_size=1, max_size=8)


@given(st.lists(st.tuples(_WORD, st.lists(st.tuples(_WORD, st.text(st.characters(min_codepoint=32, max_codepoint=126)))))))
def test_challenges_are_read_as_they_are_written(items: list[tuple[str, list[tuple[str, str]]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(scheme + " " + ", ".join(f"{name}={quoted(value)}" for name, value in rows) for scheme, rows in items)
    assert (
        parse_challenges(header[:8192]) == tuple(Challenge(scheme, tuple(rows)) for scheme, rows in items) or len(header) > 8192
    )
