"""Reasons for packages: every chain is a chain, every package of a solution has one, the shortest comes first."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.dependency_graph import WORLD, DependencyGraph, Edge, EdgeKind, dependency_graph
from apkiln.image.graph_drawing import dot, dot_of_conflict, size_text
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

ARCH = Arch.parse("amd64")


def record(name: str, depends: str = "", provides: str = "", install_if: str = "", priority: int = 0) -> IndexRecord:
    identity = name.encode().ljust(20, b"-")
    return IndexRecord(
        name, "1.0-r0", "x86_64", identity, 1, 2048, f'the "{name}"', depends=depends, provides=provides, install_if=install_if,
        provider_priority=priority,
    )  # fmt: skip


APP = [
    record("app", "so:libz.so.1 tool>=1 !bad"),
    record("tool", "zlib"),
    record("zlib", provides="so:libz.so.1=1.2"),
    record("app-doc", install_if="app=1.0-r0 docs"),
    record("docs"),
]


def graph(world: str = "app docs", records: list[IndexRecord] | None = None) -> DependencyGraph:
    return dependency_graph(world.split(), APP if records is None else records)


def test_edges_name_item_and_answer() -> None:
    edges = graph().edges
    assert Edge(WORLD, "app", "app", EdgeKind.REQUESTED) in edges
    assert Edge("app", "so:libz.so.1", "zlib", EdgeKind.DEPENDS) in edges
    assert Edge("app", "tool>=1", "tool", EdgeKind.DEPENDS) in edges
    assert {edge.source for edge in edges if edge.kind is EdgeKind.INSTALL_IF} == {"app", "docs"}
    assert not graph().unanswered


def test_needs_and_requests() -> None:
    assert graph().needs() == {"app": ("tool", "zlib"), "tool": ("zlib",), "zlib": (), "app-doc": (), "docs": ()}
    assert graph("app app=1.0-r0 !bad").requests() == {"app": ("app", "app=1.0-r0")}


def test_the_shortest_chain_of_each_request_comes_first() -> None:
    chains = graph("tool app").chains("zlib")
    assert [[edge.target for edge in chain] for chain in chains] == [["tool", "zlib"], ["app", "zlib"]]
    assert graph().chains("absent") == ()


def test_what_is_provided_is_found() -> None:
    assert graph().answer("so:libz.so.1") == "zlib"
    assert graph().answer("tool") == "tool"
    assert graph().answer("absent") is None


def test_the_package_of_the_name_comes_before_providers_then_the_priority() -> None:
    named = [record("one", provides="virtual=1", priority=9), record("virtual")]
    assert graph("virtual", named).answer("virtual") == "virtual"
    ranked = [record("one", provides="virtual=1"), record("two", provides="virtual=1", priority=5)]
    assert graph("virtual", ranked).answer("virtual") == "two"


def test_what_nothing_else_needs() -> None:
    assert graph().only_for("app") == ("app-doc", "tool", "zlib")
    assert graph("app tool docs").only_for("app") == ("app-doc",)
    assert graph().only_for("docs") == ("app-doc",)
    assert graph().only_for("zlib") == ()


def test_unanswered_items_are_told() -> None:
    assert graph("app absent", APP[:1]).unanswered == ((WORLD, "absent"), ("app", "so:libz.so.1"), ("app", "tool>=1"))


NAMES = [f"p{number}" for number in range(7)]


@st.composite
def solvable(draw: st.DrawFn) -> tuple[list[str], list[IndexRecord]]:
    """Packages that need each other in any way, and a world that asks for some."""
    records = []
    for name in NAMES:
        needs = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
        triggers = draw(st.one_of(st.just(""), st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(" ".join)))
        records.append(record(name, " ".join(needs), f"v:{name}=1", triggers))
    return draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)), records


@given(solvable())
def test_every_package_of_a_solution_has_a_reason(problem: tuple[list[str], list[IndexRecord]]) -> None:
    world, records = problem
    solution = solve([SolverRepository(records)], Request(parse_dependencies(" ".join(world))), ARCH)
    chosen = [item.record for item in solution.packages]
    found = dependency_graph(world, chosen)
    for package in chosen:
        chains = found.chains(package.name)
        assert chains
        assert list(map(len, chains)) == sorted(map(len, chains))
        for chain in chains:
            assert chain[0].source == WORLD
            assert chain[-1].target == package.name
            assert all(before.target == after.source for before, after in pairwise(chain))
        remaining = {record.name for record in chosen} - {package.name, *found.only_for(package.name)}
        others = [item for item in found.edges if item.source in remaining and item.kind is EdgeKind.DEPENDS]
        assert {edge.target for edge in others} <= remaining | {package.name}


# --- drawings ----------------------------------------------------------------------------------------------------------


def nodes_and_edges(text: str) -> tuple[set[str], set[tuple[str, str]]]:
    nodes = set(re.findall(r'^"([^"]*)" \[label=', text, re.MULTILINE))
    return nodes, set(re.findall(r'^"([^"]*)" -> "([^"]*)"', text, re.MULTILINE))


def test_a_drawing_has_every_package_and_every_pair_once() -> None:
    text = dot(graph(), "image.yaml")
    nodes, edges = nodes_and_edges(text)
    assert nodes == {"", *(item.name for item in APP)}
    assert edges == {(edge.source, edge.target) for edge in graph().edges}
    assert text.startswith('digraph "image.yaml" {')
    assert text.count('"app" -> "zlib"') == 1
    assert 'label="so:libz.so.1"' in text
    assert 'tooltip="the \\"app\\""' in text
    assert "2.0 KiB" in text


def test_a_spanning_tree_has_one_edge_to_each_package() -> None:
    _, edges = nodes_and_edges(dot(graph(), "x", spanning_tree=True))
    assert sorted(target for _, target in edges) == sorted(item.name for item in APP)


def test_names_cannot_break_out_of_a_drawing() -> None:
    text = dot(graph('a" ]; evil', [record("a")._replace(description='"; x -> y\n')]), 'x" {')
    assert "evil" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert "x -> y" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)


def test_a_contradiction_is_drawn() -> None:
    records = [record("a", "c"), record("b", "!c"), record("c")]
    try:
        solve([SolverRepository(records)], Request(parse_dependencies("a b")), ARCH)
    except Unsatisfiable as error:
        nodes, edges = nodes_and_edges(dot_of_conflict(error.explanation, "image.yaml"))
        assert {"a", "b"} <= nodes
        assert {("", "a"), ("", "b")} <= edges
        assert {("a", "a-1.0-r0"), ("b", "b-1.0-r0")} <= edges
        assert {"a-1.0-r0", "b-1.0-r0"} <= {source for source, _ in edges}
        return
    raise AssertionError("solved")


def test_sizes() -> None:
    assert [size_text(size) for size in (0, 1023, 1024, 1536, 5 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3072.0 GiB",
    ]  # fmt: skip
