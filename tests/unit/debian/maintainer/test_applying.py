"""Steps on a tree, the numbers of accounts, certificate authorities, override files, documentation split off."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, ConfigurationError, FaultGroup, InputError
from apkiln.debian.accounts import (
    AccountNumber,
    AccountRegistry,
    WantedAccounts,
    read_accounts,
    wanted_accounts,
    write_accounts,
)
from apkiln.debian.applying import apply_steps, encode_capabilities
from apkiln.debian.certificates import certificate_files
from apkiln.debian.documentation import split_documentation
from apkiln.debian.file_tree import FileTree, build_tree, in_package_order
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.override_file import NO_OVERRIDES, read_overrides
from apkiln.formats.archive.entry import Entry, EntryType


def applied(tree: FileTree, *steps: Step, accounts: AccountRegistry | None = None) -> dict[str, Entry]:
    result = apply_steps(tree, steps, accounts or AccountRegistry(), 9, "tool")
    assert in_package_order(result.entries)
    return {entry.path: entry for entry in result.entries}


def generated(tree: FileTree, path: str, *steps: Step, accounts: AccountRegistry | None = None) -> object:
    return json.loads(apply_steps(tree, steps, accounts or AccountRegistry(), 9, "tool").contents[path])


def test_files_and_directories(tree: FileTree) -> None:
    found = applied(
        tree,
        Step("directory", ("var/lib/tool", "2750")),
        Step("owner", ("var/lib/tool", "www-data", "adm")),
        Step("file", ("etc/new/x", "600", "text")),
        Step("copy", ("usr/share/tool/default", "etc/default/tool")),
        Step("link", ("etc/l", "/bin/tool")),
        Step("mode", ("usr/bin/tool", "4755")),
        Step("remove", ("var/log/tool",)),
        Step("move", ("usr/share/tool/a.hook", "etc/hook")),
    )
    lib = found["var/lib/tool"]
    assert (lib.mode, lib.uid, lib.gid, lib.uname, lib.gname) == (0o2750, 33, 4, "www-data", "adm")
    assert (found["etc/new/x"].mode, found["etc/new/x"].size, found["etc/new"].mode) == (0o600, 4, 0o755)
    assert found["etc/default/tool"].size == 2
    assert found["etc/l"].target == "/usr/bin/tool"
    assert found["usr/bin/tool"].mode == 0o4755
    assert "var/log/tool" not in found and "var/log/tool/old" not in found and "var/log" in found
    assert "usr/share/tool/a.hook" not in found and found["etc/hook"].type is EntryType.FILE


def test_a_file_that_changes_hands_loses_setuid(tree: FileTree) -> None:
    found = applied(tree, Step("mode", ("usr/bin/tool", "4755")), Step("owner", ("usr/bin/tool", "", "adm")))
    assert (found["usr/bin/tool"].mode, found["usr/bin/tool"].gid) == (0o755, 4)


def test_names_joined_by_hard_links_change_together() -> None:
    members = [
        (Entry("usr/a", EntryType.FILE, 0o644, size=1), b"x"),
        (Entry("usr/b", EntryType.HARDLINK, 0o644, target="usr/a"), b""),
    ]
    found = applied(build_tree(members, "tool", 9), Step("mode", ("usr/b", "600")))
    assert {found["usr/a"].mode, found["usr/b"].mode} == {0o600}


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step("mode", ("usr/none", "600")), "step-path"),
        (Step("copy", ("usr/share/tool", "etc/x")), "step-path"),
        (Step("owner", ("usr/bin/tool", "nobody-knows", "")), "unknown-account"),
        (Step("capability", ("usr/bin/tool", "cap_fly+ep")), "step-capability"),
        (Step("link", ("usr/share/tool", "x")), "file-conflict"),
    ],
)
def test_steps_that_cannot_be_done(tree: FileTree, step: Step, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        applied(tree, step)
    assert caught.value.reason == reason


def test_what_the_image_is_told(tree: FileTree) -> None:
    accounts = AccountRegistry([AccountNumber("user", "t", 150), AccountNumber("group", "t", 151)])
    steps = (Step("group", ("t",)), Step("user", ("t", "", "t", "/srv", "/bin/false", "A tool")), Step("member", ("t", "adm")))
    assert generated(tree, "usr/share/apkiln/accounts/tool.json", *steps, accounts=accounts) == {
        "groups": [{"name": "t", "gid": 151}],
        "users": [{"name": "t", "uid": 150, "gid": 151, "home": "/srv", "shell": "/bin/false", "comment": "A tool"}],
        "members": [{"user": "t", "group": "adm"}],
    }
    alternative = Step("alternative", ("/usr/bin/t", "t", "/usr/bin/tool", "50", "/usr/bin/s", "s", "/usr/bin/tools"))
    assert generated(tree, "usr/share/apkiln/alternatives/tool.json", alternative) == {
        "alternatives": [
            {
                "link": "/usr/bin/t", "name": "t", "path": "/usr/bin/tool", "priority": 50,
                "slaves": [{"link": "/usr/bin/s", "name": "s", "path": "/usr/bin/tools"}],
            }
        ]
    }  # fmt: skip
    preset = apply_steps(tree, [Step("service", ("b.service", "system")), Step("service", ("a", "system"))], accounts, 9, "tool")
    assert preset.contents["usr/lib/systemd/system-preset/90-tool.preset"] == b"enable a\nenable b.service\n"


def test_capabilities() -> None:
    assert encode_capabilities("cap_net_bind_service=+ep") == struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    assert encode_capabilities("CAP_NET_RAW=+ep") == encode_capabilities("cap_net_raw+ep")
    assert encode_capabilities("cap_perfmon,cap_chown+pi") == struct.pack("<5I", 0x02000000, 1, 1, 1 << 6, 1 << 6)


def test_numbers_never_move() -> None:
    first = AccountRegistry()
    first.assign([WantedAccounts((("redis", -1),), (("redis", -1), ("ssl-cert", -1)))])
    assert (first.user("redis"), first.group("redis"), first.group("ssl-cert")) == (101, 101, 102)
    second = AccountRegistry(read_accounts(write_accounts(first.rows()), "x"))
    second.assign([WantedAccounts((("adm-user", -1), ("redis", -1)), (("adm-user", -1), ("z", 150)))])
    assert (second.user("redis"), second.user("adm-user"), second.group("adm-user")) == (101, 103, 103)
    assert second.group("z") == 150
    assert set(first.rows()) <= set(second.rows())


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.booleans()), max_size=20))
def test_no_number_is_given_twice(wanted: list[tuple[str, bool, bool]]) -> None:
    registry = AccountRegistry()
    for name, user, group in wanted:
        registry.assign([WantedAccounts(((name, -1),) if user else (), ((name, -1),) if group else ())])
    for kind in ("user", "group"):
        numbers = [row.number for row in registry.rows() if row.kind == kind]
        assert len(set(numbers)) == len(numbers) and all(100 <= number <= 999 for number in numbers)
    assert AccountRegistry(registry.rows()).rows() == registry.rows()


def test_registries_that_contradict_themselves() -> None:
    for rows in (
        [AccountNumber("user", "a", 100), AccountNumber("user", "b", 100)],
        [AccountNumber("user", "root", 5)],
        [AccountNumber("tribe", "a", 100)],
    ):
        with pytest.raises(InputError) as caught:
            AccountRegistry(rows)
        assert caught.value.reason == "account-number"
    with pytest.raises(InputError):
        AccountRegistry().assign([WantedAccounts((("a", 33),), ())])
    for line in (b"{", b'{"kind":"user","name":"a"}', b'{"kind":"user","name":"a","number":"1"}'):
        with pytest.raises(ApkilnError) as syntax:
            read_accounts(b"\n" + line, "x")
        assert (syntax.value.reason, syntax.value.origin.line) == ("account-syntax", 2)


def test_accounts_that_steps_name() -> None:
    steps = [Step("owner", ("x", "redis", "adm")), Step("user", ("t", "120", "tg", "/", "/", "")), Step("owners", ("x", "7", ""))]
    assert wanted_accounts(steps) == WantedAccounts((("redis", -1), ("t", 120)), (("tg", -1),))


def test_override_files() -> None:
    text = b"""
