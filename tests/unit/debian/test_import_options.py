"""Imports with exceptions, profiles and locks; what refuses a package, and one package side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from apkiln.core.arch import Arch
from apkiln.core.errors import (
    ApkilnError,
    ConflictError,
    FaultGroup,
    FormatError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.debian.converting import ConvertedPackage, ImportAccess
from apkiln.debian.importing import ImportRequest, ImportResult, import_packages
from apkiln.debian.ledger import LedgerRow
from apkiln.debian.lock import read_lock
from apkiln.debian.override_file import NO_OVERRIDES, read_overrides
from apkiln.debian.replaying import replay
from apkiln.debian.side_by_side import map_package
from apkiln.debian.staging import write_converted
from apkiln.debian.suites import check_instants, with_further_suites
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.package import read_package
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.deb.sources import Source
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.memory_store import MemoryStore
from apkiln.system.package_archive import MemoryArchive

Deb = Callable[..., bytes]
Access = Callable[..., ImportAccess]
SCRIPT = b"#!/bin/sh\nset -e\nmystery --now\n"


def request(*names: str, **options: Any) -> ImportRequest:
    return ImportRequest(names, Arch.parse("x86_64"), **options)


def overrides(text: str) -> Any:
    return read_overrides([("overrides.yaml", text.encode())])


def versions(result: ImportResult) -> dict[str, str]:
    return {item.name: item.version for item in result.packages}


def depends(result: ImportResult) -> dict[str, tuple[str, ...]]:
    return {item.info.name: item.info.depends for item in result.converted}


@pytest.fixture
def suites(deb: Deb) -> dict[str, list[bytes]]:
    return {
        "made": [
            deb("app", "1", {"usr/bin/app": b"x", "usr/share/man/man1/app.1": b"m", "usr/share/doc/app/copyright": b"c"},
                Depends="dbus | dbus-broker, tool", scripts=[("postinst", b"#!/bin/sh\nadduser --system --group app\n")]),
            deb("dbus", "2"), deb("dbus-broker", "3"),
            deb("tool", "1", {"usr/bin/tool": b"#!/bin/sh\nhelper\n"}, Depends="helper"),
            deb("helper", "1", {"usr/bin/helper": b"h"}),
            deb("base-files", "12", {"usr/lib/os-release": b"ID=debian\n"}, Essential="yes"),
            deb("bash", "5", {"usr/bin/bash": b"b"}, Essential="yes"),
            deb("busybox-static", "1", {"usr/bin/busybox": b"b"}),
            deb("odd", "1", {"usr/bin/odd": b"o"}, scripts=[("postinst", SCRIPT)]),
        ]
    }  # fmt: skip


def test_a_script_that_is_not_covered_refuses_the_package(suites: dict[str, list[bytes]], access: Access) -> None:
    with pytest.raises(FormatError) as caught:
        import_packages(request("odd"), (), access(suites))
    fault = caught.value
    assert (fault.reason, fault.origin.source, fault.origin.line) == ("script-untranslated", "postinst", 3)
    assert "mystery --now" in str(fault) and hashlib.sha256(SCRIPT).hexdigest() in fault.hint
    told = import_packages(request("odd", scripts="report"), (), access(suites))
    assert any("SCRIPT_UNTRANSLATED" in note for note in told.notes) and "odd" in versions(told)


def test_faults_of_several_packages_come_together(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    suites["made"].append(deb("odd2", "1", Depends="odd", scripts=[("preinst", b"#!/usr/bin/perl\n")]))
    with pytest.raises(FaultGroup) as caught:
        import_packages(request("odd2"), (), access(suites))
    assert [fault.origin.package for fault in caught.value.faults] == ["odd 1", "odd2 1"]


def test_an_override_covers_a_script_until_it_changes(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    digest = hashlib.sha256(SCRIPT).hexdigest()
    text = (
        f"scripts: {{odd: {{postinst: {{source_sha256: [{digest}], reason: read, steps: [{{directory: [etc/odd, '700']}}]}}}}}}"
    )
    covered = request("odd", overrides=overrides(text))
    result = import_packages(covered, (), access(suites))
    (report,) = next(item.scripts for item in result.packages if item.name == "odd")
    assert (report.treatment, report.reason) == ("override", "read")
    suites["made"][-1] = deb("odd", "2", scripts=[("postinst", SCRIPT + b"# changed\n")])
    with pytest.raises(FormatError) as caught:
        import_packages(covered, result.ledger, access(suites))
    assert caught.value.reason == "script-changed"


def test_documentation_becomes_a_package_of_its_own(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    first = import_packages(request("app"), (), access(suites))
    assert versions(first)["app-doc"] == versions(first)["app"]
    assert depends(first)["app-doc"] == ()
    suites["made"].append(deb("app-doc", "9", {"usr/share/doc/app/manual": b"m"}))
    second = import_packages(request("app", "app-doc"), (), access(suites))
    assert {"app-doc", "app-doc-files"} <= versions(second).keys()
    assert versions(second)["app-doc"].startswith("9")


def test_alternatives_licences_and_priorities_by_override(suites: dict[str, list[bytes]], access: Access) -> None:
    text = 'alternatives: {app: {"dbus|dbus-broker": dbus-broker}}\nlicences: {app: MIT}\npriorities: {app: 7}'
    result = import_packages(request("app", overrides=overrides(text)), (), access(suites))
    assert "dbus-broker" in depends(result)["app"] and "dbus" not in versions(result)
    info = next(item.info for item in result.converted if item.info.name == "app")
    assert (info.license, info.provider_priority) == ("MIT", 7)
    (choice,) = [item for item in json.loads(result.lock)["choices"] if item["package"] == "app"]
    assert (choice["provider"], choice["reason"]) == ("dbus-broker", "override")
    with pytest.raises(ApkilnError) as caught:
        wrong = overrides('alternatives: {app: {"dbus | dbus-broker": systemd}}')
        import_packages(request("app", overrides=wrong), (), access(suites))
    assert caught.value.reason == "missing-alternative"


def test_packages_to_keep_and_to_drop(suites: dict[str, list[bytes]], access: Access) -> None:
    kept = import_packages(request("app", prune="installer", drop=("helper", "dbus")), (), access(suites))
    assert "helper" in versions(kept), "its use is proof against leaving it out"
    assert "dbus" not in versions(kept)
    acknowledged = overrides("acknowledged: [{package: tool, path: usr/bin/tool, reason: r}]\ndrop: [helper]")
    assert "helper" not in versions(
        import_packages(request("app", prune="installer", overrides=acknowledged), (), access(suites))
    )
    held = request("app", prune="installer", overrides=acknowledged, keep=("helper",))
    assert "helper" in versions(import_packages(held, (), access(suites)))


@pytest.mark.parametrize(
    ("profile", "wanted"), [("lite", {"base-files", "busybox-static"}), ("full", {"base-files", "bash"}), ("none", set())]
)
def test_essential_profiles(suites: dict[str, list[bytes]], access: Access, profile: str, wanted: set[str]) -> None:
    result = import_packages(request("helper", essential=profile), (), access(suites))
    name = f"debian-essential-{profile}"
    assert (name in versions(result)) is bool(wanted)
    if wanted:
        assert set(depends(result)[name]) == {*wanted, "debian-base-layout"}
        assert wanted <= versions(result).keys()


@pytest.mark.parametrize(("option", "reason"), [("essential", "unknown-profile"), ("scripts", "unknown-script-mode")])
def test_unknown_words(suites: dict[str, list[bytes]], access: Access, option: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        import_packages(request("helper", **{option: "x"}), (), access(suites))
    assert caught.value.reason == reason


def test_a_lock_gives_the_same_bytes_when_the_archive_has_moved_on(
    suites: dict[str, list[bytes]], access: Access, deb: Deb
) -> None:
    store = MemoryStore()
    given = access(suites, store)
    first = import_packages(request("app", "tool"), (), given)
    moved = {"made": [deb("app", "2"), deb("tool", "9", Depends="nothing-at-all")]}
    later = replace(given, archive=access(moved, store).archive)
    again = replay(read_lock(first.lock, "lock"), first.lock, NO_OVERRIDES, (), (), later)
    assert [(item.name, item.sha256, item.identity) for item in again.packages] == [
        (item.name, item.sha256, item.identity) for item in first.packages
    ]
    assert (again.ledger, again.accounts, again.lock) == (first.ledger, first.accounts, first.lock)
    empty = access(suites)
    fresh = replay(read_lock(first.lock, "lock"), first.lock, NO_OVERRIDES, (), (), empty)
    assert [item.sha256 for item in fresh.packages] == [item.sha256 for item in first.packages]


def test_locks_that_cannot_be_kept(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    first = import_packages(request("app"), (), access(suites))
    lock = read_lock(first.lock, "lock")

    def refused(**changes: Any) -> str:
        arguments: dict[str, Any] = {"overrides": NO_OVERRIDES, "rows": (), "numbers": (), "access": access(suites)} | changes
        with pytest.raises(ApkilnError) as caught:
            replay(
                changes.get("lock", lock),
                b"",
                arguments["overrides"],
                arguments["rows"],
                arguments["numbers"],
                arguments["access"],
            )
        assert isinstance(caught.value, (ConflictError, VerificationError, UnavailableError))
        return caught.value.reason

    assert refused(overrides=overrides("keep: [x]")) == "lock-overrides"
    assert refused(rows=(LedgerRow("app", "1", "package", "7", 100),)) == "lock-versions"
    assert refused(lock=lock._replace(digests=(("app", "0" * 64),))) == "lock-mismatch"
    gone = MemoryArchive.of_packages(
        {"made": [deb("app", "1", {"usr/bin/app": b"other"})]}, MemoryStore(), architecture="amd64", date=1
    )
    assert refused(access=replace(access({}), archive=gone)) in ("chain-hash", "archive-unavailable", "download-failed")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("plans"),
        lambda value: value.update(architecture=1),
        lambda value: value["plans"][0].update(kind=None),
        lambda value: value["plans"][0]["mapped"].update(depends="x"),
        lambda value: value["plans"][0]["mapped"].update(surprise="x"),
        lambda value: value["plans"][0]["source"].update(path="../../etc/passwd"),
        lambda value: value["plans"][0]["source"].update(sha256="x"),
        lambda value: value["plans"][0]["source"].update(size="1"),
        lambda value: value["packages"][0].update(sha256="00"),
        lambda value: value["versions"][0].pop("label"),
    ],
)
def test_hostile_locks(suites: dict[str, list[bytes]], access: Access, change: Callable[[Any], object]) -> None:
    value = json.loads(import_packages(request("app"), (), access(suites)).lock)
    change(value)
    with pytest.raises(FormatError) as caught:
        read_lock(json.dumps(value).encode(), "lock")
    assert caught.value.reason == "lock-syntax"


def test_locks_of_other_versions() -> None:
    with pytest.raises(FormatError) as caught:
        read_lock(b'{"version": 99}', "lock")
    assert caught.value.reason == "lock-version"
    for data in (b"", b"[]", b"{"):
        with pytest.raises(FormatError):
            read_lock(data, "lock")


def test_numbers_of_accounts_are_kept(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    first = import_packages(request("app"), (), access(suites))
    suites["made"].append(deb("aaa", "1", scripts=[("postinst", b"#!/bin/sh\nadduser --system --group aaa\n")]))
    second = import_packages(request("app", "aaa"), first.ledger, access(suites), first.accounts)
    assert set(first.accounts) <= set(second.accounts)
    assert {row.name: row.number for row in second.accounts} == {"app": 101, "aaa": 102}


def test_one_package_side_by_side(suites: dict[str, list[bytes]], access: Access) -> None:
    given = access(suites)
    assert isinstance(given.archive, MemoryArchive)
    mapping = map_package("app", request("app"), (), given)
    rows = {(row.field, row.debian): (row.apk, row.remark) for row in mapping.rows}
    assert rows["Version", "1"][0] == "1-r100"
    assert rows["Depends", "dbus | dbus-broker"] == ("dbus", "first of several")
    assert ("effect", "") in rows
    assert given.archive.downloads == 1
    with pytest.raises(ApkilnError) as caught:
        map_package("none", request("none"), (), given)
    assert caught.value.reason == "missing-package"


def source(suite: str, uri: str = "http://a.test/debian") -> Source:
    return Source(uri, suite, ("main",))


def test_suites_beside_the_first() -> None:
    listed = [source("made"), source("made-updates"), source("made-security", "http://s.test/debian")]
    found = with_further_suites(listed, ["made", "made-backports"])
    assert [(item.suite, item.uri) for item in found] == [
        ("made", "http://a.test/debian"), ("made-updates", "http://a.test/debian"), ("made-security", "http://s.test/debian"),
        ("made-backports", "http://a.test/debian"),
    ]  # fmt: skip
    assert with_further_suites(listed, []) == tuple(listed)
    with pytest.raises(UsageError) as caught:
        with_further_suites(listed, ["made", "other"])
    assert caught.value.reason == "other-suite"


def test_snapshots_of_different_instants() -> None:
    def at(stamp: str) -> Source:
        return source("made", f"http://s.test/archive/debian/{stamp}/")

    check_instants([source("made"), source("made-security")])
    check_instants([at("20250520T000000Z"), at("20250520T235900Z")])
    for mixed in ([at("20250520T000000Z"), at("20250522T000000Z")], [at("20250520T000000Z"), source("made")]):
        with pytest.raises(VerificationError) as caught:
            check_instants(mixed)
        assert caught.value.reason == "snapshot-skew"


def test_scripts_decide_about_shared_directories(access: Access, deb: Deb) -> None:
    packages = [
        deb("server", "1", {"etc/redis/redis.conf": b"x"}, Depends="tools",
            scripts=[("postinst", b"#!/bin/sh\nchmod 640 /etc/redis/redis.conf\ntouch /etc/new\nchmod 600 /etc/new\n")]),
        deb("tools", "1", {"etc/redis/other": b"y"}, scripts=[("postinst", b"#!/bin/sh\nchown www-data /etc/redis\n")]),
    ]  # fmt: skip
    result = import_packages(request("server"), (), access({"made": packages}))
    assert {
        item.info.name: item.info.replaces_priority for item in result.converted if item.info.name != "debian-base-layout"
    } == {
        "server": 0,
        "tools": 10,
    }


def test_a_certificate_bundle_becomes_a_package_of_its_own(suites: dict[str, list[bytes]], access: Access, deb: Deb) -> None:
    files = {
        "etc/ssl/certs/ca-certificates.crt": b"bundle",
        "usr/share/ca-certificates/a.crt": b"one",
        "usr/share/doc/roots/copyright": b"free",
        "usr/share/doc/roots/README": b"read",
    }
    suites["made"].append(deb("roots", "2", files, Depends="app"))
    store = MemoryStore()
    result = import_packages(request("roots"), (), access(suites, store))
    assert depends(result)["roots-bundle"] == ()
    assert f"roots-bundle={versions(result)['roots']}" in depends(result)["roots"]
    bundle = next(item for item in result.converted if item.info.name == "roots-bundle")
    assert bundle.info.replaces == ("roots",), "an earlier import had its files in the package itself"
    assert paths_of(bundle, store) == {
        "etc/ssl/certs/ca-certificates.crt",
        "usr/share/doc/roots/copyright",
        "var/lib/dpkg/status.d/roots",
        "var/lib/dpkg/status.d/roots.md5sums",
    }
    rest = paths_of(next(item for item in result.converted if item.info.name == "roots"), store)
    assert "usr/share/ca-certificates/a.crt" in rest
    assert not rest & paths_of(bundle, store)
    again = import_packages(request("roots"), result.ledger, access(suites, store))
    assert again.lock == result.lock


def test_what_enhances_another_comes_by_itself_where_it_is_asked_for(
    suites: dict[str, list[bytes]], access: Access, deb: Deb
) -> None:
    suites["made"].append(deb("more", "3", {"usr/share/more": b"m"}, Enhances="nothing, app (>= 0.5) | other"))
    plain = import_packages(request("app", "more"), (), access(suites))
    assert installed_by(plain, "more") == (), "Debian's field alone brings in nothing"
    asked = import_packages(request("app", "more", overrides=overrides("enhances: {more: app}")), (), access(suites))
    (relation,) = installed_by(asked, "more")
    assert relation.startswith("app>=") and parse_dependency(relation).name == "app"
    with pytest.raises(ApkilnError) as caught:
        import_packages(request("app", "more", overrides=overrides("enhances: {more: helper}")), (), access(suites))
    assert caught.value.reason == "not-enhanced"


def installed_by(result: ImportResult, name: str) -> tuple[str, ...]:
    return next(item.info.install_if for item in result.converted if item.info.name == name)


def paths_of(item: ConvertedPackage, store: MemoryStore) -> set[str]:
    output: list[bytes] = []
    write_converted(item, store, canonical_codec(), output.append)
    contents = read_package(BytesIO(b"".join(output)), DEFAULT_LIMITS)
    return {item.entry.path for item in contents.entries if item.entry.type is not EntryType.DIRECTORY}
