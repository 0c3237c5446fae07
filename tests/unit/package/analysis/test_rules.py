"""Rules of a distribution."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.package_workshop import analysed, file, go_program

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.package.analysis.rules import DEFAULT_RULES, HOST_LIBRARIES, SHIPPED, AnalysisRules, GoRule, read_rules

WOLFI = read_rules(Path(SHIPPED, "wolfi.toml").read_bytes(), "wolfi")
FIPS = {"openssl-config-fipshardened", "so:libcrypto.so.3"}


def test_a_file_of_rules() -> None:
    text = b"""host-libraries = ["a.so.1"]
versioned-libraries = true
command-links = true
[[go]]
settings = {A = ["1", "2"]}
depends = ["x"]
"""
    assert read_rules(text, "r") == AnalysisRules(frozenset({"a.so.1"}), True, True, (GoRule((("A", ("1", "2")),), ("x",)),))
    assert read_rules(b"", "r") == DEFAULT_RULES and len(HOST_LIBRARIES) == 27


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (b"=", 1),
        (b"\xff", 1),
        (b"host-librarys = []", 1),
        (b"host-libraries = 'x'\nversioned-libraries = 1\ncommand-links = 'no'", 3),
        (b"[[go]]\nsettings = {}", 1),
        (b"[[go]]\nsettings = {A = 1}\ndepends = [1]", 2),
        (b"go = 1", 1),
    ],
)
def test_bad_rules(text: bytes, faults: int) -> None:
    with pytest.raises(ApkilnError) as error:
        read_rules(text, "r.toml")
    found = error.value.faults if isinstance(error.value, FaultGroup) else (error.value,)
    assert [(fault.reason, fault.origin.source) for fault in found] == [("bad-rules", "r.toml")] * faults


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"CGO_ENABLED": "1", "GOEXPERIMENT": "boringcrypto"}, FIPS),
        ({"CGO_ENABLED": "1", "GOEXPERIMENT": "systemcrypto"}, FIPS),
        ({"CGO_ENABLED": "1", "microsoft_systemcrypto": "1"}, FIPS),
        ({"CGO_ENABLED": "0", "GOEXPERIMENT": "boringcrypto"}, set()),
        ({"CGO_ENABLED": "1", "GOEXPERIMENT": "boringcrypto,x"}, set()),
        ({"CGO_ENABLED": "1"}, set()),
        ({}, set()),
    ],
)
def test_go_programs_of_a_kind(settings: dict[str, str], wanted: set[str]) -> None:
    item = file("usr/libexec/a", go_program(settings), 0o755)
    plain = {"so:ld-linux-x86-64.so.2"}
    assert set(analysed(item, rules=WOLFI).depends) == wanted | plain
    assert set(analysed(item).depends) == plain
