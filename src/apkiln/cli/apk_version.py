"""`apkiln apk version`: compare versions, find invalid ones."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from apkiln.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apkiln.cli.context import Context

NAME = "apk version"
HELP = """Compare versions by apk's order, or list those that are invalid.

--test prints `<`, `=` or `>`, and nothing with exit code 1 when one of the two is invalid; with `-` it reads pairs from
standard input, one a line, and answers `?` for an invalid one.  --check prints the invalid ones; the exit code is their
number, at most 99."""
EPILOG = """examples:
  apkiln apk version --test 1.2-r3 1.10-r0
  apkiln apk version --check 1.2_rc1 1.2-1
  printf '1.0 1.1\\n2 1\\n' | apkiln apk version --test -
"""
_MOST = 99
_SIGNS = {-1: "<", 0: "=", 1: ">"}


def configure(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("-t", "--test", nargs="+", metavar="VERSION", help="two versions, or `-`")
    choice.add_argument("-c", "--check", nargs="+", metavar="VERSION", help="versions to check")


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.check is not None:
        return _check(arguments.check, context)
    if arguments.test == ["-"]:
        return _compare_lines(sys.stdin, context)
    if len(arguments.test) != 2:
        raise UsageError("`--test` takes two versions, or `-`", reason="bad-arguments")
    sign = _sign(*arguments.test)
    if context.settings.json:
        context.output.json({"a": arguments.test[0], "b": arguments.test[1], "order": sign or None})
    elif sign:
        context.output.print(sign)
    return 0 if sign else 1


def _sign(a: str, b: str) -> str:
    from apkiln.formats.apk.version import compare, is_valid

    return _SIGNS[compare(a, b)] if is_valid(a) and is_valid(b) else ""


def _compare_lines(lines: Iterable[str], context: Context) -> int:
    rows = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 2:
            raise UsageError(f"line {number} of standard input does not hold two versions", reason="bad-pair")
        rows.append((words[0], words[1], _sign(*words)))
    if context.settings.json:
        context.output.json([{"a": a, "b": b, "order": sign or None} for a, b, sign in rows])
    else:
        for _, _, sign in rows:
            context.output.print(sign or "?")
    return 0 if all(sign for _, _, sign in rows) else 1


def _check(texts: list[str], context: Context) -> int:
    from apkiln.formats.apk.version import is_valid

    invalid = [text for text in texts if not is_valid(text)]
    if context.settings.json:
        context.output.json(invalid)
    else:
        for text in invalid:
            context.output.print(text)
    return min(len(invalid), _MOST)
