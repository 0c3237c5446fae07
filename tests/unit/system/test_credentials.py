from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import UnavailableError, UsageError
from apkiln.core.secret import Secret
from apkiln.system.credentials import (
    Credentials,
    certificate_for,
    parse_client_certificates,
    parse_http_auth,
    parse_netrc,
)
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.network import credentials_of, open_transfer
from apkiln.system.urls import encode, endpoint_of, local_path, redirected, split_user


def shown(credentials: Credentials, url: str) -> str:
    header = credentials.header_for(endpoint_of(url))
    kind, _, value = header.partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else value


@pytest.mark.parametrize(
    ("entry", "url", "expected"),
    [
        ("basic:host.example:user:word", "https://host.example/x", "user:word"),
        ("basic:HOST.example:user:pass:with:colons", "https://host.example/x", "user:pass:with:colons"),
        ("basic:host.example:8443:user:wo:rd", "https://host.example:8443/x", "user:wo:rd"),
        ("basic:host.example:8443:user:word", "https://host.example/x", ""),
        ("basic:host.example:user:", "https://host.example/x", "user:"),
        ("basic:host.example:user:word", "https://other.example/x", ""),
        ("basic:host.example:user:word", "https://sub.host.example/x", ""),
        ("bearer:host.example:token:1", "https://host.example/x", "token:1"),
        ("basic:a.example:u:p\n\nbasic:host.example:user:word\n", "https://host.example/x", "user:word"),
    ],
)
def test_http_auth(entry: str, url: str, expected: str) -> None:
    assert shown(Credentials(parse_http_auth(entry)), url) == expected


@pytest.mark.parametrize("entry", ["basic", "basic:host", "basic:host:user", "digest:host:user:word", "basic::user:word", "word"])
def test_a_bad_entry_is_named_by_its_number_only(entry: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_http_auth(f"basic:host.example:user:word\n{entry}")
    assert (caught.value.reason, caught.value.origin.line) == ("bad-http-auth", 2)
    assert entry not in str(caught.value) or entry == "word"


NETRC = """
# a comment with machine fake login x password y
machine host.example
  login me   password "with space \\\\"
macdef init
machine macro.example login no password no

machine other.example login you account z password two
default login any password all
machine late.example login late password late
"""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("host.example", "me:with space \\\\"),
        ("other.example", "you:two"),
        ("macro.example", "any:all"),
        ("late.example", "late:late"),
    ],
)
def test_netrc(host: str, expected: str) -> None:
    assert shown(Credentials(parse_netrc(NETRC)), f"https://{host}/") == expected


@given(st.text())
def test_any_text_is_some_netrc(text: str) -> None:
    parse_netrc(text)


def test_the_environment_comes_before_netrc() -> None:
    files = MemoryFiles(
        {"/home/me/.netrc": b"machine host.example login netrc password x", "/other": b"default login d password d"}
    )
    environment = {"HOME": "/home/me", "HTTP_AUTH": "basic:host.example:env:x"}
    assert shown(credentials_of(environment, files), "https://host.example/") == "env:x"
    assert shown(credentials_of({"HOME": "/home/me"}, files), "https://host.example/") == "netrc:x"
    assert shown(credentials_of({"HOME": "/home/me", "NETRC": "/other"}, files), "https://host.example/") == "d:d"
    assert shown(credentials_of({"HOME": "/nowhere"}, files), "https://host.example/") == ""
    with pytest.raises(UnavailableError):
        credentials_of({"NETRC": "/absent"}, files)


def test_secrets_print_as_stars() -> None:
    assert "word" not in repr(parse_http_auth("basic:host.example:user:word"))


@pytest.mark.parametrize(
    ("location", "path"),
    [("/a/b", "/a/b"), ("rel/x", "rel/x"), ("file:///a%20b", "/a b"), ("file://localhost/a", "/a"), ("FILE:///a", "/a")],
)
def test_local_places(location: str, path: str) -> None:
    assert local_path(location) == path


@pytest.mark.parametrize("location", ["https://host/a", "ftp://host/a", "file://remote/a"])
def test_places_elsewhere(location: str) -> None:
    assert local_path(location) is None


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_encoding_keeps_what_is_encoded_already(path: str) -> None:
    once = encode("https://host.example/" + path.replace("?", "").replace("#", "").replace("%", "").replace("\\", ""))
    assert encode(once) == once
    assert once.isascii()
    assert "+" not in once and "~" not in once


def test_user_parts_are_decoded_and_removed() -> None:
    clean, user = split_user("https://me%40x:p%3Aw@host.example:8443/a@b")
    assert clean == "https://host.example:8443/a@b"
    assert user == ("me@x", Secret("p:w"))
    assert split_user("https://host.example/a@b") == ("https://host.example/a@b", None)


def test_redirect_targets_lose_user_and_fragment() -> None:
    assert redirected("https://host.example/a/b", "../c#d") == "https://host.example/c"
    assert redirected("https://host.example/a", "https://me:secret@other.example/") == "https://other.example/"


def test_an_offline_process_reads_local_files_and_nothing_else() -> None:
    transfer = open_transfer({}, MemoryFiles({"/repo/x": b"content"}), offline=True)
    received = bytearray()
    for location in ("/repo/x", "file:///repo/x"):
        assert transfer.fetch(location, received.extend, limit=100).size == 7
    assert received == b"contentcontent"
    for location, reason in (
        ("https://host.example/x", "offline"),
        ("ftp://host.example/x", "unsupported-url"),
        ("/absent", "missing-file"),
    ):
        with pytest.raises(UnavailableError) as caught:
            transfer.fetch(location, received.extend, limit=100)
        assert caught.value.reason == reason


def test_credentials_are_read_with_the_first_request() -> None:
    transfer = open_transfer({"HTTP_AUTH": "nonsense"}, MemoryFiles())
    with pytest.raises(UsageError) as caught:
        transfer.fetch("https://host.example/x", bytearray().extend, limit=100)
    assert caught.value.reason == "bad-http-auth"


def test_client_certificates_are_for_their_host_and_tls_only() -> None:
    text = "HOST.example=/c.pem, /k.pem\n\nother.example:8443=/both.pem\n"
    certificates = parse_client_certificates(text)
    found = {url: certificate_for(certificates, endpoint_of(url)) for url in (
        "https://host.example/x", "https://host.example:444/x", "http://host.example/x", "https://other.example/",
        "https://other.example:8443/", "https://sub.host.example/",
    )}  # fmt: skip
    assert [item and (item.certificate, item.key) for item in found.values()] == [
        ("/c.pem", "/k.pem"), ("/c.pem", "/k.pem"), None, None, ("/both.pem", ""), None,
    ]  # fmt: skip


@pytest.mark.parametrize("entry", ["host", "=/c.pem", "host=", "host:x=/c.pem", "host=,/k.pem"])
def test_a_bad_client_certificate_is_named_by_its_line(entry: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_client_certificates(f"host=/c.pem\n{entry}")
    assert (caught.value.reason, caught.value.origin.line) == ("bad-client-certificate", 2)
