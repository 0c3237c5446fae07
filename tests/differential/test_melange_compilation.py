"""Definitions compiled here and by the real `melange`; skipped where it is not on PATH.  More of them: `melange.py`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.differential.compilation import OWN, compare, compile_here
from tests.differential.melange import judge
from tests.differential.random_definitions import make_definition, written
from tests.differential.real_melange import Melange

from apkiln.cli import dispatch
from apkiln.cli.commands import COMMANDS, MELANGE_FILE_VERBS, MELANGE_VERBS

HEAD = {"package": {"name": "demo", "version": "1.2", "epoch": "0"}}


@pytest.fixture
def melange(tmp_path: Path) -> Melange:
    found = Melange.on_path(tmp_path)
    if found is None:
        pytest.skip("melange is not on PATH")
    return found


@pytest.mark.parametrize("seed", range(40))
def test_random_definitions(seed: int, melange: Melange) -> None:
    case = make_definition(seed)
    verdict = judge(case, melange)
    assert not verdict.disagrees, f"{verdict.outcome}: {verdict.detail}\n{case.text}"


@pytest.mark.parametrize("name", sorted(OWN))
def test_built_in_pipelines_take_the_same_inputs_and_need_the_same_packages(name: str, melange: Melange) -> None:
    given = {
        "package": "v",
        "version": "1",
        "uri": "u",
        "repository": "r",
        "output": "o",
        "patches": "p",
        "gem": "g",
        "deps": "d",
    }
    for inputs in ({}, {"no-such-input": "x"}, *({key: value} for key, value in given.items())):
        text = written(HEAD | {"subpackages": [{"name": "demo-dev", "pipeline": [{"uses": name, "with": inputs}]}]})
        melange.write(text.replace('epoch: "0"', "epoch: 0"), {})
        here = compile_here(text.replace('epoch: "0"', "epoch: 0"), {}, "x86_64", ())
        verdict = compare(lambda: melange.compile("x86_64"), here)
        assert not verdict.disagrees, f"{inputs}: {verdict}"


def _flags(melange: Melange, verb: str) -> Iterator[tuple[str, bool]]:
    """Long flags of a verb, and whether they take a value."""
    shown = subprocess.run([melange.program, *verb.split(), "--help"], capture_output=True, text=True, check=True).stdout
    for line in shown.splitlines():
        found = re.match(r"\s+(?:-\w, )?(--[\w-]+)( (?:string|strings|int|duration))?\s", line)
        if found and found[1] not in ("--help", "--log-level", "--log-policy"):
            yield found[1], bool(found[2])


VERBS = {verb: ("package", ours) for verb, ours in MELANGE_VERBS.items() if verb not in ("source", "lint-pipeline")} | {
    verb: tuple(ours.split()) for verb, ours in MELANGE_FILE_VERBS.items()
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_of_melange_is_known(verb: str, melange: Melange) -> None:
    noun, ours = VERBS[verb]
    module = next(row[2] for row in COMMANDS if row[:2] == (noun, ours))
    parser = dispatch.command_parser(noun, ours, import_module(f"apkiln.cli.{module}"))
    for flag, has_value in _flags(melange, verb):
        # The cache of melange's verbs is ours of sources; `--cache-dir` itself belongs to every command.
        action = parser._option_string_actions.get(flag)
        assert action is not None, flag
        assert has_value == (action.nargs not in (0, "?")), flag
