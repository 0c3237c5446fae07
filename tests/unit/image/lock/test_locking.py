"""Locks made, built from, checked and updated, on a small repository in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.image_workshop import AMD64, ARM64, Workshop, definition
from tests.sample_packages import SamplePackage, sample_index, sample_package, sample_signer

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.value import replace
from apkiln.image.configuration.model import PackageRequest
from apkiln.image.configuration.overlay import Overlay
from apkiln.image.lock.document import Lock, LockedPackage
from apkiln.image.lock.ordering import ordered
from apkiln.image.lock.reading import parse_lock
from apkiln.image.lock.writing import write_lock
from apkiln.solver.solution import SelectedPackage
from apkiln.system.memory_store import MemoryStore

SIGNER = sample_signer()
BASE = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/group": b"root:x:0:root\n"}


def packages(arch: str = "x86_64", library: str = "2.0-r0", tool: str = "1.2-r0") -> list[SamplePackage]:
    return [
        sample_package("base", files=BASE, arch=arch, signer=SIGNER),
        sample_package("tool", tool, depends=["library", "so:zip.so.1"], arch=arch),
        sample_package("library", library, arch=arch, provides=[f"lib={library}"]),
        sample_package("zip", "3-r0", provides=["so:zip.so.1=1"], arch="noarch"),
        sample_package("tool-doc", "1.2-r0", arch=arch, install_if=["tool", "docs"]),
        sample_package("docs", arch=arch),
    ]


def workshop(more: str = "", requests: tuple[str, ...] = ("base", "tool"), archs: str = "[amd64]") -> Workshop:
    return Workshop({"x86_64": packages(), "aarch64": packages("aarch64")}, definition(requests, archs, more))


def bare(shop: Workshop) -> Workshop:
    """The same files without indexes and keys, and with an empty cache."""
    other = Workshop({}, "", MemoryStore())
    for path, content in shop.files.snapshot().items():
        if not path.endswith(("APKINDEX.tar.gz", ".rsa.pub")):
            other.files.put(path, content)
    other.files.remove(PurePosixPath("work/keys/sample.rsa.pub"))
    return other


def refused(act: Callable[[], object]) -> ApkilnError:
    with pytest.raises(ApkilnError) as caught:
        act()
    return caught.value


def row(lock: Lock, name: str, arch: str = "x86_64") -> LockedPackage:
    return next(item for item in lock.of(arch) if item.name == name)


def with_rows(lock: Lock, change: Callable[[LockedPackage], LockedPackage | None]) -> Lock:
    changed = (change(item) for item in lock.packages)
    return replace(lock, packages=tuple(item for item in changed if item is not None))


# --- what stands in a lock ---------------------------------------------------------------------------------------------


def test_a_lock_says_what_each_package_is_and_why_it_is_there() -> None:
    lock = workshop(requests=("base", "tool", "docs"), archs="[amd64, arm64]").locked()
    assert lock.architectures == ("x86_64", "aarch64")
    tool = row(lock, "tool")
    assert tool.depends_on == ("library", "zip")
    assert tool.requested_by == ("tool",)
    assert row(lock, "library").requested_by == ()
    assert row(lock, "zip").listed_architecture == "noarch"
    assert row(lock, "tool-doc").url == "repo/x86_64/tool-doc-1.2-r0.apk"
    by_arch = {package.record.name: package for package in packages()}
    for name, package in by_arch.items():
        found = row(lock, name)
        assert found.size == len(package.data)
        assert found.identity == package.record.identity
        assert (found.control.offset, found.data.offset) == package.borders
    assert [key.url for key in lock.keyring] == ["keys/sample.rsa.pub"]
    assert lock.keyring[0].content.encode() == SIGNER.public_key()
    assert all(repository.index_sha256 and repository.fetched for repository in lock.repositories)
    assert dict(lock.requested) == {"x86_64": ("base", "docs", "tool"), "aarch64": ("base", "docs", "tool")}


def test_locks_are_byte_stable() -> None:
    """Whatever the cache, the record order and the request order are."""
    first = write_lock(workshop().locked())
    shop = workshop(requests=("base", "tool"))
    for arch in ("x86_64", "aarch64"):
        shop.publish(arch, packages(arch)[::-1])
    shuffled = shop.locked()
    fields = {"index_sha256": ""}
    assert write_lock(workshop().locked()) == first
    assert [repository._replace(**fields) for repository in shuffled.repositories] == [
        repository._replace(**fields) for repository in parse_lock(first).repositories
    ]
    assert shuffled.packages == parse_lock(first).packages


# --- building from a lock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archs", ["[amd64]", "[amd64, arm64]"])
def test_a_lock_builds_the_same_image_without_index_and_keys(archs: str) -> None:
    shop = workshop(requests=("base", "docs", "tool"), archs=archs)
    wanted, lock = shop.built(), parse_lock(write_lock(shop.locked()))
    other = bare(shop)
    found = other.built(other.replayed(lock))
    assert found.index == wanted.index
    assert found.bills == wanted.bills
    assert other.replayed(lock).indexes == ()


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_sorted_lock_builds_the_same_image(order: list[int]) -> None:
    shop = workshop(requests=("base", "docs", "tool"))
    lock = shop.locked()
    shuffled = replace(lock, packages=tuple(lock.packages[number] for number in order))
    assert shop.replayed(shuffled).plan == shop.resolved().plan


def install_order(shop: Workshop, lock: Lock) -> list[str]:
    return [package.record.name for package in shop.replayed(lock).plan.architectures[0].packages]


def test_the_numbers_of_a_lock_are_the_install_order() -> None:
    """The solver may have had another order among more candidates than the lock holds."""
    shop = workshop(requests=("base", "docs", "tool"))
    lock = shop.locked()
    computed = install_order(shop, lock)
    assert [item.order for item in lock.packages] == [1, 2, 3, 4, 5, 6]
    turned = {"library": row(lock, "zip").order, "zip": row(lock, "library").order}
    other = with_rows(lock, lambda item: item._replace(order=turned.get(item.name, item.order)))
    expected = [{"library": "zip", "zip": "library"}.get(name, name) for name in computed]
    assert install_order(shop, parse_lock(write_lock(other))) == expected != computed
    for number in (0, 1):  # rows that were mended by hand
        mended = with_rows(other, lambda item, number=number: item._replace(order=number) if item.name == "zip" else item)  # type: ignore[misc]
        assert install_order(shop, mended) == computed


def test_a_lock_of_apko_builds_as_well() -> None:
    """Version 1 knows no whole-file digest, no architecture of the record, no dependencies."""
    shop = workshop(requests=("base", "tool"))
    lock = with_rows(
        replace(shop.locked(), requested=(), flags=(), files=()),
        lambda item: item._replace(sha256="", origin="", depends_on=(), requested_by=(), listed_architecture=""),
    )
    plan = bare(shop).replayed(parse_lock(write_lock(lock))).plan.architectures[0]
    assert [package.record.name for package in plan.packages] == [
        package.record.name for package in shop.resolved().plan.architectures[0].packages
    ]


def test_a_package_that_nobody_asks_for_is_installed_all_the_same() -> None:
    """Another solver may have had its reasons."""
    shop = workshop(requests=("base", "docs"))
    lock = replace(shop.locked(), requested=())
    shop.define(definition(("base",)))
    lock = replace(lock, configuration_checksum=shop.loaded().checksum)
    plan = shop.replayed(lock).plan.architectures[0]
    assert {package.record.name for package in plan.packages} == {"base", "docs"}


def test_packages_at_other_addresses_are_found_by_the_lock_alone() -> None:
    shop = workshop()
    lock = shop.locked()
    moved = with_rows(lock, lambda item: item._replace(url=f"elsewhere/{item.name_version}.apk"))
    other = bare(shop)
    for package in packages():
        other.files.put(f"work/elsewhere/{package.file_name}", package.data)
    assert other.replayed(moved).plan.architectures[0].world == ("base", "tool")


def test_fewer_architectures_than_the_lock_has() -> None:
    lock = workshop(archs="[amd64, arm64]").locked()
    shop = workshop(archs="[amd64, arm64]")
    resolution = shop.replayed(lock, Overlay(archs=("arm64",)))
    assert [item.arch for item in resolution.plan.architectures] == [ARM64]


def test_a_definition_that_leaves_the_architectures_open_is_built_for_those_of_the_lock() -> None:
    shop = workshop(archs="[amd64]")
    lock = shop.locked()
    shop.define(definition(("base", "tool"), "[]"))
    lock = replace(lock, configuration_checksum=shop.loaded().checksum)
    assert [item.arch for item in shop.replayed(lock).plan.architectures] == [AMD64]


# --- locks that do not fit ---------------------------------------------------------------------------------------------


def test_an_absent_architecture_is_an_error() -> None:
    shop = workshop()
    fault = refused(lambda: shop.replayed(shop.locked(), Overlay(archs=("arm64",))))
    assert fault.reason == "lock-arch-missing"
    assert "aarch64" in fault.message


def test_a_changed_definition_is_named_with_what_changed() -> None:
    shop = workshop()
    lock = shop.locked()
    shop.define(definition(("base", "docs")))
    fault = refused(lambda: shop.replayed(lock))
    assert fault.reason == "lock-config-changed"
    assert fault.origin.source == "image.lock.json"
    assert list(fault.details) == ["`image.yaml` has changed", "x86_64: +docs", "x86_64: -tool"]


def test_an_included_file_that_changed_is_named() -> None:
    shop = workshop("include: base.yaml")
    shop.files.put("work/base.yaml", b"cmd: /bin/true\n")
    lock = shop.locked()
    shop.files.put("work/base.yaml", b"cmd: /bin/false\n")
    assert list(refused(lambda: shop.replayed(lock)).details) == ["`base.yaml` has changed"]


def test_other_flags_are_named() -> None:
    shop = workshop()
    fault = refused(lambda: shop.replayed(shop.locked(), Overlay(packages=(PackageRequest("docs"),))))
    assert fault.reason == "lock-request-changed"
    assert list(fault.details) == ["x86_64: +docs"]


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_local_files_are_part_of_the_lock(kind: str) -> None:
    shop = workshop(f"paths: [{{path: /opt/x, type: {kind}, from: data/x}}]")
    place = "work/data/x" if kind == "file" else "work/data/x/inner"
    shop.files.put(place, b"before")
    lock = shop.locked()
    shop.replayed(lock)
    shop.files.put(place, b"after")
    fault = refused(lambda: shop.replayed(lock))
    assert fault.reason == "lock-file-changed"
    assert fault.origin.source == "data/x"


def test_a_key_that_the_lock_lacks_is_an_error() -> None:
    shop = workshop()
    assert refused(lambda: shop.replayed(replace(shop.locked(), keyring=()))).reason == "lock-key-missing"


def test_all_that_does_not_fit_is_told_at_once() -> None:
    shop = workshop()
    lock = replace(shop.locked(), keyring=(), packages=())
    fault = refused(lambda: shop.replayed(lock))
    assert isinstance(fault, FaultGroup)
    assert {item.reason for item in fault.faults} == {"lock-arch-missing", "lock-key-missing"}


def test_a_lock_without_config_is_remarked_on() -> None:
    shop = workshop()
    lock = replace(shop.locked(), configuration_checksum="")
    assert shop.replayed(lock).notices == ("image.lock.json does not say from which definition it was made",)


@pytest.mark.parametrize("name", ["library", "base"])
def test_a_row_that_is_missing_is_an_error(name: str) -> None:
    shop = workshop()
    lock = with_rows(shop.locked(), lambda item: None if item.name == name else item)
    fault = refused(lambda: shop.replayed(lock))
    assert fault.reason == "lock-unsatisfied"
    assert any(name in detail for detail in fault.details)


def test_a_row_that_contradicts_the_package_is_an_error() -> None:
    shop = workshop()
    lock = with_rows(shop.locked(), lambda item: item._replace(sha256="00" * 32) if item.name == "tool" else item)
    for place in (shop, bare(shop)):
        fault = refused(lambda place=place: place.replayed(lock))  # type: ignore[misc]
        assert fault.reason == "lock-mismatch"
        assert fault.origin.package == "tool-1.2-r0"


def test_an_address_that_names_another_package_is_an_error() -> None:
    shop = workshop()
    lock = with_rows(
        shop.locked(), lambda item: item._replace(url="repo/x86_64/docs-1.0-r0.apk") if item.name == "tool" else item
    )
    assert refused(lambda: shop.replayed(lock)).reason == "lock-row-url"


# --- updates -----------------------------------------------------------------------------------------------------------


def newer(shop: Workshop) -> None:
    for arch in ("x86_64", "aarch64"):
        shop.publish(arch, packages(arch, "2.1-r0", "1.3-r0"))


def versions(lock: Lock, arch: str = "x86_64") -> dict[str, str]:
    return {item.name: item.version for item in lock.of(arch)}


def test_an_update_changes_what_is_named_and_nothing_else() -> None:
    shop = workshop(archs="[amd64, arm64]")
    lock = shop.locked()
    newer(shop)
    updated = shop.updated(lock, "library")
    for arch in ("x86_64", "aarch64"):
        assert versions(updated, arch) == versions(lock, arch) | {"library": "2.1-r0"}
    kept = {item.name: item for item in lock.packages if item.architecture == "x86_64" and item.name != "library"}
    assert kept == {item.name: item for item in updated.of("x86_64") if item.name != "library"}
    shop.replayed(updated)


def test_an_update_takes_along_what_it_must() -> None:
    shop = workshop()
    lock = shop.locked()
    listed = [item for item in packages() if item.record.name not in ("tool", "library")]
    needs = sample_package("tool", "1.3-r0", depends=["library>2.0-r0", "so:zip.so.1"])
    shop.publish("x86_64", [*listed, needs, *(item for item in packages(library="2.1-r0") if item.record.name == "library")])
    assert versions(shop.updated(lock, "tool")) == versions(lock) | {"library": "2.1-r0", "tool": "1.3-r0"}


def test_packages_that_no_index_lists_any_more_stay() -> None:
    shop = workshop()
    lock = shop.locked()
    newer(shop)
    assert versions(shop.updated(lock, "tool"))["library"] == "2.0-r0"


def test_an_update_follows_a_changed_definition() -> None:
    shop = workshop()
    lock = shop.locked()
    newer(shop)
    shop.define(definition(("base", "library", "docs")))
    assert versions(shop.updated(lock, "base")) == {"base": "1.0-r0", "library": "2.0-r0", "docs": "1.0-r0"}


def test_an_update_of_nothing_new_is_the_same_lock() -> None:
    shop = workshop(archs="[amd64, arm64]")
    lock = shop.locked()
    assert write_lock(shop.updated(lock, "tool")) == write_lock(lock)


def test_an_unknown_name_is_refused() -> None:
    shop = workshop()
    assert refused(lambda: shop.updated(shop.locked(), "absent")).reason == "not-in-lock"


def test_architectures_stay_together_in_an_update() -> None:
    shop = workshop(archs="[amd64, arm64]")
    lock = shop.locked()
    shop.publish("x86_64", packages("x86_64", "2.1-r0"))
    assert versions(shop.updated(lock, "library"), "x86_64")["library"] == "2.0-r0"
    shop.publish("aarch64", packages("aarch64", "2.1-r0"))
    assert versions(shop.updated(lock, "library"), "x86_64")["library"] == "2.1-r0"


# --- drift -------------------------------------------------------------------------------------------------------------


def test_a_drift_that_is_allowed_is_recorded() -> None:
    shop = workshop(archs="[amd64, arm64]")
    shop.publish("x86_64", [*packages(), *packages(library="2.1-r0")[2:3]])
    assert shop.locked().drift == ()
    lock = shop.locked(drift=("library",))
    assert lock.drift == ("library",)
    assert versions(lock)["library"] == "2.1-r0"
    assert versions(lock, "aarch64")["library"] == "2.0-r0"
    assert [item.arch for item in shop.replayed(lock).plan.architectures] == [AMD64, ARM64]


# --- tags and order ----------------------------------------------------------------------------------------------------


def tagged() -> Workshop:
    """`docs` from a repository that must be asked for by its tag."""
    text = definition(("base", "tool", "docs@edge")).replace("[repo]", "[repo, '@edge edge']")
    shop = Workshop({"x86_64": [item for item in packages() if item.record.name != "docs"]}, text)
    docs = sample_package("docs", "9-r0")
    shop.files.put("work/edge/x86_64/APKINDEX.tar.gz", sample_index([docs], SIGNER))
    shop.files.put(f"work/edge/x86_64/{docs.file_name}", docs.data)
    return shop


def test_a_tag_is_kept_also_by_locks_of_apko_which_do_not_say_it() -> None:
    shop = tagged()
    lock, wanted = shop.locked(), shop.resolved().plan
    assert {item.name: item.tag for item in lock.packages if item.tag} == {"docs": "edge"}
    assert shop.replayed(lock).plan == wanted
    silent = with_rows(replace(lock, requested=()), lambda item: item._replace(tag=""))
    assert shop.replayed(silent).plan == wanted
    assert shop.updated(lock, "tool").packages == lock.packages


def test_a_tagged_request_may_be_answered_by_a_repository_without_tag() -> None:
    shop = tagged()
    shop.define(definition(("base", "tool@edge")).replace("[repo]", "[repo, '@edge edge']"))
    lock = shop.locked()
    assert row(lock, "tool").tag == ""
    assert shop.replayed(lock).plan == shop.resolved().plan


def test_rows_follow_the_architectures_of_the_definition() -> None:
    for archs, wanted in (("[arm64, amd64]", ["aarch64", "x86_64"]), ("[x86_64, arm64, amd64]", ["x86_64", "aarch64"])):
        lock = workshop(archs=archs).locked()
        assert list(dict.fromkeys(item.architecture for item in lock.packages)) == wanted
        assert [item.architecture for item in lock.repositories] == wanted


def chosen(*samples: SamplePackage) -> list[SelectedPackage]:
    return [SelectedPackage(item.record, 0) for item in samples]


def test_packages_that_exclude_each_other_are_no_set() -> None:
    """`b` owns the name `a` as well, so only one of them can be there."""
    rivals = chosen(sample_package("a"), sample_package("b", provides=["a=1.0-r0"]))
    fault = refused(lambda: ordered(AMD64, ["a", "b"], rivals))
    assert fault.reason == "lock-unsatisfied"
    assert any("a-1.0-r0" in detail for detail in fault.details)


@given(st.permutations(range(6)))
def test_the_order_of_the_rows_decides_nothing(order: list[int]) -> None:
    rows = chosen(*packages())
    wanted = ordered(AMD64, ["base", "docs", "tool"], rows)
    assert ordered(AMD64, ["tool", "base", "docs"], [rows[number] for number in order]) == wanted
    names = [change.name for change in wanted.changes]
    assert names.index("library") < names.index("tool")
    assert names.index("zip") < names.index("tool") < names.index("tool-doc")
