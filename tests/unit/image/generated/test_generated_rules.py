"""Each rule that writes into an image, on small trees and on recorded tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, ConfigurationError, ConflictError, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.elf import ElfFacts
from apkiln.formats.java_keystore import read_keystore, trusted_entry, write_keystore
from apkiln.formats.library_cache import read_cache
from apkiln.image.configuration.model import Accounts, Contents, Entrypoint, Group, NamedContent, RepositoryEntry, User
from apkiln.image.generated.accounts import accounts, homes, numeric_user, read_passwd
from apkiln.image.generated.apk_database import installed_path
from apkiln.image.generated.base import base_directories, database_link, device_nodes
from apkiln.image.generated.busybox import busybox_links, is_busybox
from apkiln.image.generated.certificates import certificate_paths, certificates, parse_certificate
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.keys import build_keys, runtime_keys
from apkiln.image.generated.library_cache import library_cache
from apkiln.image.generated.manifest import manifest
from apkiln.image.generated.memory_tree import MemoryTree, Shipped
from apkiln.image.generated.os_release import os_release
from apkiln.image.generated.presence import remark_on_absence
from apkiln.image.generated.repositories import repositories, repositories_text
from apkiln.image.generated.services import services
from apkiln.image.generated.sidecars import sidecars
from apkiln.image.generated.world import world_text

CONFORMANCE = Path(__file__).resolve().parents[4].parent / "shared" / "conformance"
TABLES = CONFORMANCE / "apko" / "tables"


def table(name: str) -> Any:
    path = TABLES / name
    return json.loads(path.read_text()) if path.exists() else {}


def draft_of(files: Mapping[str, bytes | str | None] = {}) -> Draft:
    """Paths with content (bytes), link text (str) or as a directory (None); parents are made."""
    shipped: dict[str, Shipped] = {}
    for path, content in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            shipped.setdefault(directory, Shipped(Entry(directory, EntryType.DIRECTORY, 0o755)))
        if content is None:
            shipped[path] = Shipped(Entry(path, EntryType.DIRECTORY, 0o755))
        elif isinstance(content, str):
            shipped[path] = Shipped(Entry(path, EntryType.SYMLINK, 0o777, target=content))
        else:
            shipped[path] = Shipped(Entry(path, EntryType.FILE, 0o644, size=len(content), mtime=55), "pkg", content)
    return Draft(MemoryTree(shipped.values()))


# --- base tree -------------------------------------------------------------------------------------------------------


def test_base_tree_of_an_empty_image() -> None:
    draft = draft_of()
    base_directories(draft)
    device_nodes(draft)
    database_link(draft)
    described = {path: (node.entry.type.name, node.entry.mode) for path, node in draft.nodes.items()}
    assert described["tmp"] == ("DIRECTORY", 0o1777)
    assert described["proc"] == ("DIRECTORY", 0o555)
    assert described["dev/console"] == ("CHARACTER", 0o620)
    assert draft.entry("lib/apk") == Entry("lib/apk", EntryType.SYMLINK, 0o777, target="../usr/lib/apk")
    assert draft.entry("dev/null") == Entry("dev/null", EntryType.CHARACTER, 0o666, device=(1, 3))


def test_base_tree_yields_to_packages() -> None:
    draft = draft_of({"proc": "run/proc", "usr/lib/x": b"", "lib": "usr/lib"})
    base_directories(draft)
    database_link(draft)
    assert "proc" not in draft.nodes
    assert "lib/apk" not in draft.nodes, "lib leads to usr/lib already"


def test_files_below_lib_apk_are_refused_and_empty_directories_give_way() -> None:
    with pytest.raises(ConflictError) as caught:
        database_link(draft_of({"lib/apk/extra/f": b"x"}))
    assert caught.value.reason == "directory-not-empty"
    assert caught.value.origin.package == "pkg"
    draft = draft_of({"lib/apk/exec": None})
    database_link(draft)
    assert draft.removed == {"lib/apk/exec"}
    assert draft.children("lib/apk") == ()
    assert draft.children("lib") == ("lib/apk",)


@pytest.mark.parametrize(
    ("shipped", "place"),
    [
        ({}, "usr/lib/apk/db"),
        ({"var/lib/dpkg/status.d/x": b"Package: x"}, "usr/share/apkiln/database"),
        ({"var/lib/dpkg/status.d/x": b"Package: x", "usr/sbin/apk": b""}, "usr/lib/apk/db"),
        ({"var/lib/dpkg/status.d/x": b"Package: x", "usr/lib/apk/db/installed": b""}, "usr/lib/apk/db"),
        ({"var/lib/dpkg/status.d/x": b"Package: x", "lib/apk/db/installed": b""}, "lib/apk/db"),
    ],
)
def test_the_database_of_imported_packages_is_hidden_from_scanners(shipped: dict[str, bytes], place: str) -> None:
    draft = draft_of(shipped)
    base_directories(draft)
    database_link(draft)
    assert draft.entry(place) is not None
    usual = place == "usr/lib/apk/db"
    assert (draft.entry("usr/lib/apk/db") is not None) == usual
    assert (draft.entry("lib/apk") is not None) == (usual or place == "lib/apk/db")
    assert installed_path(draft) == f"{place}/installed"


# --- apk's own files ---------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["b", "A", "a", "B=1", "!c", "d@x"]), max_size=8), st.randoms(use_true_random=False))
def test_world_does_not_depend_on_order(requests: list[str], random: Any) -> None:
    shuffled = list(requests)
    random.shuffle(shuffled)
    assert world_text(requests) == world_text(shuffled)
    assert sorted(world_text(requests).decode().split()) == sorted(set(requests))


def test_world_is_sorted_without_regard_to_case() -> None:
    assert world_text(["b", "A", "a"]) == b"A\na\nb\n"


def test_repositories_keep_order_and_hide_credentials() -> None:
    contents = Contents(
        repositories=(RepositoryEntry("https://u:p@h.example/os"), RepositoryEntry("./local")),
        build_repositories=(RepositoryEntry("https://build.example"),),
        runtime_repositories=(RepositoryEntry("@edge https://u@e.example/x"), RepositoryEntry("./local")),
    )
    draft = draft_of()
    repositories(draft, contents)
    assert draft.read("etc/apk/repositories") == b"https://h.example/os\n./local\n@edge https://e.example/x\n"
    assert repositories_text(()) == b""


def test_runtime_keys() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def pem(key: Any) -> str:
        text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return text.decode()

    good = pem(rsa.generate_private_key(65537, 2048))
    draft = draft_of()
    build_keys(draft, [("b.rsa.pub", b"as fetched")])
    runtime_keys(draft, [NamedContent("a.rsa.pub", "junk before\n" + good)], 99)
    assert draft.read("etc/apk/keys/a.rsa.pub").decode() == good
    assert draft.nodes["etc/apk/keys/a.rsa.pub"].entry.mtime == 99
    assert draft.read("etc/apk/keys/b.rsa.pub") == b"as fetched"
    curve = pem(ec.generate_private_key(ec.SECP256R1()))
    faulty = [("b.rsa.pub", good), ("../x", good), ("c.rsa.pub", "no key"), ("d.rsa.pub", curve)]
    with pytest.raises(ApkilnError) as caught:
        runtime_keys(draft, [NamedContent(name, text, Origin("f", line)) for line, (name, text) in enumerate(faulty, 1)], 0)
    reasons = [fault.reason for fault in caught.value.faults]  # type: ignore[attr-defined]
    assert reasons == ["runtime-key-collides", "runtime-key-name", "runtime-key-invalid", "runtime-key-invalid"]


# --- accounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", table("accounts.json").get("passwd", []), ids=lambda case: case["name"])
def test_recorded_ids(case: Any) -> None:
    user = User("testing", case["user"].get("uid", 0), case["user"].get("gid"))
    if user.uid == 0:
        with pytest.raises(ConfigurationError) as caught:
            accounts(draft_of(), Accounts(users=(user,)))
        assert caught.value.reason == "user-is-root"
        return
    draft = draft_of()
    accounts(draft, Accounts(users=(user,)))
    (found,) = read_passwd(draft.read("etc/passwd"))
    assert (found.uid, found.gid) == (case["passwd_uid"], case["passwd_gid"])


def test_accounts_append_and_keep_what_packages_wrote() -> None:
    draft = draft_of(
        {
            "etc/passwd": b"root:x:0:0:root:/root:/bin/ash",
            "etc/group": b"root:x:0:root\nweb:x:5:\n",
            "etc/shadow": b"root:*::0:::::\n",
        }
    )
    wanted = Accounts(
        users=(User("web", 2000, groups=("web", "root")), User("svc", 7, 8, "/sbin/nologin", "/dev/null")),
        groups=(Group("svc", 8, ("svc", "web")),),
        gshadow=True,
    )
    accounts(draft, wanted)
    homes(draft)
    assert draft.read("etc/passwd") == (
        b"root:x:0:0:root:/root:/bin/ash\n"
        b"web:x:2000:2000:Account created by apko:/home/web:/bin/sh\n"
        b"svc:x:7:8:Account created by apko:/dev/null:/sbin/nologin\n"
    )
    assert draft.read("etc/group") == b"root:x:0:root,web\nweb:x:5:web\nsvc:x:8:svc,web\n"
    assert draft.read("etc/shadow") == b"root:*::0:::::\nweb:!:::::::\nsvc:!:::::::\n"
    assert draft.read("etc/gshadow") == b"svc:!::svc,web\n"
    assert draft.nodes["etc/passwd"].entry.mtime == 55, "a package's file keeps its time"
    assert draft.entry("home/web") == Entry("home/web", EntryType.DIRECTORY, 0o700, 2000, 2000)
    assert draft.entry("home") == Entry("home", EntryType.DIRECTORY, 0o755)
    assert draft.entry("root") == Entry("root", EntryType.DIRECTORY, 0o700)
    assert numeric_user("web", draft.read("etc/passwd")) == "2000"
    assert numeric_user("web:svc", draft.read("etc/passwd")) == "2000:svc"
    assert numeric_user("65532", draft.read("etc/passwd")) == "65532"


def test_without_users_only_an_empty_passwd_is_made() -> None:
    draft = draft_of()
    accounts(draft, Accounts())
    assert {path for path, node in draft.nodes.items() if node.entry.type is EntryType.FILE} == {"etc/passwd"}


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Accounts(users=(User("", 5),)), "user-without-name"),
        (Accounts(users=(User("a:b", 5),)), "account-name"),
        (Accounts(users=(User("a", 5, homedir="/x\nroot::0:0::/:/bin/sh"),)), "account-name"),
        (Accounts(groups=(Group("g", 5, ("a:b",)),)), "account-name"),
        (Accounts(users=(User("a", 5, groups=("none",)),)), "unknown-group"),
    ],
)
def test_forged_lines_are_refused(wanted: Accounts, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        accounts(draft_of(), wanted)
    assert caught.value.reason == reason


def test_services() -> None:
    draft = draft_of()
    services(draft, Entrypoint(services=(("web", '/usr/bin/db "--opt=a b"'),)))
    assert draft.read("sv/web/run") == b'#!/bin/execlineb\n/usr/bin/db "--opt=a b"\n'
    assert {path: node.entry.mode for path, node in draft.nodes.items()} == {"sv": 0o777, "sv/web": 0o777, "sv/web/run": 0o755}
    with pytest.raises(ConfigurationError):
        services(draft, Entrypoint(services=(("../x", "a"),)))


# --- certificates -------------------------------------------------------------------------------------------------------


def substituted(value: Any, certs: Any) -> Any:
    if isinstance(value, dict):
        return {substituted(key, certs): substituted(item, certs) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    for name, cert in certs.items():
        value = value.replace("{{" + name + "}}", cert["pem"]).replace("{{" + name + ".sha256}}", cert["sha256"])
    return value


def file_content(value: Any) -> bytes:
    if isinstance(value, dict):
        return write_keystore([trusted_entry(alias, pem_der(pem), 1) for alias, pem in value["java_truststore"].items()])
    return str(value).encode()


def pem_der(pem: str) -> bytes:
    return parse_certificate(pem.encode())


@pytest.mark.parametrize("case", table("certificates.json").get("cases", []), ids=lambda case: case["name"])
def test_recorded_certificates(case: Any) -> None:
    certs = table("certificates.json")["certs"]
    case = substituted(case, certs) | {"packages": case["packages"]}
    files = {**case["package_files"], **case["existing_files"]}
    draft = draft_of({path: file_content(value) for path, value in files.items()})
    providers = case["certificates"]["providers"]
    provided = [path for item in case["packages"] if set(item["provides"]) & set(providers) for path in item["files"]]
    additional = [NamedContent(item["name"], substituted(item["content"], certs)) for item in case["certificates"]["additional"]]
    certificates(draft, additional, certificate_paths(provided), 1337)
    for path, wanted in case["want_files"].items():
        if isinstance(wanted, dict):
            found = {entry.alias: entry.certificate for entry in read_keystore(draft.read(path))}
            assert found == {alias.lower(): pem_der(pem) for alias, pem in wanted["java_truststore"].items()}
        else:
            assert draft.read(path).decode() == wanted
    written = {path for path, node in draft.nodes.items() if node.entry.type is EntryType.FILE}
    assert written == set(case["want_files"])


@pytest.mark.parametrize("case", table("certificates.json").get("parse", []), ids=lambda case: case["name"])
def test_recorded_pem_rules(case: Any) -> None:
    import hashlib

    case = substituted(case, table("certificates.json")["certs"])
    if case["error"]:
        with pytest.raises(FormatError):
            parse_certificate(case["pem"].encode())
    else:
        assert hashlib.sha256(pem_der(case["pem"])).hexdigest() == case["fingerprint"]


@pytest.mark.parametrize("case", table("certificates.json").get("sidecars", []), ids=lambda case: case["name"])
def test_recorded_sidecars(case: Any) -> None:
    draft = draft_of({path: text.encode() for path, text in case["existing_files"].items()})
    sidecars(draft, case["mtime"])
    assert {path: draft.read(path).decode() for path in draft.nodes} == case["want_files"]
    assert {(f"{node.entry.mode:04o}", node.entry.mtime) for node in draft.nodes.values()} == {(case["mode"], case["mtime"])}


def test_certificate_faults_are_named() -> None:
    draft = draft_of({"usr/local/share/ca-certificates/broken.crt": b"no certificate"})
    with pytest.raises(ApkilnError) as caught:
        certificates(
            draft,
            [NamedContent("a", "text", Origin("f", 1)), NamedContent("../a", "text", Origin("f", 2))],
            ["usr/local/share/ca-certificates/broken.crt"],
            0,
        )
    faults = caught.value.faults  # type: ignore[attr-defined]
    assert [fault.reason for fault in faults] == ["certificate-invalid", "certificate-name", "certificate-invalid"]
    assert faults[2].origin.package == "pkg"


def test_certificates_without_any_bundle_are_an_error() -> None:
    certs = table("certificates.json").get("certs")
    if not certs:
        pytest.skip("recorded tables are not beside the checkout")
    additional = [NamedContent("a", certs["cert1"]["pem"])]
    with pytest.raises(ConfigurationError) as caught:
        certificates(draft_of(), additional, (), 0)
    assert caught.value.reason == "no-certificate-bundle"
    draft = draft_of()
    certificates(draft, additional, (), 0, allow_missing_bundle=True)
    assert len([path for path in draft.nodes if path.endswith(".crt")]) == 1


# --- busybox, library cache, remarks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", table("busybox-links.json").get("cases", []), ids=lambda case: case["name"])
def test_recorded_busybox_links(case: Any) -> None:
    files = {"bin/busybox": b"elf"} | ({"etc/busybox-paths.d/busybox": case["paths_d"].encode()} if case["paths_d"] else {})
    draft = draft_of(files)
    busybox_links(draft, ["busybox"])
    for path in case["links"]:
        assert draft.entry(path.strip("/")) == Entry(path.strip("/"), EntryType.SYMLINK, 0o777, mtime=55, target="/bin/busybox")
    assert not any(draft.exists(path.strip("/")) for path in case["absent"])


def test_busybox_keeps_what_exists_and_needs_the_binary() -> None:
    draft = draft_of({"bin/busybox": b"", "bin/ls": b"a real ls", "sbin": "bin"})
    busybox_links(draft, [])
    assert draft.read("bin/ls") == b"a real ls"
    assert draft.exists("bin/halt"), "sbin leads to bin"
    without = draft_of({"bin/ls": b""})
    busybox_links(without, ["busybox"])
    assert not without.nodes
    assert is_busybox("busybox-full", "busybox=1") and is_busybox("busybox", "") and not is_busybox("bash", "sh")


def test_library_cache() -> None:
    files: dict[str, bytes | str | None] = {
        "etc/ld.so.conf": b"include ld.so.conf.d/*.conf\n# note\n/usr/lib/extra\nhwcap 1 nosegneg\n",
        "etc/ld.so.conf.d/a.conf": b"/usr/lib/priv=libc6\ninclude /etc/ld.so.conf\n",
        "etc/ld.so.conf.d/b.txt": b"/never",
        "lib": "usr/lib",
        "usr/lib/libc.so.6": b"64 libc.so.6",
        "usr/lib/priv/libx.so.1.2": b"64 libx.so.1",
        "usr/lib/priv/libx.so.1": "libx.so.1.2",
        "usr/lib/priv/libold.so": b"32 libold.so",
        "usr/lib/priv/libtext.so": b"text",
        "usr/lib/priv/dangling.so": "nowhere",
        "usr/lib/priv/libloop.so": "libloop.so",
        "usr/lib/extra/libx.so.1": b"64 libx.so.1",
        "usr/lib/extra/liby.so.2.0": b"64 liby.so.2",
        "usr/lib/extra/other": b"64 x",
    }
    draft = draft_of(files)

    def elf(path: str) -> ElfFacts | None:
        bits, _, soname = draft.read(path).decode().partition(" ")
        return ElfFacts(62 if bits == "64" else 3, int(bits), soname=soname) if bits.isdigit() else None

    library_cache(draft, Arch.parse("x86_64"), elf)
    rows = {row.name: row.path for row in read_cache(draft.read("etc/ld.so.cache"), "x86_64")}
    assert rows == {
        "libc.so.6": "/lib/libc.so.6",
        "libx.so.1": "/usr/lib/priv/libx.so.1",
        "liby.so.2": "/usr/lib/extra/liby.so.2.0",
    }
    without = draft_of({"lib/libc.so": b"64 libc.so"})
    library_cache(without, Arch.parse("x86_64"), elf)
    assert not without.nodes


def test_os_release_keys_are_replaced_in_place_or_appended() -> None:
    draft = draft_of({"usr/lib/os-release": b"ID=old\nNAME='x'\nID=twice\n", "etc/os-release": "../usr/lib/os-release"})
    os_release(draft, (("ID", "new"), ("VARIANT", 'a "b" $c')))
    assert draft.read("etc/os-release") == b'ID=new\nNAME=\'x\'\nVARIANT="a \\"b\\" \\$c"\n'
    assert list(draft.nodes) == ["usr/lib/os-release"], "the link stays"
    untouched = draft_of({"etc/os-release": b"ID=old\n"})
    os_release(untouched, ())
    assert not untouched.nodes
    missing = draft_of()
    os_release(missing, (("ID", "new"),))
    assert missing.read("etc/os-release") == b"ID=new\n"


def test_remarks() -> None:
    draft = draft_of({"etc/passwd": b"", "etc/os-release": "../usr/lib/os-release"})
    remark_on_absence(draft)
    assert draft.notices == ["the image has no `/etc/group`", "the image has no `/etc/os-release`"]


def test_manifest_lists_rules_and_overrides() -> None:
    draft = draft_of({"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "bin/tool": b"tool"})
    accounts(draft, Accounts(users=(User("a", 5),)))
    device_nodes(draft)
    draft.change("paths-directive", "bin/tool", mode=0o4755)
    manifest(draft, lambda path: f"digest of {path}")
    document = json.loads(draft.read("etc/apkiln/manifest.json"))
    rules = {item["rule"]: [entry["path"] for entry in item["entries"]] for item in document["rules"]}
    assert rules["apkiln-manifest"] == ["etc/apkiln", "etc/apkiln/manifest.json"]
    assert rules["account-files"] == ["etc/shadow"]
    assert "dev/null" in rules["device-nodes"]
    tool, passwd = document["overrides"]
    assert tool == {
        "path": "bin/tool", "type": "file", "mode": "4755", "uid": 0, "gid": 0, "size": 4, "sha256": "digest of bin/tool",
        "package": "pkg", "by": "paths-directive",
    }  # fmt: skip
    assert (passwd["path"], passwd["by"]) == ("etc/passwd", "account-files")
    node = next(entry for item in document["rules"] for entry in item["entries"] if entry["path"] == "dev/null")
    assert node["device"] == "1:3"