scripts:
  tool:
    postinst:
      source_sha256: [%s]
      reason: read
      steps:
        - certificates
        - directory: [etc/a, "0755"]
alternatives:
  tool:
    "a (>= 1) |  b": b
keep: [dpkg]
drop: [x]
acknowledged:
  - {package: p, path: usr/x, reason: r}
licences: {tool: MIT}
priorities: {mawk: 10}
""" % (b"a" * 64)
    found = read_overrides([("one", text), ("two", b"licences: {tool: ISC}\nkeep: [ucf]")])
    assert [(item.package, item.script, item.digests, item.steps) for item in found.scripts] == [
        ("tool", "postinst", ("a" * 64,), (Step("certificates", ()), Step("directory", ("etc/a", "0755"))))
    ]
    assert found.alternatives == (("tool", "a (>= 1) | b", "b"),)
    assert (found.keep, found.drop, found.licences, found.priorities) == (
        ("dpkg", "ucf"), ("x",), (("tool", "ISC"),), (("mawk", 10),)
    )  # fmt: skip
    assert [item.path for item in found.acknowledged] == ["usr/x"]
    assert read_overrides([]) == NO_OVERRIDES
    assert found.digest != read_overrides([("one", text)]).digest


def test_faults_of_override_files_come_together() -> None:
    text = b"""
