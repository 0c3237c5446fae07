"""Pictures of a dependency graph as SVG: packages in columns by their distance from the definition, and sizes as areas.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from apkiln.core.named_tuple import NamedTuple
from apkiln.image.dependency_graph import WORLD, DependencyGraph, EdgeKind
from apkiln.image.graph_drawing import size_text

_COLUMN, _ROW, _WIDTH, _HEIGHT, _MARGIN = 240, 34, 190, 24, 12
_STROKES = {EdgeKind.REQUESTED: "2", EdgeKind.DEPENDS: "1", EdgeKind.INSTALL_IF: "1"}


class Box(NamedTuple):
    """A rectangle of a treemap."""

    name: str
    size: int
    x: float
    y: float
    width: float
    height: float


def graph_svg(graph: DependencyGraph, title: str) -> str:
    """One SVG document.  Every package is a group of class `package` with its name as `data-name`; every edge a path of class
    `edge` with `data-from` and `data-to`.  Bold edges are requests, dashed ones `install_if`."""
    places = _places(graph)
    columns = max((x for x, _ in places.values()), default=0) + 1
    rows = max((y for _, y in places.values()), default=0) + 1
    sizes = {record.name: record.installed_size for record in graph.packages}
    width, height = columns * _COLUMN + 2 * _MARGIN, rows * _ROW + 2 * _MARGIN
    area = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {area} font-family="sans-serif" font-size="12">']
    seen = dict.fromkeys((edge.source, edge.target, edge.kind) for edge in graph.edges if edge.source != edge.target)
    parts += [_edge(places[source], places[target], source, target, kind) for source, target, kind in seen]
    for name, place in places.items():
        label = title if name == WORLD else f"{name} · {size_text(sizes[name])}"
        parts.append(_node(name, label, place))
    return "\n".join([*parts, "</svg>", ""])


def treemap(sizes: Iterable[tuple[str, int]], width: float, height: float) -> tuple[Box, ...]:
    """Rectangles that fill the area in proportion to the sizes, largest first, as near to squares as cutting allows.

    Names of size 0 are left out.  Each step halves the list by size and the area along its longer side.
    """
    listed = sorted(((name, size) for name, size in sizes if size > 0), key=lambda item: (-item[1], item[0]))
    found: list[Box] = []
    waiting = [(listed, 0.0, 0.0, width, height)]
    while waiting:
        items, x, y, wide, high = waiting.pop()
        if len(items) <= 1:
            found += [Box(name, size, x, y, wide, high) for name, size in items]
            continue
        cut, share = _half(items)
        if wide >= high:
            waiting += [(items[:cut], x, y, wide * share, high), (items[cut:], x + wide * share, y, wide * (1 - share), high)]
        else:
            waiting += [(items[:cut], x, y, wide, high * share), (items[cut:], x, y + high * share, wide, high * (1 - share))]
    return tuple(sorted(found, key=lambda box: (-box.size, box.name)))


def _half(items: Sequence[tuple[str, int]]) -> tuple[int, float]:
    """Where the list is cut so that both sides weigh about the same, and the share of the first."""
    total, first, cut = sum(size for _, size in items), 0, 0
    while cut < len(items) - 1 and (cut == 0 or (first + items[cut][1]) * 2 <= total):
        first += items[cut][1]
        cut += 1
    return cut, first / total


def treemap_svg(sizes: Iterable[tuple[str, int]], width: int = 960, height: int = 420) -> str:
    """The areas as SVG; every box is a group of class `area` with its name as `data-name`."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">']
    for number, box in enumerate(treemap(sizes, width, height)):
        text = f"{box.name} · {size_text(box.size)}"
        fits = box.width > 7 * len(box.name) and box.height > 16
        label = _text(box.x, box.y + 14, box.name) if fits else ""
        label += _text(box.x, box.y + 28, size_text(box.size)) if fits and box.height > 32 and box.width > 60 else ""
        area = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        rectangle = f'<rect {area} fill="hsl({number * 47 % 360} 60% 82%)" stroke="#fff"/>'
        parts.append(f'<g class="area" data-name="{escape(box.name)}"><title>{escape(text)}</title>{rectangle}{label}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x + 4:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _places(graph: DependencyGraph) -> dict[str, tuple[int, int]]:
    """Column and row of the definition and of each package: breadth first, names of a column in order of their meeting."""
    outgoing: dict[str, list[str]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge.target)
    column = {WORLD: 0}
    waiting = [WORLD]
    for here in waiting:  # grows while it is walked
        for target in outgoing.get(here, ()):
            if target not in column:
                column[target] = column[here] + 1
                waiting.append(target)
    for record in graph.packages:
        column.setdefault(record.name, 1)
    rows: dict[int, int] = {}
    places = {}
    for name, number in column.items():
        places[name] = (number, rows.get(number, 0))
        rows[number] = rows.get(number, 0) + 1
    return places


def _node(name: str, label: str, place: tuple[int, int]) -> str:
    x, y = place[0] * _COLUMN + _MARGIN, place[1] * _ROW + _MARGIN
    box = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4" fill="#eef3fb" stroke="#56789c"/>'
    shown = label if len(label) <= 27 else label[:26] + "…"
    text = f'<text x="{x + 6}" y="{y + 16}">{escape(shown)}</text>'
    return f'<g class="package" data-name="{escape(name)}"><title>{escape(label)}</title>{box}{text}</g>'


def _edge(source: tuple[int, int], target: tuple[int, int], start: str, end: str, kind: EdgeKind) -> str:
    x1, y1 = source[0] * _COLUMN + _MARGIN + _WIDTH, source[1] * _ROW + _MARGIN + _HEIGHT // 2
    x2, y2 = target[0] * _COLUMN + _MARGIN, target[1] * _ROW + _MARGIN + _HEIGHT // 2
    if x2 <= x1:
        x2 += _WIDTH if source[0] == target[0] else 0
    middle = (x1 + x2) // 2 if x2 > x1 else x1 + 30
    dashes = ' stroke-dasharray="5 3"' if kind is EdgeKind.INSTALL_IF else ""
    line = f'd="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" stroke="#9ab" stroke-width="{_STROKES[kind]}"'
    return f'<path class="edge" data-from="{escape(start)}" data-to="{escape(end)}" {line}{dashes}/>'
