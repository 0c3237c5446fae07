"""`apkiln cache clean`: remove what is damaged, old or too much."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.system.build_workspace import ChangeOwners
    from apkiln.system.cache_cleaning import Cleaned

NAME = "cache clean"
HELP = """Check every entry of the cache and remove what is damaged; with limits, also what is old or too much: files by their
digests, results of builds, and the unpacked trees that roots are made of, of which those of the last day stay.  What killed
builds left goes too.  `--all` also removes fetched sources.

Running builds are not disturbed: what they opened stays readable, what they miss they fetch or make again."""
EPILOG = """examples:
  apkiln cache clean
  apkiln cache clean --older-than 30d --max-size 20G
  apkiln cache clean --all
"""
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="remove what was not used for AGE, such as `12h`, `30d`, `4w`"
    )
    parser.add_argument("--max-size", type=_size, metavar="SIZE", help="keep at most SIZE bytes, such as `500M`, `20G`")
    parser.add_argument("--all", action="store_true", help="remove everything")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from dataclasses import replace
    from pathlib import Path

    from apkiln.system.build_workspace import DirectoryWorkspace
    from apkiln.system.cache_cleaning import Cleaned, clean, empty
    from apkiln.system.clock import SystemClock
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.trees import DirectoryTrees

    root = Path(context.settings.cache_directory)
    store = DirectoryStore(root)
    if arguments.all:
        usage = store.usage()
        DirectoryWorkspace.remove_abandoned(root / "builds", _change_owners(context))
        empty(root)
        cleaned = Cleaned(evicted=usage.blobs, freed=usage.blob_bytes, abandoned=usage.unfinished)
    else:
        age = math.inf if arguments.older_than is None else arguments.older_than
        most = 1 << 62 if arguments.max_size is None else arguments.max_size
        trees = DirectoryTrees(root / "trees")
        cleaned = clean(store, SystemClock(), context.reporter, age, most, trees)
        left = DirectoryWorkspace.remove_abandoned(root / "builds", _change_owners(context))
        cleaned = replace(cleaned, abandoned=cleaned.abandoned + left)
    _report(cleaned, context)
    return 0


def _change_owners(context: Context) -> ChangeOwners | None:
    """What removes files of other ids, which an ordinary user's builds leave."""
    import os

    from apkiln.system.bubblewrap import BubblewrapSandbox

    search_path = context.settings.environment.get("PATH", "/usr/bin:/bin")
    return None if os.geteuid() == 0 else BubblewrapSandbox(search_path).change_owners


def _report(cleaned: Cleaned, context: Context) -> None:
    from apkiln.cli.reporting import amount_text

    if context.settings.json:
        value: dict[str, Any] = {
            "damaged": [str(digest) for digest in cleaned.damaged_blobs],
            "damagedRows": [f"{table}/{key}" for table, key in cleaned.damaged_rows],
            "removed": cleaned.evicted,
            "freed": cleaned.freed,
            "trees": cleaned.trees,
            "unfinished": cleaned.abandoned,
        }
        context.output.json(value)
        return
    for digest in cleaned.damaged_blobs:
        context.output.print(f"damaged     {digest}")
    for table, key in cleaned.damaged_rows:
        context.output.print(f"damaged     {table}/{key}")
    context.output.print(f"removed     {cleaned.evicted} blobs, {cleaned.trees} trees ({amount_text(cleaned.freed, 'bytes')})")
    context.output.print(f"unfinished  {cleaned.abandoned}")


def _age(text: str) -> float:
    return _quantity(text, _SECONDS, "an age such as `30d`")


def _size(text: str) -> int:
    return _quantity(text.upper().removesuffix("B"), _BYTES, "a size such as `20G`")


def _quantity(text: str, units: dict[str, int], what: str) -> int:
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    if not (number.isascii() and number.isdigit()):
        raise argparse.ArgumentTypeError(f"`{text}` is not {what}")
    return int(number) * unit
