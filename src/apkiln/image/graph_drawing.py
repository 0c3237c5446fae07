"""Dependency graphs, and contradictions, as text that Graphviz draws (spec image.md §3 `dot`).  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.image.dependency_graph import WORLD, DependencyGraph, Edge, EdgeKind
from apkiln.solver.explanation import Explanation

_STYLES = {EdgeKind.REQUESTED: "style=bold", EdgeKind.DEPENDS: "", EdgeKind.INSTALL_IF: "style=dashed"}
_UNITS = ("B", "KiB", "MiB", "GiB")


def dot(graph: DependencyGraph, title: str, *, spanning_tree: bool = False) -> str:
    """The graph as DOT: packages with version and installed size, an edge for each pair, labelled with what is asked for
    unless that is the package's name.  `spanning_tree`: only the first edge on the shortest way to each package."""
    edges = list(_tree(graph.edges) if spanning_tree else graph.edges)
    lines = [_node(WORLD, title, "shape=box")]
    for record in sorted(graph.packages, key=lambda record: record.name):
        label = f"{record.name}\\n{record.version}\\n{size_text(record.installed_size)}"
        lines.append(_node(record.name, label, f"tooltip={_quoted(record.description)}"))
    for source, target, kind in dict.fromkeys((edge.source, edge.target, edge.kind) for edge in edges):
        if source != target:
            lines.append(_edge(source, target, kind, [edge for edge in edges if edge[::2] == (source, target)]))
    return _drawing(title, lines)


def dot_of_conflict(explanation: Explanation, title: str) -> str:
    """What cannot be together, as DOT: the world items that contradict each other, and each fact that takes part."""
    lines = [_node(WORLD, title, "shape=box")]
    for item in explanation.conflict:
        lines.append(_node(str(item), str(item), "color=red"))
        lines.append(f"{_quoted(WORLD)} -> {_quoted(str(item))} [style=bold];")
        packages = dict.fromkeys(fact.package for fact in explanation.facts if fact.package.rsplit("-", 2)[0] == item.name)
        lines += [f"{_quoted(str(item))} -> {_quoted(package)};" for package in packages]
    for fact in explanation.facts:
        label = f"label={_quoted(fact.kind)}"
        style = "" if fact.kind == "depends" else ", color=red"
        others = fact.by.split() or [fact.item]
        for other in dict.fromkeys(others):
            if fact.kind == "depends" and fact.by:
                lines.append(f"{_quoted(fact.package)} -> {_quoted(other)} [label={_quoted(fact.item)}];")
            else:
                lines.append(f"{_quoted(fact.package)} -> {_quoted(other)} [{label}{style}];")
    return _drawing(title, dict.fromkeys(lines))


def size_text(size: int) -> str:
    """`1.5 MiB`."""
    number, unit = float(size), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def _tree(edges: Iterable[Edge]) -> Iterator[Edge]:
    """Edges by which a walk in breadth from the world first meets each package."""
    outgoing: dict[str, list[Edge]] = {}
    for edge in edges:
        outgoing.setdefault(edge.source, []).append(edge)
    waiting, met = [WORLD], {WORLD}
    for here in waiting:  # grows while it is walked
        for edge in outgoing.get(here, ()):
            if edge.target not in met:
                met.add(edge.target)
                waiting.append(edge.target)
                yield edge


def _edge(source: str, target: str, kind: EdgeKind, edges: Iterable[Edge]) -> str:
    items = [edge.item for edge in edges if edge.kind is kind and edge.item != target]
    label = f"label={_quoted(' '.join(dict.fromkeys(items)))}" if items else ""
    attributes = ", ".join(filter(None, (_STYLES[kind], label)))
    return f"{_quoted(source)} -> {_quoted(target)}{f' [{attributes}]' if attributes else ''};"


def _node(name: str, label: str, more: str) -> str:
    return f"{_quoted(name)} [label={_quoted(label)}, {more}];"


def _drawing(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"digraph {_quoted(title)} {{", "rankdir=LR;", *lines, "}", ""])


def _quoted(text: str) -> str:
    """A DOT string; `\\n` stays a line end."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace("\\\\n", "\\n").replace('"', '\\"') + '"'
