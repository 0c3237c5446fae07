"""Laws of layered images: the union is the single layer, a layer depends on its packages alone, each brings its database."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.image_workshop import AMD64, Workshop, definition, union
from tests.sample_packages import SamplePackage, sample_package

from apkiln.core.digest import Digest
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.apk.installed import parse_installed
from apkiln.image.configuration.model import Layering
from apkiln.image.grouping import MANY_GROUPS, MOST_GROUPS, group_notices, group_packages
from apkiln.rootfs.package_files import PackageFiles
from apkiln.system.memory_store import MemoryStore

DATABASE = "usr/lib/apk/db/installed"
VARIES = {"etc/apko.json", "etc/apkiln/manifest.json", "var/lib/db/sbom/apkiln-image.spdx.json"}
"""They speak of the definition, which says how the image is layered."""
DIRECTORIES = ("etc", "opt/a", "opt/a/b", "usr/bin", "usr/lib")
STORE = MemoryStore()
"""Shared by all examples: work is done once."""


class Drawn(NamedTuple):
    """A package that hypothesis made up."""

    number: int
    origin: str
    files: tuple[str, ...]
    shared: bool
    """Ships `opt/a/shared` as all other sharers do, and replaces those before it."""
    size: int


PACKAGES = st.lists(
    st.builds(
        Drawn,
        st.just(0),
        st.sampled_from(["one", "two", "three", ""]),
        st.lists(st.sampled_from(DIRECTORIES), max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from([1, 10, 500]),
    ),
    min_size=1,
    max_size=6,
).map(lambda drawn: tuple(item._replace(number=number) for number, item in enumerate(drawn)))
LAYERINGS = st.one_of(
    st.builds("layering: {{strategy: origin, budget: {}}}".format, st.integers(1, 20)),
    st.builds("layering: {{strategy: package, budget: {}}}".format, st.integers(1, 20)),
    st.builds("layering: {{strategy: groups, groups: [[p0, p3], [absent, p1]]{}}}".format, st.sampled_from(["", ", budget: 1"])),
)


@lru_cache(maxsize=256)
def made(item: Drawn) -> SamplePackage:
    files = {f"{place}/f{item.number}-{count}": f"{item}{count}".encode() for count, place in enumerate(item.files)}
    if item.shared:
        files["opt/a/shared"] = f"by {item.number}".encode()
    return sample_package(
        f"p{item.number}",
        files=files,
        origin=item.origin,
        replaces=[f"p{other}" for other in range(item.number)] if item.shared else (),
        installed_size=item.size,
    )


def workshop(packages: tuple[Drawn, ...], layering: str = "") -> Workshop:
    text = definition([f"p{item.number}" for item in packages], more=layering)
    return Workshop({"x86_64": [made(item) for item in packages]}, text, STORE)


@given(PACKAGES, LAYERINGS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_union_of_layers_is_the_single_layer(packages: tuple[Drawn, ...], layering: str) -> None:
    single, layered = workshop(packages), workshop(packages, layering)
    single.written(single.built())
    layered.written(layered.built())
    (expected,), layers = single.layers(), layered.layers()
    found, wanted = union(layers), union([expected])
    assert found.keys() == wanted.keys()
    for path in wanted.keys() - VARIES:
        assert found[path] == wanted[path], path


@given(PACKAGES, LAYERINGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_layer_has_the_database_of_its_packages(packages: tuple[Drawn, ...], layering: str) -> None:
    layered = workshop(packages, layering)
    built = layered.built()
    layered.written(built)
    *lower, top = layered.layers()
    for layer, said in zip(lower, built.architectures[0].layers, strict=False):
        records = parse_installed(layer[DATABASE][2])
        assert sorted(item.record.name_version for item in records) == sorted(said.packages)
        for record in records:
            for item in record.files:
                assert item.path in layer, "a database speaks of its layer"
            for directory in record.directories:
                assert not directory.path or directory.path in layer
    assert len(parse_installed(top[DATABASE][2])) == len(packages)


@given(PACKAGES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_layer_depends_on_its_packages_alone(packages: tuple[Drawn, ...]) -> None:
    """Another package beside them changes no layer, unless it takes a path away or joins a group."""
    stranger = Drawn(9, "stranger", ("etc", "opt/a/b"), False, 10_000)

    def digests(chosen: tuple[Drawn, ...]) -> dict[tuple[str, ...], Digest]:
        (built,) = workshop(chosen, "layering: {strategy: origin, budget: 20}").built().architectures
        return {layer.packages: layer.layer.digests.digest for layer in built.layers if layer.packages}

    assert digests(packages).items() <= digests((*packages, stranger)).items()


def test_a_path_that_is_lost_is_in_neither_layer_nor_database() -> None:
    packages = (Drawn(0, "one", ("etc",), True, 1), Drawn(1, "two", ("etc",), True, 1))
    layered = workshop(packages, "layering: {strategy: groups, groups: [[p0], [p1]]}")
    layered.written(layered.built())
    *lower, top = layered.layers()
    assert len(lower) == 1, "packages that replace each other share a group"
    names = [path for layer in (*lower, top) for path in layer if path == "opt/a/shared"]
    assert len(names) == 1


def package(name: str) -> PackageFiles:
    info = PackageInfo(name, "1.0-r0", AMD64.apk, origin=name, installed_size=10)
    return PackageFiles.of(PackageContents(info, name.encode().ljust(20), name.encode().ljust(32), 1, (), (), (), ()))


@pytest.mark.parametrize("budget", [1, MANY_GROUPS, MANY_GROUPS + 1, MOST_GROUPS, 1000])
def test_layers_are_limited_and_many_are_told(budget: int) -> None:
    packages = [package(f"p{number:03}") for number in range(200)]
    groups = group_packages(packages, Layering("package", budget))
    assert len(groups) == min(budget, MOST_GROUPS)
    assert sum(map(len, groups)) == 200
    assert bool(group_notices(groups)) is (budget > MANY_GROUPS)
