"""Roots as image definitions, and who steps run as."""

from __future__ import annotations

import pytest

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.building.guest import GuestTrees, decode_trees, encode_trees, names_by_number
from apkiln.package.building.guest_request import GuestSources, Identity, guest_configuration, identity_of
from apkiln.package.building.session import DEFAULT_CAPABILITIES, capabilities_of
from apkiln.package.definition.model import NOWHERE, Accounts, Capabilities, Contents, Environment, Group, User

USERS = (User("build", 1000, 1000), User("nonroot", 12345, 12346), User("bare", 777))


def environment(run_as: str = "", **contents: tuple[str, ...]) -> Environment:
    texts = {name: tuple(Text(text, NOWHERE) for text in found) for name, found in contents.items()}
    return Environment(Contents(**texts), (), Accounts(run_as, USERS, (Group("build", 1000, ("build",)),)))


@pytest.mark.parametrize(
    ("run_as", "expected"),
    [
        ("", Identity(0, 0)),
        ("root", Identity(0, 0)),
        ("0", Identity(0, 0)),
        ("build", Identity(1000, 1000)),
        ("nonroot", Identity(12345, 12346)),
        ("12345", Identity(12345, 12346)),
        ("bare", Identity(777, 777)),
        ("4242", Identity(4242, 4242)),
    ],
)
def test_run_as_gives_user_and_group(run_as: str, expected: Identity) -> None:
    assert identity_of(environment(run_as)) == expected


def test_an_undeclared_name_is_a_fault() -> None:
    with pytest.raises(ConfigurationError) as caught:
        identity_of(environment("stranger"))
    assert caught.value.reason == "unknown-user" and "nonroot" in caught.value.hint


def test_repositories_of_the_command_line_come_last_and_once() -> None:
    wanted = environment(repositories=("https://a.example/os/",), build_repositories=("https://b.example",), packages=("x", "y"))
    sources = GuestSources(("https://a.example/os/", "./local"), ("k1.pub", "k1.pub"))
    found = guest_configuration(wanted, sources, Arch.parse("x86_64"))
    assert [item.text for item in found.contents.repositories] == ["https://b.example", "https://a.example/os", "./local"]
    assert [item.location for item in found.contents.keyring] == ["k1.pub"]
    assert [item.text for item in found.contents.packages] == ["x", "y"]
    assert [user.username for user in found.accounts.users] == ["build", "nonroot", "bare"]


def test_capabilities_are_added_and_dropped_in_any_spelling() -> None:
    found = capabilities_of(Capabilities(("CAP_NET_ADMIN", "sys_admin"), ("CAP_CHOWN", "mknod")))
    assert "CAP_NET_ADMIN" in found and "CAP_SYS_ADMIN" in found
    assert "CAP_CHOWN" not in found and "CAP_MKNOD" not in found
    assert len(found) == len(DEFAULT_CAPABILITIES)


def test_what_is_no_capability_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        capabilities_of(Capabilities(("CAP_FLY",)))
    assert caught.value.reason == "unknown-capability"


def test_the_stored_form_of_a_root_comes_back() -> None:
    trees = GuestTrees(("root-1", "package-2"), ((0, "root"), (1000, "build")), ((0, "root"),), "/bin/bash", True)
    assert decode_trees(encode_trees(trees)) == trees


def test_names_are_those_of_lines_that_have_a_number_first_come() -> None:
    text = b"root:x:0:0::/:/bin/sh\ntoor:x:0:0\nbad\nx:y:z\nbuild:x:1000:1000::/home/build:/bin/sh\n:x:5:5\n"
    assert names_by_number(text) == ((0, "root"), (1000, "build"))
