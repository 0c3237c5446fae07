"""From a made-up archive to packages: the whole way, and what stops it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sample_elf import make_elf

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultGroup, UnavailableError, VerificationError
from apkiln.debian.converting import ConvertedPackage, ImportAccess
from apkiln.debian.importing import ImportRequest, ImportResult, import_packages
from apkiln.debian.lock import read_ledger, write_ledger
from apkiln.debian.staging import write_converted
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.package import read_package
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deb import writer
from apkiln.formats.deb.deb822 import Stanza
from apkiln.system.memory_store import MemoryStore
from apkiln.system.package_archive import MemoryArchive, SignedRelease

Deb = Callable[..., bytes]
Access = Callable[..., ImportAccess]
SHELL = b"#!/bin/sh\n"


def request(*names: str, prune: str = "none") -> ImportRequest:
    return ImportRequest(names, Arch.parse("x86_64"), prune)


def whole(item: ConvertedPackage, access: ImportAccess) -> io.BytesIO:
    """The bytes of an imported package."""
    stream = io.BytesIO()
    write_converted(item, access.store, access.codec, stream.write)
    data = stream.getvalue()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (item.package.sha256, item.package.size)
    return io.BytesIO(data)


def contents(result: ImportResult, access: ImportAccess) -> dict[str, PackageContents]:
    """Every imported package, read back by the strict reader."""
    found = {item.package.name: read_package(whole(item, access)) for item in result.converted}
    assert {name: item.identity.hex() for name, item in found.items()} == {item.name: item.identity for item in result.packages}
    return found


def paths(package: PackageContents) -> list[str]:
    return [item.entry.path for item in package.entries if item.entry.type is not EntryType.DIRECTORY]


def file_content(result: ImportResult, access: ImportAccess, name: str, path: str) -> bytes:
    class Sink:
        def __init__(self) -> None:
            self.found: dict[str, bytes] = {}
            self.at = ""

        def entry(self, entry: Entry) -> None:
            self.at = entry.path
            self.found[self.at] = b""

        def content(self, chunk: bytes) -> None:
            self.found[self.at] += chunk

    sink = Sink()
    read_package(whole(next(item for item in result.converted if item.package.name == name), access), sink=sink)
    return sink.found[path]


@pytest.fixture
def suites(deb: Deb) -> dict[str, list[bytes]]:
    """A small distribution with an update."""
    licence = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n"
    return {
        "made": [
            deb("tool", "1.0-1", {"bin/tool": b"#!/bin/sh\nlibtool\n", "usr/share/doc/tool/copyright": licence},
                Depends="libtool1 (>= 1.0), debconf (>= 0.5) | debconf-2.0, shell", Breaks="old (<< 2.0~), gone",
                Replaces="old (<< 2.0~)", Provides="tool-command, tool-api (= 3)", Homepage="https://tool.test",
                scripts=[("postinst", b"#!/bin/sh\nset -e\nldconfig\nadduser --system tool\n")]),
            deb("libtool1", "1:1.0-1", {"lib/libtool.so.1": b"x"}, Source="tool (0.9-1)", Multi_Arch="same"),
            deb("debconf", "1.5", {"usr/share/debconf/confmodule": b"# debconf\n", "usr/bin/debconf": SHELL}, architecture="all"),
            deb("dash", "0.5-1", {"bin/sh": b"elf"}, Provides="shell", Priority="required"),
            deb("other-shell", "1", {"bin/osh": b"elf"}, Provides="shell", Priority="optional"),
            deb("old", "1.9", {"usr/bin/old": b""}),
            deb("base-files", "12", {"usr/lib/os-release": b"ID=debian\n", "etc/os-release": "../usr/lib/os-release"}),
            deb("base-passwd", "3", {"usr/share/base-passwd/passwd.master": b"root:*:0:0::/root:/bin/sh\n",
                                     "usr/share/base-passwd/group.master": b"root:*:0:\n"}),
        ],
        "made-security": [deb("libtool1", "1:1.0-1+deb12u1", {"lib/libtool.so.1": b"y"}, Source="tool (0.9-1)")],
    }  # fmt: skip


def test_a_closure_becomes_packages(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    result = import_packages(request("tool"), (), given)
    found = contents(result, given)
    assert sorted(found) == ["base-files", "dash", "debconf", "debian-base-layout", "libtool1", "tool"]
    tool = found["tool"].info
    assert (tool.version, tool.arch, tool.origin, tool.license, tool.url) == (
        "1.0-r100",
        "x86_64",
        "tool",
        "MIT",
        "https://tool.test",
    )
    assert tool.depends == ("!old<2.0_alpha-r100", "dash", "debconf>=0.5-r100", "debian-base-layout", "libtool1>=1.0-r100")
    assert tool.provides == ("tool-api=3-r100", "tool-command")
    assert tool.replaces == ("old<2.0_alpha-r100",) and tool.replaces_priority == 0
    assert "deb-version = 1.0-1" in tool.comments
    assert found["debconf"].info.arch == "noarch"
    library = found["libtool1"].info
    assert (library.version, library.origin) == ("1.0-r300", "tool")
    assert "deb-source-version = 0.9-1" in library.comments


def test_paths_are_merged_and_scanners_find_the_package(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    result = import_packages(request("tool"), (), given)
    tool = contents(result, given)["tool"]
    assert paths(tool) == [
        "usr/bin/tool", "usr/share/apkiln/accounts/tool.json", "usr/share/doc/tool/copyright",
        "var/lib/dpkg/status.d/tool", "var/lib/dpkg/status.d/tool.md5sums",
    ]  # fmt: skip
    status = file_content(result, given, "tool", "var/lib/dpkg/status.d/tool")
    assert status.startswith(b"Package: tool\nVersion: 1.0-1\n")
    sums = file_content(result, given, "tool", "var/lib/dpkg/status.d/tool.md5sums").decode().splitlines()
    assert sums[0] == f"{hashlib.md5(b'#!/bin/sh' + bytes([10]) + b'libtool' + bytes([10])).hexdigest()}  usr/bin/tool"
    assert tool.scripts == ()


def test_the_layout_owns_links_and_accounts(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    result = import_packages(request("tool"), (), given)
    layout = contents(result, given)["debian-base-layout"]
    links = {item.entry.path: item.entry.target for item in layout.entries if item.entry.type is EntryType.SYMLINK}
    assert links["bin"] == "usr/bin" and links["lib64"] == "usr/lib64"
    assert layout.info.depends == ("base-files",)
    assert layout.info.version == "3-r101"
    assert file_content(result, given, "debian-base-layout", "etc/group") == b"root:*:0:\n"
    assert file_content(result, given, "base-files", "usr/lib/os-release") == b"ID=debian\nVARIANT_ID=apkiln-import\n"


def test_the_lock_says_everything(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    lock: dict[str, Any] = json.loads(import_packages(request("tool"), (), given).lock)
    assert [item["suite"] for item in lock["suites"]] == ["made", "made-security"]
    assert all(len(item["release_sha256"]) == 64 and item["signed_by"] for item in lock["suites"])
    choices = {item["group"]: (item["provider"], item["reason"]) for item in lock["choices"]}
    assert choices == {"debconf (>= 0.5) | debconf-2.0": ("debconf", "first"), "shell": ("dash", "only")}
    tool = next(item for item in lock["packages"] if item["name"] == "tool")
    assert tool["deb_version"] == "1.0-1" and len(tool["deb_sha256"]) == len(tool["sha256"]) == 64
    assert [(item["name"], item["treatment"]) for item in tool["scripts"]] == [("postinst", "translated")]
    assert tool["steps"] == ["user tool '' nogroup /nonexistent /usr/sbin/nologin ''"]


def test_equal_input_gives_equal_bytes(suites: dict[str, list[bytes]], access: Access) -> None:
    first = import_packages(request("tool"), (), access(suites, jobs=1))
    shuffled = {suite: packages[::-1] for suite, packages in suites.items()}
    second = import_packages(request("tool"), (), access(shuffled, jobs=3))
    assert [(item.name, item.sha256) for item in first.packages] == [(item.name, item.sha256) for item in second.packages]
    assert first.ledger == second.ledger


def test_a_repeated_import_changes_nothing_and_downloads_nothing(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    assert isinstance(given.archive, MemoryArchive)
    first = import_packages(request("tool"), (), given)
    downloads = given.archive.downloads
    assert import_packages(request("tool"), first.ledger, given) == first
    assert given.archive.downloads == downloads == 6


def test_a_lost_package_is_made_again(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    first = import_packages(request("tool"), (), given)
    given.store.discard(Digest.sha256(first.converted[0].data.sha256))
    again = import_packages(request("tool"), first.ledger, given)
    assert again.packages == first.packages
    assert sorted(contents(again, given)) == [item.name for item in first.packages]


def test_a_later_import_keeps_published_versions(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    first = import_packages(request("tool"), (), access(suites))
    suites["made-security"].append(deb("libtool1", "1:1.0-1+deb12u2", {"lib/libtool.so.1": b"z"}))
    second = import_packages(request("tool"), first.ledger, access(suites))
    versions = {item.name: item.version for item in second.packages}
    assert versions["libtool1"] == "1.0-r400"
    assert set(first.ledger) <= set(second.ledger)
    assert read_ledger(write_ledger(second.ledger), "ledger") == second.ledger


def test_installer_only_packages_are_left_out_with_proof(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    result = import_packages(request("tool", prune="installer"), (), given)
    assert "debconf" not in [item.name for item in result.packages]
    depends = contents(result, given)["tool"].info.depends
    assert not [item for item in depends if item.startswith("debconf")]
    decision = json.loads(result.lock)["pruning"]["decisions"][0]
    assert (decision["package"], decision["present"], decision["dropped_for"]) == ("debconf", False, ["tool"])


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("usr/bin/run", b"#!/bin/sh\ndebconf tool\n", "command"),
        ("usr/bin/run", b"#!/bin/sh\n. /usr/share/debconf/confmodule\n", "path"),
        ("usr/bin/run", b"#!/usr/bin/debconf\n", "interpreter"),
        ("usr/bin/run.py", b"#!/usr/bin/python3\nsubprocess.run(['debconf', 'x'])\n", "command"),
        ("etc/run.conf", b"load=/usr/share/debconf/confmodule\n", "path"),
        ("usr/bin/run", "../share/debconf/confmodule", "path"),
    ],
)
def test_evidence_keeps_a_package(
    suites: dict[str, list[bytes]], access: Access, deb: Deb, path: str, content: bytes | str, kind: str
) -> None:
    suites["made"].append(deb("user", "1", {path: content}, Depends="debconf"))
    result = import_packages(request("user", prune="installer"), (), access(suites))
    assert "debconf" in [item.name for item in result.packages]
    (decision,) = json.loads(result.lock)["pruning"]["decisions"]
    assert kind in [item["kind"] for item in decision["evidence"]]
    assert any("PRUNE_REFUSED" in note for note in result.notes)


def test_dependencies_do_not_depend_on_what_else_is_imported(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    suites["made"].append(deb("user", "1", {"usr/bin/run": b"#!/bin/sh\ndebconf tool\n"}, Depends="debconf"))
    alone = import_packages(request("tool", prune="installer"), (), access(suites))
    together = import_packages(request("user", "tool", prune="installer"), alone.ledger, access(suites))
    assert "debconf" in [item.name for item in together.packages]
    assert set(alone.packages) <= set(together.packages)
    decision = json.loads(together.lock)["pruning"]["decisions"][0]
    assert (decision["dropped_for"], decision["kept_for"]) == (["tool"], ["user"])


def test_undeclared_uses_are_told(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    suites["made"].append(deb("user", "1", {"usr/bin/run": b"#!/bin/sh\ndebconf tool\n"}, Depends="tool"))
    result = import_packages(request("user", prune="installer"), (), access(suites))
    (decision,) = json.loads(result.lock)["pruning"]["decisions"]
    assert [item["package"] for item in decision["undeclared"]] == ["user"]
    assert any(note.startswith("user: `usr/bin/run` names `debconf`") for note in result.notes)


def test_documentation_is_no_evidence(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    suites["made"].append(
        deb("user", "1", {"usr/share/doc/user/x.sh": b"debconf\n", "etc/init.d/user": b"#!/bin/sh\ndebconf\n"}, Depends="debconf")
    )
    result = import_packages(request("user", prune="installer"), (), access(suites))
    assert "debconf" not in [item.name for item in result.packages]


def test_a_named_package_is_never_left_out(suites: dict[str, list[bytes]], access: Access) -> None:
    result = import_packages(request("tool", "debconf", prune="installer"), (), access(suites))
    assert "debconf" in [item.name for item in result.packages]


def test_missing_packages_and_dependencies_come_together(access: Access, deb: Deb) -> None:
    suites = {"s": [deb("a", Depends="nothing, x | y (>= 2)"), deb("y", "1")]}
    with pytest.raises(FaultGroup) as caught:
        import_packages(request("a", "absent"), (), access(suites))
    assert sorted(fault.reason for fault in caught.value.faults) == [
        "missing-alternative",
        "missing-dependency",
        "missing-package",
    ]


def test_other_architectures_are_refused(access: Access, deb: Deb) -> None:
    with pytest.raises(ApkilnError) as caught:
        import_packages(request("a"), (), access({"s": [deb("a", Depends="b:arm64"), deb("b")]}))
    assert caught.value.reason == "foreign-arch"


def damaged(access: ImportAccess, change: Callable[[dict[str, Any]], None]) -> ImportAccess:
    """The archive with one of its parts changed."""
    archive = access.archive
    assert isinstance(archive, MemoryArchive)
    parts: dict[str, Any] = {"releases": list(archive._releases), "lists": dict(archive._lists), "files": dict(archive._files)}
    change(parts)
    return replace(access, archive=MemoryArchive(store=access.store, **parts))


def test_the_chain_of_trust(suites: dict[str, list[bytes]], access: Access) -> None:
    def no_signature(parts: dict[str, Any]) -> None:
        parts["releases"][0] = replace(parts["releases"][0], signed_by=())

    def longer_list(parts: dict[str, Any]) -> None:
        parts["lists"][0, "main"] += b"\n"

    def other_list(parts: dict[str, Any]) -> None:
        parts["lists"][0, "main"] = parts["lists"][0, "main"].replace(b"Description: the", b"Description: teh")

    def other_file(parts: dict[str, Any]) -> None:
        key = next(iter(parts["files"]))
        parts["files"][key] = parts["files"][key] + b"\n"

    for change, reason in (
        (no_signature, "chain-signature"),
        (longer_list, "chain-hash"),
        (other_list, "chain-hash"),
        (other_file, "chain-hash"),
    ):
        with pytest.raises(VerificationError) as caught:
            import_packages(request("tool"), (), damaged(access(suites), change))
        assert caught.value.reason == reason


def test_an_expired_release_is_refused_unless_the_machine_says_otherwise(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    archive = MemoryArchive.of_packages(suites, given.store, architecture="amd64", date=1, valid_until=100)
    with pytest.raises(VerificationError) as caught:
        import_packages(request("tool"), (), replace(given, archive=archive))
    assert caught.value.reason == "snapshot-expired"
    import_packages(request("tool"), (), replace(given, archive=archive, now=100))


def test_other_distributions_are_left_out(suites: dict[str, list[bytes]], access: Access) -> None:
    with pytest.raises(UnavailableError) as caught:
        import_packages(replace(request("tool"), origins=("Somebody",)), (), access(suites))
    assert caught.value.reason == "no-archive"


def test_damaged_files_are_never_published(suites: dict[str, list[bytes]], access: Access) -> None:
    store = MemoryStore()
    given = access(suites, store)
    first = import_packages(request("tool"), (), given)
    digest = Digest.sha256(first.converted[0].data.sha256)
    store.damage(digest, 50)
    with pytest.raises(VerificationError) as caught:
        whole(first.converted[0], given)
    assert caught.value.reason == "data-hash-mismatch"
    assert store.size(digest) is None
    assert contents(import_packages(request("tool"), (), given), given)


def test_a_damaged_cache_is_noticed_and_mended(suites: dict[str, list[bytes]], access: Access) -> None:
    first, second = MemoryStore(), MemoryStore()
    import_packages(request("tool"), (), access(suites, first))
    for digest in [digest for digest in first.blobs() if (first.size(digest) or 0) > 200]:
        stream = first.open(digest)
        assert stream is not None
        second.publish(digest, stream.read())
        second.damage(digest, 200)
    # The packages themselves first, then the source of the layout, which is read last.
    for _ in range(2):
        with pytest.raises(ApkilnError) as caught:
            import_packages(request("tool"), (), access(suites, second))
        assert {fault.reason for fault in getattr(caught.value, "faults", (caught.value,))} == {"chain-hash"}
    assert import_packages(request("tool"), (), access(suites, second)).packages


HOSTILE = [
    (Entry("dev/null", EntryType.CHARACTER, device=(1, 3)), "deb-device"),
    (Entry(".wh.x", EntryType.FILE), "dot-path"),
    (Entry("usr/x", EntryType.HARDLINK, target="etc/passwd"), "deb-hard-link"),
]


@pytest.mark.parametrize(("entry", "reason"), HOSTILE)
def test_hostile_members_stop_the_import(access: Access, deb: Deb, entry: Entry, reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        import_packages(request("bad"), (), access({"s": [deb("bad", further=[(entry, b"")])]}))
    assert caught.value.reason == reason
    assert "bad" in str(caught.value)


def test_a_wrong_md5_sum_stops_the_import(access: Access, deb: Deb) -> None:
    for sums in (b"0" * 32 + b"  usr/a\n", hashlib.md5(b"abc").hexdigest().encode() + b"  usr/b\n"):
        wrong = deb("a", files={"usr/a": b"abc"}, scripts=[("md5sums", sums)])
        with pytest.raises(VerificationError) as caught:
            import_packages(request("a"), (), access({"s": [wrong]}))
        assert caught.value.reason == "deb-md5"


def test_a_file_that_is_another_package_than_its_list_says(access: Access, deb: Deb) -> None:
    package = deb("a", "1.0")
    given = access({"s": [package]})
    for name, version in (("b", "1.0"), ("a", "2.0")):
        fields = Stanza((("Package", name), ("Version", version), ("Architecture", "amd64")))
        text = writer.write_package_list([writer.package_stanza(fields, package, "pool/a.deb")])
        body = writer.write_release("s", (("main/binary-amd64/Packages", text),), date=1)
        release = SignedRelease("s", ("main",), body, body, ("0" * 40,), False, "memory")
        archive = MemoryArchive([release], {(0, "main"): text}, {(0, "pool/a.deb"): package}, given.store)
        with pytest.raises(VerificationError) as caught:
            import_packages(request(name), (), replace(given, archive=archive))
        assert caught.value.reason == "chain-hash"


def test_a_package_says_nothing_about_its_own_name(access: Access, deb: Deb) -> None:
    package = deb("a", Provides="a (= 2), x", Conflicts="a, x", Replaces="a (<< 1)")
    given = access({"s": [package]})
    info = contents(import_packages(request("a"), (), given), given)["a"].info
    assert (info.provides, info.depends, info.replaces) == (("x",), ("!x",), ())


def test_versions_of_provides(access: Access, deb: Deb) -> None:
    packages = [
        deb("a", Provides="sole (= 2), shared (= 2), real (= 1), plain", Depends="needs-sole, needs-shared"),
        deb("b", Provides="shared (= 3)"),
        deb("real"),
        deb("needs-sole", Depends="sole (>= 2)"),
        deb("needs-shared", Depends="shared (>= 3)"),
    ]
    given = access({"s": packages})
    found = contents(import_packages(request("a"), (), given), given)
    assert found["a"].info.provides == ("plain", "real", "shared", "sole=2-r100")
    assert found["needs-sole"].info.depends == ("a",)
    assert found["needs-shared"].info.depends == ("b",)
    for missing in ("sole (>= 3)", "plain (>= 1)", "real (>= 5)"):
        with pytest.raises(ApkilnError) as caught:
            import_packages(request("c"), (), access({"s": [*packages, deb("c", Depends=missing)]}))
        assert caught.value.reason == "missing-dependency"


def test_the_digests_for_scanners_are_of_the_files_as_shipped(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    result = import_packages(request("tool"), (), given)
    sums = file_content(result, given, "base-files", "var/lib/dpkg/status.d/base-files.md5sums").decode()
    shipped = file_content(result, given, "base-files", "usr/lib/os-release")
    assert sums == f"{hashlib.md5(shipped).hexdigest()}  usr/lib/os-release\n"


@pytest.mark.parametrize(("needed", "soname"), [(("libd.so.1",), ""), ((), "libd.so.1")])
def test_libraries_are_evidence(access: Access, deb: Deb, needed: tuple[str, ...], soname: str) -> None:
    library = make_elf(64, "<", (), "libd.so.1", "", "")
    program = make_elf(64, "<", needed, "", "/lib64/ld.so", "") + soname.encode()
    suites = {
        "s": [deb("debconf", files={"usr/lib/libd.so.1": library}), deb("a", files={"usr/bin/a": program}, Depends="debconf")]
    }
    result = import_packages(request("a", prune="installer"), (), access(suites))
    (decision,) = json.loads(result.lock)["pruning"]["decisions"]
    assert {item["kind"] for item in decision["evidence"]} == {"library" if needed else "dlopen"}


def test_acknowledged_evidence_counts_only_where_it_was_read(access: Access, deb: Deb) -> None:
    def kept(path: str) -> bool:
        user = deb("python3-minimal", files={path: b"#!/bin/sh\ndpkg -L x\n"}, Depends="dpkg")
        given = access({"s": [user, deb("dpkg", files={"usr/bin/dpkg": b""})]})
        result = import_packages(request("python3-minimal", prune="installer"), (), given)
        return "dpkg" in [item.name for item in result.packages]

    assert not kept("usr/bin/py3clean")
    assert not kept("usr/share/python3/debpython/files.py")
    assert kept("usr/bin/py3clean-not")
    assert kept("usr/bin/other")


def test_setuid_and_owners_are_kept_and_reported(access: Access, deb: Deb) -> None:
    su = Entry("bin/su", EntryType.FILE, 0o4755, 0, 8, "root", "mail", 2, 5)
    given = access({"s": [deb("a", files={}, further=[(su, b"su")])]})
    result = import_packages(request("a"), (), given)
    entry = next(item.entry for item in contents(result, given)["a"].entries if item.entry.path == "usr/bin/su")
    assert (entry.mode, entry.gid, entry.gname) == (0o4755, 8, "mail")
    assert next(item for item in result.packages if item.name == "a").privileged == ("usr/bin/su",)


def test_unknown_ways_to_prune(suites: dict[str, list[bytes]], access: Access) -> None:
    with pytest.raises(ApkilnError) as caught:
        import_packages(request("tool", prune="all"), (), access(suites))
    assert caught.value.reason == "unknown-prune-mode"


def test_versioned_conflicts_with_names_that_are_provided_without_version(access: Access, deb: Deb) -> None:
    packages = [
        deb("perl", Provides="module (= 2), sole (= 1)", Depends="perl-modules"),
        deb("perl-modules", Breaks="module (<< 2), sole (<< 1), older (<< 5), plain (<< 3)"),
        deb("module", "2.5"),
        deb("older", "4"),
        deb("other", Provides="older"),
        deb("plain", "4"),
    ]
    given = access({"s": packages})
    found = contents(import_packages(request("perl"), (), given), given)
    # `module` is provided without version (a real package has the name), `older` is really meant.
    assert found["perl-modules"].info.depends == ("!older<5-r100", "!plain<3-r100", "!sole<1-r100")
