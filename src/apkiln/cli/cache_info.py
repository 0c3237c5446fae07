"""`apkiln cache info`: what the cache holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context

NAME = "cache info"
HELP = """Show where the cache is and how much it holds."""
EPILOG = """examples:
  apkiln cache info
  apkiln cache info --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace, context: Context) -> int:
    import math
    from pathlib import Path

    from apkiln.cli.reporting import amount_text
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.trees import DirectoryTrees, bytes_below

    directory = context.settings.cache_directory
    trees = DirectoryTrees(Path(directory, "trees")).unused(math.inf)
    tree_bytes, sources = sum(tree.size for tree in trees), bytes_below(Path(directory, "sources"))
    usage = DirectoryStore(Path(directory)).usage()
    if context.settings.json:
        tables = [{"name": name, "rows": rows, "bytes": size} for name, rows, size in usage.tables]
        context.output.json(
            {
                "directory": directory,
                "blobs": usage.blobs,
                "bytes": usage.blob_bytes,
                "trees": len(trees),
                "treeBytes": tree_bytes,
                "sourceBytes": sources,
                "unfinished": usage.unfinished,
                "tables": tables,
            }
        )
        return 0
    context.output.print(f"directory   {directory}")
    context.output.print(f"blobs       {usage.blobs} ({amount_text(usage.blob_bytes, 'bytes')})")
    context.output.print(f"trees       {len(trees)} ({amount_text(tree_bytes, 'bytes')})")
    context.output.print(f"sources     {amount_text(sources, 'bytes')}")
    context.output.print(f"unfinished  {usage.unfinished}")
    for name, rows, size in usage.tables:
        context.output.print(f"table       {name}: {rows} rows ({amount_text(size, 'bytes')})")
    return 0
