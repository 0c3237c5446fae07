"""Pictures of dependency graphs: everything is shown, sizes are areas, and no text of a package can change the page."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.apk.records import IndexRecord
from apkiln.image.dependency_graph import DependencyGraph, dependency_graph
from apkiln.image.directory_sizes import DirectorySize, directory_sizes
from apkiln.image.graph_page import page
from apkiln.image.graph_picture import graph_svg, treemap, treemap_svg

EVIL = '</script><script>alert("x")</script><b title="\'&'
SVG = "{http://www.w3.org/2000/svg}"


def graph(description: str = "what it is") -> DependencyGraph:
    def record(name: str, depends: str = "", install_if: str = "") -> IndexRecord:
        return IndexRecord(name, "1-r0", "x86_64", name.encode() * 5, 1, 5000 + len(name), description, depends=depends,
                           install_if=install_if)  # fmt: skip

    records = [record("app", "library"), record("library", "base"), record("base"), record("extra", install_if="app base")]
    return dependency_graph(["app"], records)


def test_every_package_and_edge_is_in_the_picture() -> None:
    root = ElementTree.fromstring(graph_svg(graph(), "image.yaml"))
    assert {item.get("data-name") for item in root.iter(f"{SVG}g")} == {"", "app", "library", "base", "extra"}
    edges = {(item.get("data-from"), item.get("data-to"), item.get("stroke-dasharray")) for item in root.iter(f"{SVG}path")}
    assert {("", "app", None), ("app", "library", None), ("library", "base", None), ("app", "extra", "5 3")} <= edges
    assert graph_svg(graph(), "image.yaml") == graph_svg(graph(), "image.yaml")


@given(st.lists(st.integers(0, 10**9), max_size=40))
def test_areas_are_in_proportion_and_inside(sizes: list[int]) -> None:
    named = [(str(number), size) for number, size in enumerate(sizes)]
    boxes = treemap(named, 800, 300)
    assert {(box.name, box.size) for box in boxes} == {item for item in named if item[1] > 0}
    total = sum(sizes)
    for box in boxes:
        assert box.width * box.height == pytest.approx(800 * 300 * box.size / total, rel=1e-6, abs=1e-3)
        assert box.x >= -1e-6 and box.y >= -1e-6
        assert box.x + box.width <= 800 + 1e-6 and box.y + box.height <= 300 + 1e-6


PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(PATHS, st.integers(0, 1000), max_size=40), st.integers(1, 20))
def test_directories_are_the_whole_and_no_more_than_fit(files: dict[str, int], most: int) -> None:
    rows = directory_sizes(files.items(), most)
    assert sum(row.size for row in rows) == sum(files.values())
    assert sum(row.files for row in rows) == len(files)
    assert len(rows) <= max(most, 1)
    assert directory_sizes(reversed(list(files.items())), most) == rows
    for row in rows:
        below = [path for path in files if not row.path or path.startswith(f"{row.path}/")]
        own = [path for path in below if path.rpartition("/")[0] == row.path]
        counted = below if row.whole else own
        assert (row.size, row.files) == (sum(files[path] for path in counted), len(counted))


def test_the_largest_directory_is_cut_first() -> None:
    files = [("usr/lib/a", 70), ("usr/lib/x/b", 20), ("usr/bin/c", 30), ("etc/d", 5)]
    assert [(row.path, row.size) for row in directory_sizes(files, 3)] == [("usr/lib", 90), ("usr/bin", 30), ("etc", 5)]
    assert [(row.path, row.whole) for row in directory_sizes(files, 4)][:2] == [("usr/lib", False), ("usr/bin", True)]
    assert directory_sizes([("a", 1)]) == (DirectorySize("", 1, 1, True),)
    assert directory_sizes([]) == ()


def test_the_page_shows_where_the_bytes_lie() -> None:
    rows = directory_sizes([("usr/lib/a", 70), ("usr/<b>/c", 30), ("etc/d", 5)])
    shown = page("image.yaml", [("x86_64", graph())], {"x86_64": rows})
    assert "Where the bytes lie: 105 B in 3 files" in shown
    assert 'data-name="/usr/lib"' in shown and "/usr/&lt;b&gt;" in shown and "<b>" not in shown
    reader = _Reader()
    reader.feed(shown)
    assert "70 B in 1 file\n" in json.loads(reader.facts)["x86_64"]["/usr/lib"]
    assert "Where the bytes lie" not in page("image.yaml", [("x86_64", graph())])


class _Reader(HTMLParser):
    """Tags by name, and the text of the facts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.facts = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = dict(attrs).get("id") == "facts"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.facts += data
            self._inside = False


def test_the_page_tells_why_a_package_is_there_and_what_would_go() -> None:
    reader = _Reader()
    reader.feed(page("image.yaml", [("x86_64", graph())]))
    facts = json.loads(reader.facts)["x86_64"]
    assert "here because of: the definition → app → library" in facts["library"]
    assert "would go with it: base, extra" in facts["library"]
    assert "would go with it: base, extra, library" in facts["app"]


def test_text_of_packages_stays_text_and_nothing_is_loaded() -> None:
    text = page(EVIL, [("x86_64", graph(EVIL))])
    reader = _Reader()
    reader.feed(text)
    assert reader.tags.count("script") == 2 and "b" not in reader.tags
    assert "src=" not in text and "href=" not in text and "url(" not in text
    ElementTree.fromstring(graph_svg(graph(EVIL), EVIL))
    ElementTree.fromstring(treemap_svg([(EVIL, 3), ("a", 4)]))
