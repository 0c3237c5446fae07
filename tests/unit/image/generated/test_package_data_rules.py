"""Accounts, alternatives and trust stores that packages ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from apkiln.core.errors import ApkilnError, ConflictError, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.java_keystore import read_keystore
from apkiln.image.configuration.model import NamedContent
from apkiln.image.generated.alternatives import alternatives
from apkiln.image.generated.certificates import BUNDLES, DIRECTORY, certificates
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.java_trust import java_trust_store
from apkiln.image.generated.memory_tree import MemoryTree, Shipped
from apkiln.image.generated.package_accounts import package_accounts

PASSWD = b"root:x:0:0::/root:/bin/sh\n"
GROUP = b"root:x:0:\nadm:x:4:\n"


def draft_of(files: Mapping[str, bytes | str]) -> Draft:
    shipped: dict[str, Shipped] = {}
    for path, content in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            shipped.setdefault(directory, Shipped(Entry(directory, EntryType.DIRECTORY, 0o755)))
        link = isinstance(content, str)
        entry = (
            Entry(path, EntryType.SYMLINK, 0o777, target=str(content)) if link else Entry(path, EntryType.FILE, size=len(content))
        )
        shipped[path] = Shipped(
            entry, path.rpartition("/")[2].removesuffix(".json"), b"" if isinstance(content, str) else content
        )
    return Draft(MemoryTree(shipped.values()))


def asking(kind: str, **packages: Any) -> dict[str, bytes | str]:
    return {f"usr/share/apkiln/{kind}/{name}.json": json.dumps(value).encode() for name, value in packages.items()}


def user(name: str, uid: int, gid: int = 150) -> dict[str, Any]:
    return {"name": name, "uid": uid, "gid": gid, "home": "/srv", "shell": "/bin/false", "comment": "A"}


def test_accounts_are_appended_in_order_of_name() -> None:
    first = {"groups": [{"name": "t", "gid": 150}], "users": [user("t", 151)], "members": [{"user": "t", "group": "adm"}]}
    second = {"groups": [{"name": "b", "gid": 152}, {"name": "t", "gid": 150}], "members": [{"user": "t", "group": "b"}]}
    draft = draft_of({"etc/passwd": PASSWD, "etc/group": GROUP, **asking("accounts", one=first, two=second)})
    package_accounts(draft)
    assert draft.read("etc/passwd") == PASSWD + b"t:x:151:150:A:/srv:/bin/false\n"
    assert draft.read("etc/group") == b"root:x:0:\nadm:x:4:t\nb:x:152:t\nt:x:150:\n"
    assert {node.rule for node in draft.nodes.values()} == {"package-accounts"}


def test_nothing_is_written_when_nobody_asks() -> None:
    draft = draft_of({"etc/passwd": PASSWD, "etc/group": GROUP})
    for rule in (package_accounts, alternatives, lambda given: java_trust_store(given, 0)):
        rule(draft)
    assert not draft.nodes


@pytest.mark.parametrize(
    "users", [[user("t", 150), user("u", 150)], [user("root", 5)], [user("t", 150)] * 1 + [user("t", 151)], [user("x", 0)]]
)
def test_numbers_that_contradict(users: list[dict[str, Any]]) -> None:
    draft = draft_of({"etc/passwd": PASSWD, "etc/group": GROUP, **asking("accounts", one={"users": users})})
    with pytest.raises(ApkilnError) as caught:
        package_accounts(draft)
    assert isinstance(caught.value, (ConflictError, FormatError))
    assert caught.value.origin.package == "one"


HOSTILE = [
    ("accounts", {"users": [user("a:b", 150)]}),
    ("accounts", {"users": [user("a\nroot", 150)]}),
    ("accounts", {"users": [{**user("a", 150), "uid": "0"}]}),
    ("accounts", {"users": [{**user("a", 150), "uid": True}]}),
    ("accounts", {"users": [user("a", 65534)]}),
    ("accounts", {"groups": [{"name": "a", "gid": 0}]}),
    ("accounts", {"groups": {}}),
    ("accounts", []),
    ("accounts", {"members": ["a"]}),
    ("alternatives", {"alternatives": [{"link": "/a/../b", "name": "t", "path": "/usr/bin/t", "priority": 1}]}),
    ("alternatives", {"alternatives": [{"link": "a", "name": "t", "path": "/usr/bin/t", "priority": 1}]}),
    ("alternatives", {"alternatives": [{"link": "/a", "name": "../t", "path": "/usr/bin/t", "priority": 1}]}),
    ("alternatives", {"alternatives": [{"link": "/a", "name": "t", "path": "/usr/bin/t", "priority": "1"}]}),
    ("alternatives", {"alternatives": [{"link": "/a", "name": "t", "path": "/usr/bin/t", "priority": 1, "slaves": [{}]}]}),
    ("image-steps", {"steps": ["format-disk"]}),
    ("image-steps", {}),
]


@pytest.mark.parametrize(("kind", "value"), HOSTILE)
def test_what_packages_may_not_ask(kind: str, value: Any) -> None:
    draft = draft_of({"usr/bin/t": b"", "etc/passwd": PASSWD, **asking(kind, bad=value)})
    with pytest.raises(FormatError) as caught:
        package_accounts(draft)
        alternatives(draft)
        java_trust_store(draft, 0)
    assert (caught.value.reason, caught.value.origin.package) == ("package-data", "bad")


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}" + b" " * (1 << 20)])
def test_files_that_are_no_objects(content: bytes) -> None:
    with pytest.raises(FormatError):
        package_accounts(draft_of({"usr/share/apkiln/accounts/x.json": content}))


def offer(path: str, priority: int, **slaves: str) -> dict[str, Any]:
    rows = [{"link": f"/usr/share/{name}", "name": name, "path": target} for name, target in slaves.items()]
    return {"alternatives": [{"link": "/usr/bin/t", "name": "t", "path": path, "priority": priority, "slaves": rows}]}


def links(draft: Draft) -> dict[str, str]:
    return {path: node.entry.target for path, node in draft.nodes.items() if node.entry.type is EntryType.SYMLINK}


def test_the_highest_priority_wins() -> None:
    asked = asking(
        "alternatives", low=offer("/usr/bin/a", 10), high=offer("/usr/bin/b", 20, man="/usr/share/b.1", no="/usr/share/none"),
        gone=offer("/usr/bin/none", 99), equal=offer("/usr/bin/c", 20),
    )  # fmt: skip
    draft = draft_of({"usr/bin/a": b"", "usr/bin/b": b"", "usr/bin/c": b"", "usr/share/b.1": b"", **asked})
    alternatives(draft)
    assert links(draft) == {
        "usr/bin/t": "/etc/alternatives/t", "etc/alternatives/t": "/usr/bin/b",
        "usr/share/man": "/etc/alternatives/man", "etc/alternatives/man": "/usr/share/b.1",
    }  # fmt: skip


def test_a_file_in_the_way_stays() -> None:
    draft = draft_of({"usr/bin/a": b"", "usr/bin/t": b"own", **asking("alternatives", x=offer("/usr/bin/a", 10))})
    alternatives(draft)
    assert not draft.nodes and len(draft.notices) == 1


def test_the_trust_store_of_java(authority: Callable[[str], bytes]) -> None:
    one, two = authority("One"), authority("Two")
    files: dict[str, bytes | str] = {"etc/ssl/certs/ca-certificates.crt": one + two + one}
    java_trust_store(draft := draft_of(files), 7)
    assert not draft.nodes
    asked = asking("image-steps", java={"steps": ["java-certificates"]})
    java_trust_store(draft := draft_of({**files, **asked}), 7)
    entries = read_keystore(draft.read("etc/ssl/certs/java/cacerts"))
    assert len(entries) == 2 and [entry.alias for entry in entries] == sorted(entry.alias for entry in entries)
    java_trust_store(draft := draft_of({**files, **asked, "etc/ssl/certs/java/cacerts": b"own"}), 7)
    assert not draft.nodes


@pytest.fixture
def authority() -> Callable[[str], bytes]:
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    def make(name: str) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, datetime(2020, 1, 1), datetime(2040, 1, 1))
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    return make


def test_an_expired_certificate_is_remarked_on_with_its_place_and_added(authority: Callable[[str], bytes]) -> None:
    pem = authority("old")
    own = f"{DIRECTORY}/corp.crt"
    files: dict[str, bytes | str] = {BUNDLES[0]: b"", own: pem}
    wanted = [NamedContent("company", pem.decode(), Origin("image.yaml", 9, 7))]
    after, before = 2_300_000_000, 1_700_000_000  # it is valid from 2020 to 2040
    draft = draft_of(files)
    certificates(draft, wanted, [own], after)
    assert draft.notices == [
        "image.yaml:9:7: certificate `company` has expired: it was valid until 2040-01-01",
        f"certificate `/{own}` of corp.crt has expired: it was valid until 2040-01-01",
    ]
    assert draft.read(BUNDLES[0]).count(b"BEGIN CERTIFICATE") == 2
    certificates(fresh := draft_of(files), wanted, [own], before)
    assert fresh.notices == []
