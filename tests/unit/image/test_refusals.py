"""A request that cannot be satisfied names its line, similar names, and where was looked."""

from __future__ import annotations

import hashlib

import pytest

from apkiln.acquire.index_tables import table_of
from apkiln.acquire.indexes import LoadedIndex
from apkiln.acquire.repositories import Repository
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import FaultGroup, VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.configuration.model import Contents, ImageConfiguration, PackageRequest
from apkiln.image.refusals import located_distrust, located_refusals
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

AMD64 = Arch.parse("amd64")


def refused(world: str) -> Unsatisfiable:
    records = [IndexRecord(name, "1", "noarch", hashlib.sha1(name.encode()).digest(), 1, 1) for name in ("python3", "zlib")]
    table = table_of(records)
    index = LoadedIndex(
        Repository("https://u:secret@example.com/os", "", 0),
        "x86_64",
        Digest.sha256(hashlib.sha256(table.data).digest()),
        table,
        "key",
    )
    entries = tuple(PackageRequest(item, origin=Origin("image.yaml", 4 + row, 7)) for row, item in enumerate(world.split()))
    configuration = ImageConfiguration(contents=Contents(packages=entries))
    with pytest.raises(Unsatisfiable) as caught, located_refusals(configuration, [(AMD64, (index,))]):
        solve([SolverRepository(table)], Request(parse_dependencies(world)), AMD64)
    return caught.value


def test_a_missing_name_has_its_line_and_similar_names() -> None:
    error = refused("zlib pyhton3")
    assert (error.origin.source, error.origin.line) == ("image.yaml", 5)
    assert any("`python3`" in line and "`pyhton3`" in line for line in error.details)


def test_the_repositories_are_named_without_their_passwords() -> None:
    (line,) = [line for line in refused("nothing-like-it").details if line.startswith("searched:")]
    assert line == "searched: https://example.com/os (x86_64)"


def test_no_name_is_offered_where_none_is_similar() -> None:
    assert not [line for line in refused("qqqqqq").details if line.startswith("did you mean")]


def test_a_constraint_that_nothing_meets_has_its_line() -> None:
    assert refused("zlib>5").origin.line == 4


def test_an_unknown_key_is_named_with_the_way_out() -> None:
    other = VerificationError("other", reason="signature-bad", hint="as it was")
    unknown = VerificationError("made by `k.rsa.pub`", reason="signature-unknown-key", hint="trusted keys: none")
    with pytest.raises(FaultGroup) as caught, located_distrust():
        raise FaultGroup([other, unknown])
    assert [fault.hint for fault in caught.value.faults] == ["as it was", unknown.hint]
    assert "contents.keyring" in unknown.hint
    assert unknown.details == ("trusted keys: none",)
