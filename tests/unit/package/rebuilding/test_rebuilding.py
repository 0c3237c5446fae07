"""What a package carries is enough to build it again, and differences are told by name."""

from __future__ import annotations

import json

import pytest

from apkiln.core.errors import UnavailableError
from apkiln.core.value import replace
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.sbom.purl import source_purl
from apkiln.package.rebuilding.comparing import Rebuilt, differences
from apkiln.package.rebuilding.evidence import Evidence, recipe_of

COMMIT = "1" * 40
INFO = PackageInfo("demo", "1.0-r0", "x86_64", origin="demo", maintainer="wolfi", build_date=7)


def evidence(repository: str = "https://git.example/r", **changes: object) -> Evidence:
    location = source_purl(repository, COMMIT) + "#sub/demo.yaml"
    row = {
        "name": "sub/demo.yaml",
        "versionInfo": COMMIT,
        "primaryPackagePurpose": "INSTALL",
        "licenseDeclared": "MIT",
        "externalRefs": [{"referenceLocator": location}],
    }
    made = Evidence("demo.apk", INFO, b"package: {}\n", json.dumps({"packages": [{"name": "x"}, row]}).encode())
    return replace(made, **changes)


@pytest.mark.parametrize("repository", ["https://git.example/a/r", "https://github.com/o/n", "https://unknown/unknown/unknown"])
def test_date_names_and_commit_come_from_the_package(repository: str) -> None:
    recipe = recipe_of([evidence(repository)])
    assert (recipe.source_date, recipe.namespace, recipe.definition_path) == (7, "wolfi", "sub/demo.yaml")
    assert (recipe.git_commit, recipe.definition_licence) == (COMMIT, "MIT")
    assert source_purl(recipe.git_repository, COMMIT) == source_purl(repository, COMMIT), "the bill comes out the same"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"definition": b""}, "no-definition-inside"),
        ({"bill": b""}, "no-bill-inside"),
        ({"bill": b"not json"}, "no-bill-inside"),
        ({"bill": b'{"packages": []}'}, "no-bill-inside"),
    ],
)
def test_what_is_missing_is_named(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        recipe_of([replace(evidence(), **changed)])
    assert caught.value.reason == reason and "demo.apk" in caught.value.message


def test_packages_of_different_builds_are_not_mixed() -> None:
    with pytest.raises(UnavailableError) as caught:
        recipe_of([evidence(), evidence(definition=b"other")])
    assert caught.value.reason == "other-build"


def rebuilt(text: str = "a = b\n", members: tuple[bytes, bytes] = (b"1", b"2"), **entry: object) -> Rebuilt:
    fields: dict[str, object] = {"path": "usr/x", "type": EntryType.FILE, "mode": 0o644, "size": 3}
    item = ContentEntry(Entry(**{**fields, **entry}), b"", b"s" if entry.get("size", 3) == 3 else b"t")  # type: ignore[arg-type]
    contents = PackageContents(INFO, b"", b"", 1, (), (), (), (item,))
    return Rebuilt(contents, members, ((".PKGINFO", text), (".melange.yaml", "same\n")))


def test_equal_members_are_the_same_whatever_else() -> None:
    assert differences(rebuilt(), rebuilt("other = text\n")) == ()


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (rebuilt("a = c\n", (b"1", b"3")), "+a = c"),
        (rebuilt(members=(b"1", b"3"), mode=0o755), "usr/x: mode 0644 and 0755"),
        (rebuilt(members=(b"1", b"3"), size=4), "usr/x: content of 3 and 4 bytes"),
        (rebuilt(members=(b"1", b"3"), path="usr/y"), "only rebuilt: usr/y"),
        (rebuilt(members=(b"1", b"3"), uid=5), "usr/x: uid 0 and 5"),
        (rebuilt(members=(b"1", b"3")), "the same files, compressed or ordered in another way"),
    ],
)
def test_differences_are_told(again: Rebuilt, expected: str) -> None:
    assert expected in differences(rebuilt(), again)
