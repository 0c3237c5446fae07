"""`apkiln image graph`: the dependency graph of an image as text that Graphviz draws."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, resolve_definition
from apkiln.core.errors import UnsatisfiableError

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "image graph"
HELP = """Print the dependency graph of an image as DOT, one graph for each architecture.

A bold edge is a request of the definition, a dashed one an `install_if`.  When there is no solution, the graph shows what
contradicts what; the error is told as well."""
EPILOG = """examples:
  apkiln image graph image.yaml --arch x86_64 | dot -Tsvg > image.svg
  apkiln image graph image.yaml --arch x86_64 --spanning-tree
  apkiln image graph image.yaml --locked --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    add_lock_arguments(parser)
    parser.add_argument("-S", "--spanning-tree", action="store_true", help="only the shortest way to each package")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.dependency_graph import dependency_graph
    from apkiln.image.graph_drawing import dot

    try:
        resolution = resolve_definition(arguments, context).resolution
    except UnsatisfiableError as error:
        _draw_conflict(error, arguments, context)
        raise
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
    for arch, graph in graphs:
        title = arguments.config if len(graphs) == 1 else f"{arguments.config} {arch}"
        context.output.print(dot(graph, title, spanning_tree=arguments.spanning_tree).rstrip("\n"))
    return 0


def _draw_conflict(error: UnsatisfiableError, arguments: argparse.Namespace, context: Context) -> None:
    """The contradiction, where the solver found one."""
    from apkiln.image.graph_drawing import dot_of_conflict
    from apkiln.solver.explanation import Unsatisfiable

    if isinstance(error, Unsatisfiable) and not context.settings.json:
        context.output.print(dot_of_conflict(error.explanation, arguments.config).rstrip("\n"))
