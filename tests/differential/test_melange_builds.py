"""Small builds done here and by the real `melange`; skipped where it or bubblewrap is not on PATH."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.differential.build_cases import CASES, BuildCase
from tests.differential.melange_builds import Workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    place: Path = tmp_path_factory.mktemp("builds")
    for above in (place, *place.parents[:2]):
        above.chmod(0o755)  # the sandbox enters it as another user
    found = Workshop.on_path(place)
    if found is None:
        pytest.skip("melange or bubblewrap is not on PATH")
    yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_the_same_packages_or_a_known_cause(case: BuildCase, workshop: Workshop) -> None:
    unexplained = [difference.text for difference in workshop.compare(case) if not difference.cause]
    assert not unexplained
