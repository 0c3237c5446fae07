"""Debian versions as apk versions: order kept in both directions, rows never change."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import InputError
from apkiln.debian.label import version_label
from apkiln.debian.ledger import ANCHOR, PACKAGE, Ledger, LedgerRow, VersionGapError
from apkiln.formats.apk import version as apk_version
from apkiln.formats.deb import version as deb_version

REAL = st.builds(
    lambda epoch, upstream, suffix, revision: f"{epoch}{upstream}{suffix}{revision}",
    st.sampled_from(["", "", "1:", "2:"]),
    st.lists(st.integers(0, 30), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts))),
    st.sampled_from(
        ["", "", "~rc1", "~beta2", "+dfsg", "+dfsg1", "~git20200101", "+git20200102", "p1", "a", "+really0.9", ".orig"]
    ),
    st.sampled_from(["", "-1", "-1+b1", "-1+deb12u1", "-1+deb12u10", "-1~bpo1", "-2", "-0ubuntu1"]),
)
VERSIONS = st.one_of(REAL, st.text("0129.~+abp", min_size=1, max_size=8).filter(deb_version.is_valid))


@pytest.mark.parametrize(
    ("version", "label"),
    [
        ("3.0.20-1~deb12u2", "3.0.20"),
        ("1.22.1-9+deb12u9", "1.22.1"),
        ("1:9.2p1-2+deb12u10", "9.2_p1"),
        ("2:9.2.0858-1", "9.2.858"),
        ("2.36-9+deb12u7", "2.36"),
        ("1.0.2k-1", "1.0.2k"),
        ("1.0~rc1-1", "1.0_rc1"),
        ("1.0~b3-1", "1.0_beta3"),
        ("1.0~exp2-1", "1.0_alpha2"),
        ("1.0~dfsg-1", "1.0"),
        ("1.0+git20200102.abc-1", "1.0_git20200102"),
        ("2.0+really1.5-1", "2.0"),
        ("v3.1-1", "3.1"),
        ("abc-1", "0"),
        ("0.00.5-1", "0.0.5"),
        ("20230101123456789012345", "202301011234567"),
    ],
)
def test_labels(version: str, label: str) -> None:
    assert version_label(version) == label


@given(VERSIONS)
def test_every_label_is_a_narrow_apk_version(version: str) -> None:
    label = version_label(version)
    assert apk_version.is_valid(f"{label}-r100")
    assert not apk_version.has_wide_number(label)


def ordered(rows: tuple[LedgerRow, ...]) -> None:
    for left in range(len(rows)):
        for right in range(left + 1, len(rows)):
            assert deb_version.compare(rows[left].version, rows[right].version) < 0
            assert apk_version.compare(rows[left].apk_version, rows[right].apk_version) < 0


@given(st.lists(VERSIONS, min_size=1, max_size=12))
def test_order_is_kept_whatever_the_order_of_insertion(versions: list[str]) -> None:
    ledger = Ledger()
    try:
        given_out = {version: ledger.assign("a", version) for version in versions}
    except VersionGapError:
        # Six insertions that halve one gap each use it up: a refusal, after which all that was given out still holds.
        ordered(ledger.rows())
        return
    ordered(ledger.rows())
    assert {version: ledger.assign("a", version) for version in versions} == given_out
    for version in versions:
        for other in versions:
            assert (given_out[version] == given_out[other]) == (deb_version.compare(version, other) == 0)


@given(st.lists(VERSIONS, min_size=2, max_size=10), st.integers(0, 9))
def test_rows_never_change_and_survive_a_restart(versions: list[str], cut: int) -> None:
    ledger = Ledger()
    before: tuple[LedgerRow, ...] = ()
    again = ledger
    try:
        for version in versions[:cut]:
            ledger.assign("a", version)
        before = ledger.rows()
        again = Ledger(before)
        for version in versions:
            assert again.assign("a", version) == ledger.assign("a", version)
    except VersionGapError:
        pass
    assert set(before) <= set(again.rows())


@given(st.lists(VERSIONS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_seed_does_not_depend_on_the_order_of_versions(versions: list[str], randomness: random.Random) -> None:
    kinds = dict.fromkeys(versions, PACKAGE)
    shuffled = list(kinds)
    randomness.shuffle(shuffled)
    first, second = Ledger(), Ledger()
    first.seed("a", kinds)
    second.seed("a", dict.fromkeys(shuffled, PACKAGE))
    assert first.rows() == second.rows()


def test_security_updates_of_one_upstream_version_are_upgrades() -> None:
    ledger = Ledger()
    assert ledger.assign("nginx", "1.22.1-9+deb12u9") == "1.22.1-r100"
    assert ledger.assign("nginx", "1.22.1-9+deb12u11") == "1.22.1-r200"
    assert ledger.assign("nginx", "1.22.1-9+deb12u9.1~", ANCHOR) == "1.22.1-r150"
    assert ledger.assign("nginx", "1.22.1-9") == "1.22.1-r49"


def test_equal_spellings_are_one_row() -> None:
    ledger = Ledger()
    assert ledger.assign("a", "1.0") == ledger.assign("a", "1.0-0") == ledger.assign("a", "1.00")
    assert len(ledger.rows()) == 1


def test_an_epoch_that_lowers_the_number_gets_a_lead() -> None:
    ledger = Ledger()
    assert ledger.assign("a", "2020.1-1") == "2020.1-r100"
    assert ledger.assign("a", "1:3.0-1") == "2021.3.0-r100"
    assert ledger.assign("a", "1:3.1-1") == "2021.3.1-r100"


def test_a_gap_that_is_used_up_is_refused_not_misordered() -> None:
    ledger = Ledger()
    ledger.assign("a", "1.0-1")
    with pytest.raises(VersionGapError) as caught:
        for number in range(20):
            ledger.assign("a", "1.0-1" + "~" * (number + 1))
    assert caught.value.reason == "version-gap"
    ordered(ledger.rows())


def test_a_ledger_out_of_order_is_refused() -> None:
    rows = (LedgerRow("a", "1.0", PACKAGE, "1.0", 200), LedgerRow("a", "1.1", PACKAGE, "1.0", 100))
    with pytest.raises(VersionGapError):
        Ledger(rows)
    with pytest.raises(InputError):
        Ledger((LedgerRow("a", "1.0", PACKAGE, "1..0", 100),))
    with pytest.raises(InputError):
        Ledger((LedgerRow("a", "1.0", PACKAGE, "1.0", 100), LedgerRow("a", "1.0-0", PACKAGE, "1.0", 200)))
