"""Scores the product on recorded data: `python tests/conformance/score.py DIR [--only NAME…] [--json] [--failures N]`.

DIR holds one folder per corpus, in the shape of the shared conformance data; a corpus is recognised by its folder name and
its README or manifest, so other data of the same shape may stand in its place.  One line per suite and score, the first
failures below it.  Exit code 1 when a suite that is claimed complete has a failure that `known.toml` does not list.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1], HERE.parents[1] / "src"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def main(words: list[str] | None = None) -> int:
    """Run the scorer; returns the exit code."""
    from tests.conformance.scoring import Tally, load_known, run_all
    from tests.conformance.suites.table import load_suites

    parser = argparse.ArgumentParser(description="Score the product on recorded data.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder that holds the corpora")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="suites to run, by name or leading part of it")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument("--failures", type=int, default=3, metavar="N", help="failures to show per score (default 3)")
    arguments = parser.parse_args(words)
    if not arguments.directory.is_dir():
        parser.error(f"{arguments.directory} is no folder")

    def show(tally: Tally) -> None:
        if not arguments.json:
            print("\n".join(tally.lines(arguments.failures)), flush=True)

    known = load_known(HERE / "known.toml")
    tallies = run_all(arguments.directory, load_suites(), known, arguments.only, show)
    if arguments.json:
        print(json.dumps([tally.value(arguments.failures) for tally in tallies], indent=2))
    if not tallies:
        print(f"no corpus recognised below {arguments.directory}", file=sys.stderr)
        return 1
    return int(any(tally.failures and tally.claimed for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
