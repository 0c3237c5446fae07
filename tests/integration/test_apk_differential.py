"""A few hundred random worlds put to the product and to the real `apk`; `make differential` asks about 20,000."""

from __future__ import annotations

import pytest
from tests.differential.apk import Comparison
from tests.differential.comparison import DISAGREEMENTS
from tests.differential.real_apk import apk_in_memory
from tests.integration.clients import client

FAMILIES = ("add", "dense", "versions", "conflict", "tags", "repositories", "identity", "odd-names", "world", "upgrade")
"""Those in which nothing is known to differ."""


def test_random_worlds_are_answered_as_apk_answers_them(capsys: pytest.CaptureFixture[str]) -> None:
    client("apk")
    with apk_in_memory() as apk:
        assert apk is not None
        comparison = Comparison(apk, list(FAMILIES))
        comparison.run(seed=1, count=300)
    total = {outcome: sum(counts[outcome] for counts in comparison.counts.values()) for outcome in DISAGREEMENTS}
    assert not any(total.values()), capsys.readouterr().out
    assert sum(counts["agree"] for counts in comparison.counts.values()) > 100
