"""A few random images put to the product and to the real `apko`; `make differential` asks several hundred."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.differential.apko import Comparison, programs
from tests.integration.clients import client


def test_random_images_are_built_as_apko_builds_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client("apko")
    peers = programs()
    assert peers is not None
    comparison = Comparison(peers, tmp_path)
    comparison.run(seed=1, worlds=1, cases=12)
    assert not comparison.failures, capsys.readouterr().out
    assert comparison.passed["apko-runs:build"] + comparison.known["apko-runs:build"] > 3
    assert comparison.passed["apko-runs/locks:rebuild"] > 3
