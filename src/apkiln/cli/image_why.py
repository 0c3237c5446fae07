"""`apkiln image why`: the reasons for one package of an image."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, resolve_definition
from apkiln.core.errors import UsageError

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.dependency_graph import DependencyGraph, Edge

NAME = "image why"
HELP = """Tell why a package is in an image: the shortest chain from each entry of the definition that leads to it.

PACKAGE is a name, or something that a package provides, such as `so:libssl.so.3`.  Below the chains stands what would go
with the package if nothing asked for it."""
EPILOG = """examples:
  apkiln image why image.yaml libcrypto3
  apkiln image why image.yaml so:libssl.so.3 --arch x86_64
  apkiln image why image.yaml zlib --locked --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    add_lock_arguments(parser)
    parser.add_argument("package", metavar="PACKAGE", help="package, or what one provides")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.dependency_graph import dependency_graph

    resolution = resolve_definition(arguments, context).resolution
    found: list[tuple[str, DependencyGraph, str]] = []
    for plan in resolution.plan.architectures:
        graph = dependency_graph(plan.world, [package.record for package in plan.packages])
        name = graph.answer(arguments.package)
        if name is not None:
            found.append((plan.arch.apk, graph, name))
    if not found:
        message = f"`{arguments.package}` is not in the image"
        hint = "`apkiln image packages` lists what is; `apkiln apk solve` tells why something cannot be"
        raise UsageError(message, reason="not-in-image", hint=hint)
    if context.settings.json:
        context.output.json([{"arch": arch, **_value(graph, name)} for arch, graph, name in found])
        return 0
    several = len(resolution.plan.architectures) > 1
    for arch, graph, name in found:
        if several:
            context.output.print(f"{arch}:")
        _print(graph, name, "  " if several else "", context)
    return 0


def _print(graph: DependencyGraph, name: str, indent: str, context: Context) -> None:
    record = next(record for record in graph.packages if record.name == name)
    context.output.print(f"{indent}{record.name_version}")
    for chain in graph.chains(name):
        context.output.print(f"{indent}  {_chain(chain)}")
    others = graph.only_for(name)
    if others:
        context.output.print(f"{indent}  nothing else needs: {' '.join(others)}")


def _chain(chain: tuple[Edge, ...]) -> str:
    """`definition asks for app → app needs so:libssl.so.3: libssl3`."""
    from apkiln.image.dependency_graph import EdgeKind

    parts = []
    for edge in chain:
        answer = "" if edge.item == edge.target else f": {edge.target}"
        if edge.kind is EdgeKind.REQUESTED:
            parts.append(f"the definition asks for {edge.item}{answer}")
        elif edge.kind is EdgeKind.DEPENDS:
            parts.append(f"{edge.source} needs {edge.item}{answer}")
        else:
            parts.append(f"{edge.target} comes with {edge.item}")
    return " → ".join(parts)


def _value(graph: DependencyGraph, name: str) -> dict[str, Any]:
    record = next(record for record in graph.packages if record.name == name)
    return {
        "package": name,
        "version": record.version,
        "chains": [[_edge(edge) for edge in chain] for chain in graph.chains(name)],
        "reasons": [_edge(edge) for edge in graph.reasons(name)],
        "only_for": list(graph.only_for(name)),
    }


def _edge(edge: Edge) -> dict[str, str]:
    return {"source": edge.source, "item": edge.item, "target": edge.target, "kind": edge.kind.value}
