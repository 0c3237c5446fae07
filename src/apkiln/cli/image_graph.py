"""`apkiln image graph`: the dependency graph of an image as text that Graphviz draws, as a picture, or as a page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, resolve_definition
from apkiln.core.errors import UnsatisfiableError, UsageError

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.image.dependency_graph import DependencyGraph
    from apkiln.image.directory_sizes import DirectorySize

NAME = "image graph"
HELP = """Print the dependency graph of an image as DOT, one graph for each architecture; as SVG; or as one HTML page.

The page needs nothing else: packages by size, as areas and as a table that can be searched, who needs whom, and for each
package why it is here and what would go with it.  A bold edge is a request of the definition, a dashed one an
`install_if`.  When there is no solution, the graph shows what contradicts what; the error is told as well."""
EPILOG = """examples:
  apkiln image graph image.yaml --arch x86_64 | dot -Tsvg > image.svg
  apkiln image graph image.yaml --arch x86_64 --spanning-tree
  apkiln image graph image.yaml --format html > image.html
  apkiln image graph image.yaml --format html --directories > image.html
  apkiln image graph image.yaml --locked --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    add_lock_arguments(parser)
    parser.add_argument("-S", "--spanning-tree", action="store_true", help="only the shortest way to each package")
    parser.add_argument(
        "--directories", action="store_true", help="the page shows where the bytes lie, too; packages are fetched for that"
    )
    parser.add_argument("--format", choices=("dot", "svg", "html"), default="dot", help="`svg` is of one architecture")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.dependency_graph import dependency_graph
    from apkiln.image.graph_drawing import dot

    try:
        resolved = resolve_definition(arguments, context)
    except UnsatisfiableError as error:
        _draw_conflict(error, arguments, context)
        raise
    resolution = resolved.resolution
    graphs = [
        (plan.arch.apk, dependency_graph(plan.world, [package.record for package in plan.packages]))
        for plan in resolution.plan.architectures
    ]
    if context.settings.json:
        context.output.json(
            [
                {
                    "arch": arch,
                    "packages": [
                        {"name": record.name, "version": record.version, "size": record.installed_size}
                        for record in graph.packages
                    ],
                    "edges": [[edge.source, edge.target, edge.kind.value, edge.item] for edge in graph.edges],
                }
                for arch, graph in graphs
            ]
        )
        return 0
    if arguments.format == "html":
        from apkiln.image.graph_page import page

        directories = _directories(resolved) if arguments.directories else None
        context.output.print(page(arguments.config, graphs, directories).rstrip("\n"))
        return 0
    if arguments.format == "svg":
        context.output.print(_picture(graphs, arguments.config))
        return 0
    for arch, graph in graphs:
        title = arguments.config if len(graphs) == 1 else f"{arguments.config} {arch}"
        context.output.print(dot(graph, title, spanning_tree=arguments.spanning_tree).rstrip("\n"))
    return 0


def _directories(resolved: Resolved) -> dict[str, tuple[DirectorySize, ...]]:
    """Where the bytes of each architecture lie; packages are fetched for that."""
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.image.building import file_sizes
    from apkiln.image.directory_sizes import directory_sizes

    resolution, codec = resolved.resolution, canonical_codec()
    return {
        item.plan.arch.apk: directory_sizes(file_sizes(item, resolution, codec, resolved.access))
        for item in resolution.architectures
    }


def _picture(graphs: list[tuple[str, DependencyGraph]], title: str) -> str:
    from apkiln.image.graph_picture import graph_svg

    if len(graphs) != 1:
        hint = "choose one with `--arch`"
        raise UsageError("one SVG picture is of one architecture", reason="one-architecture", hint=hint)
    return graph_svg(graphs[0][1], title).rstrip("\n")


def _draw_conflict(error: UnsatisfiableError, arguments: argparse.Namespace, context: Context) -> None:
    """The contradiction, where the solver found one."""
    from apkiln.image.graph_drawing import dot_of_conflict
    from apkiln.solver.explanation import Unsatisfiable

    if isinstance(error, Unsatisfiable) and not context.settings.json:
        context.output.print(dot_of_conflict(error.explanation, arguments.config).rstrip("\n"))