scripts:
  tool:
    postinst:
      source_sha256: [short]
      steps:
        - fly: [x]
        - mode: [x]
licenses: {}
"""
    with pytest.raises(FaultGroup) as caught:
        read_overrides([("f", text)])
    assert [(fault.reason, fault.origin.line) for fault in caught.value.faults] == [
        ("unknown-key", 9), ("override-digest", 5), ("step-syntax", 7), ("step-syntax", 8)
    ] or sorted(fault.reason for fault in caught.value.faults) == [
        "override-digest", "step-syntax", "step-syntax", "unknown-key"
    ]  # fmt: skip
    assert all(isinstance(fault, ConfigurationError) and fault.origin.source == "f" for fault in caught.value.faults)


def test_documentation_is_split_off() -> None:
    names = [
        "usr/bin/t",
        "usr/share/doc/t/copyright",
        "usr/share/doc/t/README",
        "usr/share/man/man1/t.1",
        "usr/share/locale/de/t.mo",
    ]
    members = [(Entry(name, EntryType.FILE, size=1), b"x") for name in names]
    members.append((Entry("usr/share/doc/u", EntryType.SYMLINK, target="t"), b""))
    members.append((Entry("usr/share/man/man9", EntryType.DIRECTORY, 0o755), b""))
    tree = build_tree(members, "t", 9)
    main, documentation = split_documentation(tree)
    assert [entry.path for entry in main.entries if entry.type is not EntryType.DIRECTORY] == [
        "usr/bin/t", "usr/share/doc/t/copyright", "usr/share/doc/u"
    ]  # fmt: skip
    assert [entry.path for entry in documentation.entries if entry.type is not EntryType.DIRECTORY] == [
        "usr/share/doc/t/README", "usr/share/locale/de/t.mo", "usr/share/man/man1/t.1"
    ]  # fmt: skip
    assert "usr/share/locale" not in {entry.path for entry in main.entries}
    assert "usr/share/man/man9" in {entry.path for entry in main.entries}
    for part in (main, documentation):
        assert in_package_order(part.entries)
        assert build_tree([(entry, part.contents.get(entry.path, b"")) for entry in part.entries], "t", 9).entries == part.entries
    assert {**main.contents, **documentation.contents} == tree.contents


def test_certificates_of_a_package(authority: bytes) -> None:
    files = dict.fromkeys(("usr/share/ca-certificates/m/B_(x).crt", "usr/share/ca-certificates/m/A.crt"), authority)
    made = {entry.path: (entry, content) for entry, content in certificate_files({**files, "usr/x.crt": b"no"}, 9)}
    links = {path: entry.target for path, (entry, _) in made.items() if entry.type is EntryType.SYMLINK}
    assert links["etc/ssl/certs/B_=x=.pem"] == "/usr/share/ca-certificates/m/B_(x).crt"
    hashed = sorted(path for path in links if path.rpartition(".")[2].isdigit())
    assert [links[path] for path in hashed] == ["A.pem", "B_=x=.pem"]
    assert [path[-2:] for path in hashed] == [".0", ".1"]
    assert made["etc/ssl/certs/ca-certificates.crt"][1] == authority * 2
    assert made["etc/ca-certificates.conf"][1].decode().splitlines()[1:] == ["m/A.crt", "m/B_(x).crt"]


def test_accounts_that_every_system_has_are_not_made_again(tree: FileTree) -> None:
    """systemd declares `root` and `nobody` in sysusers.d: the base layout has them."""
    steps = [Step("group", ("root", "0")), Step("user", ("nobody", "65534", "nogroup", "/", "/usr/sbin/nologin", ""))]
    only = apply_steps(tree, steps, AccountRegistry(), 9, "tool")
    assert "usr/share/apkiln/accounts/tool.json" not in only.contents
    both = generated(tree, "usr/share/apkiln/accounts/tool.json", *steps, Step("group", ("t", "150")))
    assert both == {"groups": [{"name": "t", "gid": 150}], "users": [], "members": []}
