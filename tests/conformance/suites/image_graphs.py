"""Dependency graphs that the peer drew (`dot`), against ours: the same packages, and every dependency that it shows.

The peer draws what a package asks for beside what answers it, without versions; so an edge is compared as (package, name asked
for).  Where the sets of packages differ, `apko-runs:packages` judges, and the graph is left out.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.scoring import SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.apko_images import is_runs
from tests.conformance.suites.commands import run_command

_NODE = re.compile(r'^("[^"]*"|[^\s"]+)(?: \[(.*)\])?;$')
_EDGE = re.compile(r'^("[^"]*"|[^\s"]+) -> ("[^"]*"|[^\s"]+)$')
_LABEL = re.compile(r'label="([^"]*)"')
_VERSION = re.compile(r"[<>=~@].*")


class Graph(NamedTuple):
    packages: frozenset[str]
    """`name-version`."""
    edges: frozenset[tuple[str, str]]
    """Package, or nothing for the definition, and the name that it asks for."""


def run_recorded(folder: Path) -> Iterator[Outcome]:
    cases = {case["name"]: case for case in json.loads((folder / "manifest.json").read_text())["cases"]}
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted(folder.glob("cases/*/expect/graph.dot")):
            case = cases[path.parents[1].name]
            theirs = parse_dot(path.read_text(), case["config"])
            answer = run_command(
                ["apko", "dot", case["config"], "--json", "--cache-dir", f"{temporary}/cache"], folder, case["env"]
            )
            found = [parse_ours(item) for item in json.loads(answer.output)] if answer.code == 0 else []
            if not any(ours.packages == theirs.packages for ours in found):
                yield Outcome(SKIPPED, case["config"], case["name"], "other packages")
                continue
            ours = next(ours for ours in found if ours.packages == theirs.packages)
            missing = sorted(theirs.edges - ours.edges)
            yield judged(
                case["config"], case["name"], "", [Difference(f"{source or 'definition'} → {name}") for source, name in missing]
            )


def parse_dot(text: str, root: str) -> Graph:
    """What the peer wrote."""
    packages: set[str] = set()
    edges: set[tuple[str, str]] = set()
    names: set[str] = set()
    for line in text.splitlines():
        if node := _NODE.match(line):
            label = _LABEL.search(node[2] or "")
            if label:
                names.add(node[1].strip('"'))
                packages.add(label[1])
        elif edge := _EDGE.match(line):
            edges.add((edge[1].strip('"'), edge[2].strip('"')))
    kept = {("" if source == root else source, _VERSION.sub("", target)) for source, target in edges if source in {*names, root}}
    return Graph(frozenset(packages), frozenset(kept))


def parse_ours(value: Mapping[str, Any]) -> Graph:
    """Our JSON form.  A dependency counts under the name that is asked for and under that of what answers it."""
    packages = frozenset(f"{item['name']}-{item['version']}" for item in value["packages"])
    edges = {(source, _VERSION.sub("", text)) for source, target, _, item in value["edges"] for text in (item, target)}
    return Graph(packages, frozenset(edges))


SUITES = (Suite("apko-runs/graphs", is_runs, run_recorded),)
