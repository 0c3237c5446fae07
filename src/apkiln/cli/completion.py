"""Shell completion for all commands, made from their own parsers; imports every command module."""

from __future__ import annotations

import argparse
from importlib import import_module

from apkiln.cli.commands import COMMANDS, NOUNS
from apkiln.core.errors import EnvironmentFault, UsageError

SHELLS = ("bash", "zsh", "tcsh")


def complete_parser() -> argparse.ArgumentParser:
    """One parser with every noun and verb below it."""
    from apkiln.cli.dispatch import add_common_arguments

    parser = argparse.ArgumentParser(prog="apkiln")
    parser.add_argument("--version", action="store_true", help="print the version")
    nouns = parser.add_subparsers()
    for noun, summary in NOUNS.items():
        verbs = nouns.add_parser(noun, help=summary).add_subparsers()
        below: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
        for command_noun, verb, module_name, text in COMMANDS:
            if command_noun == noun:
                group, _, word = verb.rpartition(" ")
                if group and group not in below:
                    below[group] = verbs.add_parser(group).add_subparsers()
                verb_parser = below.get(group, verbs).add_parser(word, help=text)
                import_module(f"apkiln.cli.{module_name}").configure(verb_parser)
                add_common_arguments(verb_parser)
    return parser


def script(shell: str) -> str:
    """The completion script for a shell.  Raises UsageError for an unknown one, EnvironmentFault without shtab."""
    if shell not in SHELLS:
        raise UsageError(f"no completion for `{shell}`", reason="unknown-shell", hint="known: " + ", ".join(SHELLS))
    try:
        import shtab
    except ImportError:
        raise EnvironmentFault(
            "shtab is not installed", reason="missing-library", hint="pip install 'apkiln[completion]'"
        ) from None
    return str(shtab.complete(complete_parser(), shell))
