"""The dependency graph as one self-contained HTML page: searchable, with sizes, reasons, and what would go with a package.  Pure.

Nothing is loaded from anywhere; text of packages reaches the page escaped or as JSON that cannot end its script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from apkiln.core import canonical_json
from apkiln.image.dependency_graph import WORLD, DependencyGraph
from apkiln.image.directory_sizes import DirectorySize
from apkiln.image.graph_drawing import size_text
from apkiln.image.graph_picture import graph_svg, treemap_svg

_STYLE = """:root{color-scheme:light dark}
body{font:14px sans-serif;margin:1.5em;color:#223;background:#fff}
h2{margin:1.2em 0 .4em}input{font:inherit;padding:.3em;width:20em}
table{border-collapse:collapse;margin-top:.6em}td,th{padding:.15em .8em;text-align:left;border-bottom:1px solid #dde}
td.size{text-align:right}tr.package,g{cursor:pointer}tr.chosen{background:#fff2c8}g.chosen rect{fill:#ffd76a}
path.chosen{stroke:#d07000;stroke-width:2}.picture{overflow:auto;border:1px solid #dde;max-height:40em}
.about{background:#f6f8fc;padding:.6em 1em;min-height:3em;white-space:pre-line}.area text{fill:#223}
@media(prefers-color-scheme:dark){body{color:#dde3ee;background:#14181f}td,th,.picture{border-color:#2c3442}
.about{background:#1d2430}tr.chosen{background:#4a3c10}.package rect{fill:#232c3a;stroke:#8fa3c4}.package text{fill:#dde3ee}
path.edge{stroke:#8fa3c4}g.chosen rect{fill:#8a6a10}path.chosen{stroke:#ffb44d}.area rect{filter:brightness(.8)}
.area rect{stroke:#14181f}}"""

_SCRIPT = """const facts=JSON.parse(document.getElementById('facts').textContent);
const all=(selector,root=document)=>[...root.querySelectorAll(selector)];
function choose(section,name){const found=facts[section.dataset.arch][name];if(!found)return;
all('.chosen',section).forEach(e=>e.classList.remove('chosen'));
all('[data-name]',section).filter(e=>e.dataset.name===name).forEach(e=>e.classList.add('chosen'));
all('path.edge',section).filter(e=>e.dataset.from===name||e.dataset.to===name).forEach(e=>e.classList.add('chosen'));
section.querySelector('.about').textContent=found;}
for(const section of all('section')){
section.addEventListener('click',event=>{const e=event.target.closest('[data-name]');if(e)choose(section,e.dataset.name);});
section.querySelector('input').addEventListener('input',event=>{const word=event.target.value.toLowerCase();
all('tr.package',section).forEach(e=>{e.hidden=!e.textContent.toLowerCase().includes(word);});});}"""


Directories = Mapping[str, tuple[DirectorySize, ...]]


def page(title: str, graphs: Sequence[tuple[str, DependencyGraph]], directories: Directories | None = None) -> str:
    """The page.  `graphs`: architecture and graph; each becomes a section.  `directories`: where the bytes of an architecture
    lie, for those that have a picture of it."""
    places = directories or {}
    facts = {
        arch: {record.name: _about(graph, record.name) for record in graph.packages}
        | {_key(row): _about_directory(row) for row in places.get(arch, ())}
        for arch, graph in graphs
    }
    data = canonical_json.encode(facts).decode().replace("<", "\\u003c")
    sections = "\n".join(_section(arch, graph, title, places.get(arch, ())) for arch, graph in graphs)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{escape(title)}</h1>\n{sections}\n"
        f'<script id="facts" type="application/json">{data}</script><script>{_SCRIPT}</script></body></html>\n'
    )


def _section(arch: str, graph: DependencyGraph, title: str, directories: Sequence[DirectorySize]) -> str:
    records = sorted(graph.packages, key=lambda record: (-record.installed_size, record.name))
    rows = "\n".join(
        f'<tr class="package" data-name="{escape(record.name)}"><td>{escape(record.name)}</td><td>{escape(record.version)}</td>'
        f'<td class="size">{size_text(record.installed_size)}</td><td>{escape(record.description)}</td></tr>'
        for record in records
    )
    total = size_text(sum(record.installed_size for record in records))
    return (
        f'<section data-arch="{escape(arch)}"><h2>{escape(arch)}: {len(records)} packages, {total}</h2>'
        '<p><input type="search" placeholder="search packages" aria-label="search packages"></p>'
        '<p class="about">Choose a package to see why it is here and what would go with it.</p>'
        f'<div class="picture">{treemap_svg((record.name, record.installed_size) for record in records)}</div>'
        f"{_directories(directories)}"
        f'<h2>Who needs whom</h2><div class="picture">{graph_svg(graph, title)}</div>'
        "<h2>Packages</h2><table><tr><th>name</th><th>version</th><th>size</th><th>what it is</th></tr>"
        f"\n{rows}\n</table></section>"
    )


def _directories(rows: Sequence[DirectorySize]) -> str:
    """The second picture of sizes: the same bytes by place."""
    if not rows:
        return ""
    total, files = sum(row.size for row in rows), sum(row.files for row in rows)
    areas = treemap_svg((_key(row), row.size) for row in rows)
    return f'<h2>Where the bytes lie: {size_text(total)} in {files} files</h2><div class="picture">{areas}</div>'


def _key(row: DirectorySize) -> str:
    """What a directory is called; no package has a name with a slash."""
    return f"/{row.path}" if row.whole and row.path else f"/{row.path}/*".replace("//", "/")


def _about_directory(row: DirectorySize) -> str:
    what = "everything below" if row.whole else "its own files, without those of its directories"
    return f"{_key(row)}, {size_text(row.size)} in {row.files} {'file' if row.files == 1 else 'files'}\n{what}"


def _about(graph: DependencyGraph, name: str) -> str:
    """Why a package is there, and what would go if it went."""
    sizes = {record.name: record.installed_size for record in graph.packages}
    lines = [f"{name}, {size_text(sizes[name])}"]
    for chain in graph.chains(name)[:5]:
        words = ["the definition" if edge.source == WORLD else edge.source for edge in chain]
        lines.append("here because of: " + " → ".join([*words, name]))
    gone = graph.only_for(name)
    freed = size_text(sizes[name] + sum(sizes[other] for other in gone))
    lines.append(f"would go with it: {', '.join(gone) or 'nothing else'} ({freed} in all)")
    return "\n".join(lines)
