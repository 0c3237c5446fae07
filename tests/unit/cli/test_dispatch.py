"""Finding commands, error border, exit codes."""

from __future__ import annotations

import argparse
import json
from importlib import import_module

import pytest

from apkiln.cli import dispatch, exit_codes
from apkiln.cli.commands import COMMANDS, NOUNS
from apkiln.cli.output import error_value, render_error
from apkiln.cli.reporting import amount_text
from apkiln.cli.settings import cache_directory
from apkiln.core import errors
from apkiln.core.origin import Origin

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ApkilnError)]


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in (errors.ApkilnError, errors.FaultGroup)])
def test_every_error_class_has_an_exit_code_of_its_own_tree(kind: type[errors.ApkilnError]) -> None:
    assert exit_codes.exit_code(kind("x", reason="y")) in range(2, 12)


def test_a_group_exits_as_its_first_fault() -> None:
    group = errors.FaultGroup([errors.ConflictError("a", reason="a"), errors.UsageError("b", reason="b")])
    assert exit_codes.exit_code(group) == exit_codes.exit_code(errors.ConflictError("a", reason="a"))


@pytest.mark.parametrize("words", [["imag"], ["image", "biuld"], ["nothing-like-it"], ["repo", "zzz"]])
def test_an_unknown_command_is_a_usage_error_with_a_way_on(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hint:" in captured.err


def test_json_errors_are_machine_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch(["image", "biuld", "--json"]) == 2
    document = json.loads(capsys.readouterr().err)
    assert document["error"]["reason"] == "unknown-command"


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_explains_itself(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.dispatch([noun, "--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for row_noun, verb, _, _ in COMMANDS if row_noun == noun)


@pytest.mark.parametrize(("noun", "verb", "module"), [row[:3] for row in COMMANDS], ids=lambda value: str(value))
def test_every_command_exists_with_help_and_examples(noun: str, verb: str, module: str) -> None:
    loaded = import_module(f"apkiln.cli.{module}")
    parser = dispatch.command_parser(noun, verb, loaded)
    assert isinstance(parser, argparse.ArgumentParser)
    text = parser.format_help()
    assert f"apkiln {noun} {verb}" in loaded.EPILOG, "an example with the command's own name"
    assert "--json" in text
    undocumented = [action.dest for action in parser._actions if not action.help]
    assert undocumented == []


def test_a_rendered_fault_shows_place_details_and_hint() -> None:
    fault = errors.FormatError(
        "the member is truncated",
        reason="truncated",
        origin=Origin(source="a.apk", member="data", offset=12, package="a-1"),
        hint="fetch it again",
        details=("expected 20 bytes",),
    )
    text = render_error(fault, color=False)
    assert text == (
        "error: the member is truncated\n  --> a.apk, data, byte 12, package a-1\n  expected 20 bytes\n  hint: fetch it again\n"
    )
    value = error_value(fault)["error"]["faults"][0]
    assert value["origin"] == {"source": "a.apk", "member": "data", "offset": 12, "package": "a-1"}


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (0, "bytes", "0 B"),
        (999, "bytes", "999 B"),
        (1500, "bytes", "1.5 kB"),
        (2_500_000, "bytes", "2.5 MB"),
        (7, "packages", "7 packages"),
    ],
)
def test_amounts_read_as_people_write_them(amount: int, unit: str, text: str) -> None:
    assert amount_text(amount, unit) == text


def test_the_cache_directory_comes_from_flag_then_variable_then_home() -> None:
    environment = {"APKILN_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}
    assert cache_directory(environment, "/flag") == "/flag"
    assert cache_directory(environment, None) == "/a"
    assert cache_directory({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, None) == "/b/apkiln"
    assert cache_directory({"HOME": "/c"}, None) == "/c/.cache/apkiln"
