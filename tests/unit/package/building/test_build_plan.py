"""The key of a plan changes with every input that the bytes of packages depend on, and with nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from apkiln.core.arch import Arch
from apkiln.core.value import replace
from apkiln.formats.apk.records import IndexRecord
from apkiln.package.analysis.linters.settings import LintSettings
from apkiln.package.analysis.rules import AnalysisRules
from apkiln.package.building.plan import BuildPlan
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.emission.request import BuildFacts, EmissionRequest, GuestAccounts, GuestPackage, Material

HEAD = "package: {name: demo, version: '1', epoch: 0, description: d, copyright: [{license: MIT}]}\n"


def compiled(text: str = "pipeline: [{runs: 'true'}]", arch: str = "x86_64") -> PackageDefinition:
    return resolve(load((HEAD + text).encode(), "demo.yaml"), Arch.parse(arch), PipelineLibrary(())).definition


def record(name: str = "a", identity: bytes = b"1" * 20) -> GuestPackage:
    return GuestPackage(IndexRecord(name, "1-r0", "x86_64", identity, 1, 1), "https://a.example")


def plan() -> BuildPlan:
    emission = EmissionRequest(compiled(), Arch.parse("x86_64"), guest=(record(),))
    return BuildPlan(compiled(), emission, "libdeflate-6/4MiB", (("k.rsa.pub", "00"),), "11", "off")


OTHER_EMISSIONS: list[dict[str, object]] = [
    {"arch": Arch.parse("aarch64")},
    {"source_date": 1},
    {"namespace": "wolfi"},
    {"guest": ()},
    {"guest": (record(identity=b"2" * 20),)},
    {"guest": (record("b"),)},
    {"accounts": GuestAccounts(build_user=5)},
    {"definition_path": "x.yaml"},
    {"definition_digest": "ab"},
    {"git_commit": "c"},
    {"git_repository": "https://r.example"},
    {"definition_licence": "MIT"},
    {"materials": (Material("https://m.example", (("sha256", "00"),)),)},
    {"facts": BuildFacts(runner="other")},
    {"strip_origin": True},
    {"strict_ids": True},
    {"keep_user_xattrs": False},
    {"allow_setcap": True},
    {"allow_secrets": True},
    {"provenance": True},
    {"organization": "Example"},
    {"document_base": "https://b.example"},
    {"builder": "https://builder.example"},
    {"cyclonedx": True},
    {"lint_results": True},
    {"lint": LintSettings(("dev",))},
    {"rules": AnalysisRules(command_links=True)},
]


@pytest.mark.parametrize("change", OTHER_EMISSIONS, ids=lambda change: next(iter(change)))
def test_each_part_of_the_emission_counts(change: dict[str, object]) -> None:
    before = plan()
    assert replace(before, emission=replace(before.emission, **change)).key() != before.key()


def test_no_part_of_the_emission_was_forgotten() -> None:
    """The definition counts on its own; licence texts come out of the workspace, and replacing changes no bytes."""
    counted = {name for change in OTHER_EMISSIONS for name in change}
    assert counted == set(EmissionRequest.__annotations__) - {"definition", "licence_texts", "overwrite"}


@pytest.mark.parametrize(
    "change",
    [
        {"definition": compiled("pipeline: [{runs: 'false'}]")},
        {"definition": compiled("environment: {environment: {X: '1'}}\npipeline: [{runs: 'true'}]")},
        {"codec": "zlib-6"},
        {"signers": ()},
        {"workspace": ""},
        {"network": "on"},
    ],
    ids=["script", "environment", "codec", "signers", "workspace", "network"],
)
def test_each_part_of_the_plan_counts(change: dict[str, object]) -> None:
    assert replace(plan(), **change).key() != plan().key()


def test_where_packages_came_from_does_not_count() -> None:
    before = plan()
    moved = GuestPackage(record().record, "https://mirror.example")
    assert replace(before, emission=replace(before.emission, guest=(moved,))).key() == before.key()


def test_overwriting_does_not_count() -> None:
    before = plan()
    assert replace(before, emission=replace(before.emission, overwrite=True)).key() == before.key()


def test_a_key_does_not_depend_on_the_process() -> None:
    """Sets and functions print differently in every process."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import importlib.util as u;"
        f"s = u.spec_from_file_location('m', {__file__!r}); m = u.module_from_spec(s); s.loader.exec_module(m);"
        "print(m.plan().key())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            (sys.executable, "-c", code), env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == plan().key()
