"""Read models for pages: what follows step by step is what is built from nothing, and both are what the state says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, places, publish, selection

from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.repository.browsing.differences import Changed, difference, rows_of
from apkiln.repository.browsing.files import files_of
from apkiln.repository.browsing.history import BROUGHT_BACK, LISTED_AGAIN, PUBLISHED, RESTORED, WITHDRAWN, history
from apkiln.repository.browsing.inventory import Inventory
from apkiln.repository.browsing.names import SearchTable, SortedNames
from apkiln.repository.browsing.relations import dependents, needs, suggested
from apkiln.repository.browsing.standing import last_first, standing
from apkiln.repository.equipment import Policy
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState
from apkiln.repository.listing import Listing
from apkiln.repository.service import RepositoryService

ARCHES = ("x86_64", "aarch64")
FREE = Policy(sign_packages=False, two_persons=False)

steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "withdraw", "restore", "rollback", "follow"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 6),
        st.sampled_from(ARCHES),
    ),
    max_size=14,
)


def perform(service: RepositoryService, step: tuple[str, str, int, str]) -> None:
    """One change, or nothing where it is not possible."""
    verb, name, number, arch = step
    arch = NOARCH if name == "c" else arch
    package = sample_package(
        name, f"{number}-r0", arch, description=f"{name} {number}", provides=[f"cmd:{name}{number}"], depends=[name]
    )
    key = Key(arch, name, f"{number}-r0")
    known = service.state.accepted.get(key)
    if verb == "publish" and known is None:
        newest = service.state.names.get((arch, name), ())
        if not newest or newest[-1].version < key.version:
            publish(service, package)
    elif verb == "withdraw" and known is not None and known.status.value == "live":
        service.run(ALICE, Manifest(withdraw=(selection(package, arch=arch, name=name),)))
    elif verb == "restore" and known is not None and known.status.value == "withdrawn":
        service.run(ALICE, Manifest(restore=(selection(package, arch=arch, name=name),)))
    elif verb == "rollback":
        service.run(ALICE, Manifest(rollback=min(number, service.state.current)))


@settings(max_examples=60, deadline=None)
@given(steps)
def test_the_history_of_a_package_tells_every_time_an_index_listed_it(taken: list[tuple[str, str, int, str]]) -> None:
    service = created(places(), FREE, ARCHES)
    for step in taken:
        perform(service, step)
    for key, accepted in service.state.accepted.items():
        events = history(service.state, key)
        came = [event.generation for event in events if event.what in (PUBLISHED, RESTORED, BROUGHT_BACK, LISTED_AGAIN)]
        assert came == [first for first, _ in accepted.listed]
        assert (events[-1].what == WITHDRAWN) == (accepted.status.value == "withdrawn")
        for event in events:
            transaction = service.state.transactions[event.transaction]
            assert (event.actor, event.reason) == (transaction.actor, transaction.reason)
            if event.what == PUBLISHED:
                assert key in {package.key for package in transaction.packages}
    assert history(service.state, Key("x86_64", "never", "1")) == ()


def test_a_life_told() -> None:
    service = created(places(), FREE)
    package = sample_package("a", "1-r0")
    publish(service, package, provenance=("sha256:attestation",))
    service.run(ALICE, Manifest(withdraw=(selection(package),)))
    service.run(ALICE, Manifest(restore=(selection(package),)))
    publish(service, sample_package("a", "2-r0"))
    service.run(ALICE, Manifest(rollback=2))
    events = history(service.state, Key("x86_64", "a", "1-r0"))
    assert [event.what for event in events] == ["published", "withdrawn", "restored"]
    assert [event.generation for event in events] == [2, 3, 4]
    assert events[0].provenance == ("sha256:attestation",)
    later = history(service.state, Key("x86_64", "a", "2-r0"))
    assert [event.what for event in later] == ["published", "set aside"]


def told(inventory: Inventory) -> dict[str, object]:
    """Everything an inventory knows."""
    return {
        "keys": inventory.keys,
        "names": list(inventory.names),
        "names_of": {arch: list(names) for arch, names in inventory.names_of.items()},
        "turnover": {number: (set(item.added), set(item.removed)) for number, item in inventory.turnover.items()},
        "search": [inventory.search.find(word) for word in ("a", "b", "c", "cmd:", "1", "2")],
        "generation": inventory.generation,
        "withdrawn": inventory.withdrawn,
        "listings": {arch: tables(listing) for arch, listing in inventory.listings.items()},
    }


def tables(listing: Listing) -> dict[str, tuple[set[Key], ...]]:
    """Who provides and who needs each name."""
    names = {name for package in listing for name in (package.name, *(item.partition("=")[0] for item in package.provides))}
    found = {}
    for name in names:
        sides = (listing.providers(name), listing.requirers(name))
        found[name] = tuple({listing.package(number).key for number in side} for side in sides)
    return found


def listed(state: RepositoryState, generation: int) -> set[Key]:
    return {package.key for package in state.listing_of(generation)} if generation else set()


@settings(max_examples=40, deadline=None)
@given(steps)
def test_following_is_building_anew(taken: list[tuple[str, str, int, str]]) -> None:
    service, following = created(places(), FREE, ARCHES), Inventory()
    for step in taken:
        if step[0] == "follow":
            following.follow(service.state)
        perform(service, step)
    state = service.state
    following.follow(state)
    anew = Inventory()
    assert anew.follow(state) and not anew.follow(state)
    assert told(following) == told(anew)
    assert set(anew.keys) == {key.name for key in state.accepted}
    assert set(anew.names) == {package.name for package in state.listing()}
    assert anew.withdrawn == {key for key in state.accepted if standing(state, key) == "withdrawn"}
    for arch in ARCHES:
        assert set(anew.names_of[arch]) == {package.name for package in state.listing() if package.arch in (arch, NOARCH)}
    for number in range(1, state.current + 1):
        now, before = listed(state, number), listed(state, number - 1)
        assert (set(anew.turnover[number].added), set(anew.turnover[number].removed)) == (now - before, before - now)


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(0, 20), st.integers(0, 20))
def test_differences_are_those_of_the_listings(taken: list[tuple[str, str, int, str]], first: int, second: int) -> None:
    service, inventory = created(places(), FREE, ARCHES), Inventory()
    for step in taken:
        perform(service, step)
    state = service.state
    inventory.follow(state)
    before, after = first % (state.current + 1), second % (state.current + 1)
    found = difference(inventory, before, after)
    rows = rows_of(inventory, found, found.names)
    was, is_now = listed(state, before), listed(state, after)
    assert {Key(row.arch, row.name, version) for row in rows for version in row.added} == is_now - was == set(found.added)
    assert {Key(row.arch, row.name, version) for row in rows for version in row.removed} == was - is_now == set(found.removed)
    assert [row[:2] for row in rows] == sorted({row[:2] for row in rows})
    assert list(found.names) == sorted({key.name for key in was ^ is_now})
    back = difference(inventory, after, before)
    swapped = tuple(Changed(row.name, row.arch, row.added, row.removed) for row in rows)
    assert rows_of(inventory, back, back.names) == swapped


def test_a_way_back_is_followed() -> None:
    service, following = created(places(), FREE, ARCHES), Inventory()
    for number in (1, 2):
        publish(service, sample_package("a", f"{number}-r0"), sample_package(f"only-{number}", origin="a"))
        following.follow(service.state)
    service.run(ALICE, Manifest(rollback=2))
    following.follow(service.state)
    anew = Inventory()
    anew.follow(service.state)
    assert told(following) == told(anew)
    assert list(following.names) == ["a", "only-1"]
    assert {key.name_version for key in following.turnover[4].removed} == {"a-2-r0", "only-2-1.0-r0"}


def test_what_came_and_went_again_is_no_difference() -> None:
    service, inventory = created(places(), FREE), Inventory()
    package = sample_package("a")
    publish(service, package)
    service.run(ALICE, Manifest(withdraw=(selection(package),)))
    service.run(ALICE, Manifest(restore=(selection(package),)))
    inventory.follow(service.state)
    key = Key("x86_64", "a", "1.0-r0")
    assert (difference(inventory, 1, 3).names, difference(inventory, 3, 1).names) == ((), ())
    assert (difference(inventory, 2, 4).names, difference(inventory, 4, 2).names) == ((), ())
    assert list(difference(inventory, 1, 4).added) == [key] == list(difference(inventory, 2, 3).removed)
    assert list(difference(inventory, 4, 3).removed) == [key]


words = st.text("ab-:", min_size=1, max_size=3)


@given(st.dictionaries(words, words, max_size=40), st.lists(st.tuples(words, words), max_size=20), words)
def test_search_finds_what_a_look_at_every_name_finds(
    rows: dict[str, str], changes: list[tuple[str, str]], question: str
) -> None:
    table = SearchTable(rows.items())
    for name, text in changes:
        rows[name] = text
        table.put(name, text)
    found = table.find(question.upper())
    assert sorted(found) == sorted(name for name, text in rows.items() if question in f"{name} {text}")
    rank = {name: (name != question, not name.startswith(question), question not in name, name) for name in found}
    assert list(found) == sorted(found, key=rank.__getitem__)
    assert len(table) == len(rows)


def test_search_over_many_blocks_and_with_several_words() -> None:
    table = SearchTable((f"name-{number:05d}", f"text {number % 7}") for number in range(3000))
    for number in range(3000, 5000):
        table.put(f"name-{number:05d}", f"text {number % 7}")
    assert len(table) == 5000
    assert table.find("name-04999") == ("name-04999",)
    assert table.find("NAME 0001 text 3") == tuple(f"name-{n:05d}" for n in range(5000) if "0001" in f"{n:05d}" and holds(n))
    assert table.find("nothing") == table.find("") == table.find(" \n ") == ()
    assert table.find("x" * 10_000) == ()


def holds(number: int) -> bool:
    return "3" in f"name-{number:05d} text {number % 7}"


def test_a_text_cannot_reach_into_the_next_line() -> None:
    table = SearchTable([("a", "begin\nb end"), ("b", "x")])
    assert table.find("begin") == ("a",)
    assert table.find("end") == ("a",)


@given(st.lists(st.tuples(st.booleans(), words), max_size=60))
def test_sorted_names_are_a_sorted_set(changes: list[tuple[bool, str]]) -> None:
    names, model = SortedNames(["a"]), {"a"}
    for wanted, name in changes:
        if wanted:
            names.add(name)
            model.add(name)
        else:
            names.discard(name)
            model.discard(name)
    assert list(names) == sorted(model) and len(names) == len(model)
    assert all((name in names) is (name in model) for _, name in changes)
    assert list(names.part(1, 2)) == sorted(model)[1:3]


def test_dependencies_both_ways() -> None:
    service = created(arches=("x86_64",))
    old = sample_package("lib", "1-r0", provides=["so:lib.so.1=1", "cmd:lib=1"])
    new = sample_package("lib", "2-r0", provides=["so:lib.so.1=1.5", "so:lib.so.2=2"])
    other = sample_package("other", provides=["so:lib.so.1=9"])
    exact = sample_package("exact", depends=["lib=1-r0"])
    app = sample_package("app", depends=["so:lib.so.1>1.2", "so:lib.so.1", "!none"])
    extra = sample_package("extra", install_if=["lib=2-r0", "app"])
    for packages in ((old,), (new,), (other,), (exact, app, extra)):
        assert publish(service, *packages).step.value == "live"
    listing = Listing(service.state.listing())

    def package(name: str, version: str) -> object:
        return service.state.accepted[Key("x86_64", name, version)].package

    found = needs(listing, package("app", "1.0-r0"))  # type: ignore[arg-type]
    assert [(need.item, need.conflict, {key.name_version for key in need.answers}) for need in found] == [
        ("so:lib.so.1>1.2", False, {"lib-2-r0", "other-1.0-r0"}),
        ("so:lib.so.1", False, {"lib-1-r0", "lib-2-r0", "other-1.0-r0"}),
        ("!none", True, set()),
    ]
    of_old = dependents(listing, package("lib", "1-r0"))  # type: ignore[arg-type]
    assert [(item.key.name, item.item) for item in of_old] == [("app", "so:lib.so.1"), ("exact", "lib=1-r0")]
    of_new = dependents(listing, package("lib", "2-r0"))  # type: ignore[arg-type]
    assert [(item.key.name, item.item) for item in of_new] == [("app", "so:lib.so.1>1.2")]
    assert [key.name for key in suggested(listing, package("lib", "2-r0"))] == ["extra"]  # type: ignore[arg-type]


def test_a_need_that_cannot_be_read_is_met_by_nothing() -> None:
    service = created()
    publish(service, sample_package("a"))
    listing = Listing(service.state.listing())
    broken = service.state.accepted[Key("x86_64", "a", "1.0-r0")].package
    import msgspec

    item = needs(listing, msgspec.structs.replace(broken, depends=("a>=", "")))
    assert [need.answers for need in item] == [(), ()]


def test_standing_follows_what_happens() -> None:
    service = created(places(), FREE)
    versions = [sample_package("a", f"{number}-r0") for number in range(1, 5)]
    for version in versions:
        publish(service, version)
    key = Key("x86_64", "a", "1-r0")
    assert standing(service.state, key) == "retained"
    assert standing(service.state, Key("x86_64", "a", "4-r0")) == "live"
    service.run(ALICE, Manifest(withdraw=(selection(versions[3]), selection(versions[0]))))
    assert standing(service.state, key) == "withdrawn"
    inventory = Inventory()
    inventory.follow(service.state)
    assert last_first(service.state, inventory.withdrawn) == (key, Key("x86_64", "a", "4-r0"))


def test_files_come_from_the_file_that_is_served() -> None:
    service = created()
    publish(service, sample_package("a", files={"usr/bin/a": b"#!/bin/sh\n", "etc/a.conf": b"x=1\n"}))
    package = service.state.accepted[Key("x86_64", "a", "1.0-r0")].package
    found = files_of(package, service.equipment.blobs, DEFAULT_LIMITS)
    assert [(row.path, row.kind, row.mode, row.size) for row in found.rows if row.kind == "file"] == [
        ("etc/a.conf", "file", "0644", 4),
        ("usr/bin/a", "file", "0644", 10),
    ]
    assert {row.path for row in found.rows if row.kind == "directory"} == {"etc", "usr", "usr/bin"}
