"""What the gate lets through: named cases of incidents, and that it agrees with the solver asked about everything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency
from apkiln.repository.gate import World, judge, record_findings
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package, record_of
from apkiln.repository.listing import ChangedListing, Listing
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve


def package(
    name: str, version: str = "1-r0", depends: str = "", provides: str = "", origin: str = "", install_if: str = ""
) -> Package:
    seed = f"{name}-{version}".encode().hex()[-40:].rjust(40, "0")
    wide = seed.rjust(64, "0")
    return Package(
        "x86_64", name, version, wide, 10, wide, seed, wide, installed_size=1, origin=origin or name, license="MIT",
        depends=tuple(depends.split()), provides=tuple(provides.split()), install_if=tuple(install_if.split()),
    )  # fmt: skip


def codes(current: list[Package], added: list[Package], removed: list[Package], *worlds: World) -> list[tuple[str, str]]:
    found = judge(Listing(current), ListingChange(tuple(added), tuple(removed)), "x86_64", worlds)
    return [(finding.code, finding.package) for finding in found]


LIB1 = package("lib", "1-r0", provides="so:lib.so.1=1")
LIB2 = package("lib", "2-r0", provides="so:lib.so.2=2")
APP = package("app", depends="so:lib.so.1")


def test_an_installable_package_passes() -> None:
    assert codes([LIB1], [APP], []) == []


def test_a_package_without_its_provider_does_not() -> None:
    assert codes([LIB2], [APP], []) == [("closure", "app-1-r0")]


def test_the_providers_may_come_in_the_same_transaction() -> None:
    assert codes([], [APP, LIB1], []) == []


def test_two_items_that_exclude_each_other() -> None:
    new = package("new", depends="lib=1-r0 lib=2-r0")
    assert codes([LIB1, LIB2], [new], []) == [("closure", "new-1-r0")]


def test_what_breaks_is_named_with_all_who_depend_on_it() -> None:
    top = package("top", depends="app")
    assert codes([LIB1, APP, top], [LIB2], [LIB1]) == [("breaks", "app-1-r0"), ("breaks", "top-1-r0")]


def test_what_was_broken_before_is_not_blamed_on_this_change() -> None:
    broken = package("broken", depends="so:lib.so.1 absent")
    assert codes([LIB1, broken], [], [LIB1]) == []


def test_a_replaced_provider_breaks_nothing() -> None:
    assert codes([LIB1, APP], [package("lib", "1-r1", provides="so:lib.so.1=1")], [LIB1]) == []


def test_a_library_that_only_its_older_self_satisfies() -> None:
    """F11: the new build lost the soname that its own tools need; the old build still has it."""
    old = package("cap-libs", "1-r0", provides="so:libcap.so.2=2", origin="cap")
    new = package("cap-libs", "2-r0", depends="so:libcap.so.2", origin="cap")
    assert codes([old], [new], []) == [("closure", "cap-libs-2-r0")]
    same_build = package("cap", "2-r0", provides="so:libcap.so.2=2", origin="cap")
    assert codes([old], [new, same_build], []) == []


def test_pinned_worlds() -> None:
    """F12: a world that pins what goes away."""
    world = World("image", ("app", "lib=1-r0"))
    assert codes([LIB1, APP], [LIB2], [], world) == []
    assert ("breaks", "image") in codes([LIB1, APP], [], [LIB1], world)


def test_fields_that_would_forge_lines() -> None:
    bad = package("bad")
    forged = Package(**{name: getattr(bad, name) for name in bad.__struct_fields__} | {"description": "x\nP:evil"})
    assert [finding.details for finding in record_findings([forged])] == [("record-field",)]


NAMES = ("a", "b", "c", "d")
items = st.sampled_from(["a", "b", "c", "d", "a=1-r0", "b>=2", "!c", "so:x", "so:y=1", "d<2"])
packages = st.builds(
    package,
    st.sampled_from(NAMES),
    st.sampled_from(["1-r0", "2-r0"]),
    st.lists(items, max_size=2).map(" ".join),
    st.sampled_from(["", "so:x=1", "so:y=1", "so:y=2"]),
)


@settings(max_examples=150)
@given(st.lists(packages, max_size=7, unique_by=lambda item: item.key), st.data())
def test_agrees_with_the_solver_asked_about_everything(pool: list[Package], data: st.DataObject) -> None:
    current = [item for item in pool if data.draw(st.booleans())]
    removed = [item for item in current if data.draw(st.booleans())]
    added = [item for item in pool if item not in current]
    after = [item for item in (*current, *added) if item not in removed]
    found = codes(current, added, removed)
    for item in added:
        if not installable(item, after):
            assert ("closure", item.key.name_version) in found
    for item in current:
        if item not in removed:
            broken = installable(item, current) and not installable(item, after) and not added
            assert not broken or ("breaks", item.key.name_version) in found
            if ("breaks", item.key.name_version) in found:
                assert installable(item, current) and not installable(item, after)


def installable(item: Package, listing: list[Package]) -> bool:
    records = [record_of(package) for package in listing]
    try:
        solve([SolverRepository(records)], Request((Dependency(item.name, "=", item.version),)), Arch.parse("x86_64"))
    except UnsatisfiableError:
        return False
    return True


@given(st.lists(packages, max_size=8, unique_by=lambda item: item.key), st.data())
def test_a_changed_listing_answers_like_one_made_anew(pool: list[Package], data: st.DataObject) -> None:
    current = [item for item in pool if data.draw(st.booleans())]
    removed = tuple(item for item in current if data.draw(st.booleans()))
    added = tuple(item for item in pool if item not in current)
    base = Listing(current)
    changed = ChangedListing(base, ListingChange(added, removed))
    anew = Listing(item for item in (*current, *added) if item not in removed)
    for name in (*NAMES, "so:x", "so:y"):
        for question in ("providers", "requirers", "reverse_install_if"):
            assert {changed.package(number).key for number in getattr(changed, question)(name)} == {
                anew.package(number).key for number in getattr(anew, question)(name)
            }
    base.change(ListingChange(added, removed))
    assert {item.key for item in base} == {item.key for item in anew}
