"""First definitions from foreign packages: what is read, what is guessed, and that the result compiles."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.cli import dispatch
from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.definition.model import PackageDefinition
from apkiln.package.new.alpine import apkbuild_draft
from apkiln.package.new.debian import read_dsc, upstream_version
from apkiln.package.new.draft import Draft, DraftStep, Place, apk_name, render_draft
from apkiln.package.new.ecosystems import gem_draft, npm_draft, python_draft
from apkiln.package.new.reading import read_draft
from apkiln.package.sources.planning import plan_sources
from apkiln.system.files import DiskFiles

PLACE = Place("https://h.example/p/thing-1.2.3.tar.gz", "ab" * 32, "thing-1.2.3.tar.gz")
PKG_INFO = """Metadata-Version: 2.4
Name: Some_Thing.x
Version: 1.2.3
Summary: Does things.
License-Expression: MIT
Project-URL: Homepage, https://thing.example
Requires-Dist: requests>=2
Requires-Dist: tomli; python_version < "3.11"
Requires-Dist: pytest; extra == "test"

Long text
"""
GEM = """--- !ruby/object:Gem::Specification
name: some-thing
version: !ruby/object:Gem::Version
  version: 1.2.3
summary: Does things
homepage: https://thing.example
licenses:
- MIT
- Ruby
extensions: [ext/x/extconf.rb]
dependencies:
- !ruby/object:Gem::Dependency
  name: rack
  type: :runtime
- !ruby/object:Gem::Dependency
  name: rake
  type: :development
"""
APKBUILD = r"""# Maintainer: A
pkgname=thing
pkgver=1.2.3
_major=${pkgver%%.*}
pkgrel=4
pkgdesc="Does things with $pkgname"
url="https://thing.example"
arch="all"
license="GPL-2.0-or-later"
depends="a>1 !b"
makedepends="
	libx-dev
	cmake
	"
subpackages="$pkgname-dev $pkgname-doc $pkgname-tools:tools $pkgname-odd"
source="https://h.example/$_major/thing-$pkgver.tar.gz
	renamed-$pkgver.zip::https://h.example/get?v=${pkgver//./_}
	fix.patch
	thing.initd"
builddir="$srcdir/$pkgname-$pkgver"

prepare() {
	default_prepare
}

build() {
	cd "$builddir"
	./configure --prefix=/usr --host=$CHOST
	make VERSION=$pkgver MAJOR=$_major
}

package() {
	make DESTDIR="$pkgdir" install
}

tools() {
	amove usr/bin
	mkdir -p "$subpkgdir"/x
}

sha512sums="
FIRST  thing-1.2.3.tar.gz
SECOND  fix.patch
"
""".replace("FIRST", "12" * 64).replace("SECOND", "34" * 64)


def compiled(draft: Draft) -> PackageDefinition:
    """The draft as a build sees it: it must read, evaluate and compile."""
    text = render_draft(draft)
    loaded = load(text.encode(), "new.yaml")
    return resolve(loaded, Arch.parse("x86_64"), library_of([])).definition


def test_a_python_source_distribution() -> None:
    draft = python_draft(
        PLACE, {"PKG-INFO": PKG_INFO.encode(), "pyproject.toml": b'[build-system]\nrequires = ["hatchling>1"]\n'}
    )
    assert (draft.name, draft.version, draft.licence, draft.url) == ("py3-some-thing-x", "1.2.3", "MIT", "https://thing.example")
    assert draft.runtime == ("python3", "py3-requests") and "py3-hatchling" in draft.build
    assert any("tomli" in guess for guess in draft.guesses)
    definition = compiled(draft)
    (source,) = plan_sources(definition).fetches
    assert source.uri == PLACE.uri and source.digests[0].hex == PLACE.sha256
    assert "${{package.version}}" in render_draft(draft)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("Classifier: License :: OSI Approved :: Apache Software License", "Apache-2.0"),
        ("License: BSD 3 clause", "NOASSERTION"),
        ("License: ISC", "ISC"),
        ("", "NOASSERTION"),
    ],
)
def test_licences_of_python_packages(lines: str, licence: str) -> None:
    draft = python_draft(PLACE, {"PKG-INFO": f"Name: x\nVersion: 1\n{lines}\n".encode()})
    assert draft.licence == licence and any("licence" in guess for guess in draft.guesses) is (licence == "NOASSERTION")
    assert compiled(draft)


def test_a_gem() -> None:
    draft = gem_draft(PLACE, {"metadata.gz": gzip.compress(GEM.encode())})
    assert (draft.name, draft.version, draft.licence) == ("ruby3.4-some-thing", "1.2.3", "MIT AND Ruby")
    assert draft.runtime == ("ruby-3.4", "ruby3.4-rack") and any("native" in guess for guess in draft.guesses)
    assert [step.uses.text for step in compiled(draft).pipeline] == ["fetch", "ruby/install", "ruby/clean"]


def test_an_npm_package() -> None:
    document = {
        "name": "@scope/thing",
        "version": "1.2.3",
        "license": "MIT",
        "bin": {"thing": "x.js"},
        "dependencies": {"a": "1"},
    }
    draft = npm_draft(PLACE, {"package.json": json.dumps(document).encode()})
    assert draft.name == "scope-thing" and draft.tests[0].runs.startswith("thing --version")
    assert compiled(draft).pipeline[0].network


def test_an_apkbuild() -> None:
    draft = apkbuild_draft(APKBUILD, "APKBUILD", {"fix.patch": b"p"})
    assert (draft.name, draft.version, draft.epoch, draft.description) == ("thing", "1.2.3", 4, "Does things with thing")
    assert draft.runtime == ("a>1",) and draft.build == ("libx-dev", "cmake", "build-base", "busybox")
    assert draft.side_files == (("fix.patch", b"p"),)
    definition = compiled(draft)
    first, second = plan_sources(definition).fetches
    assert first.uri == "https://h.example/1/thing-1.2.3.tar.gz" and first.digests[0].hex == "12" * 64
    assert second.uri == "https://h.example/get?v=1_2_3" and any("renamed-1.2.3.zip" in guess for guess in draft.guesses)
    scripts = [step.runs for step in draft.steps if step.runs]
    assert scripts == [
        "./configure --prefix=/usr --host=${{host.triplet.gnu}}\nmake VERSION=${{package.version}} MAJOR=1\n",
        "make DESTDIR=${{targets.destdir}} install\n",
    ]
    assert [(one.name, one.steps[0].uses) for one in draft.subpackages] == [
        ("thing-dev", "split/dev"), ("thing-doc", "split/alldocs"), ("thing-tools", ""), ("thing-odd", ""),
    ]  # fmt: skip
    assert "${{targets.subpkgdir}}/x" in draft.subpackages[2].steps[0].runs
    assert any("thing.initd" in guess for guess in draft.guesses) and any("thing-odd" in guess for guess in draft.guesses)


@given(st.text(max_size=400))
def test_any_text_is_an_apkbuild_or_refused(text: str) -> None:
    try:
        draft = apkbuild_draft(f"pkgname=a\npkgver=1\n{text}", "APKBUILD", {})
    except ApkilnError as error:
        assert error.reason in ("bad-package-name", "bad-version", "no-metadata")
    else:
        assert draft.name


def test_nothing_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    draft = apkbuild_draft(f"pkgname=a\npkgver=1\npkgdesc=$(touch {mark})`touch {mark}`\ntouch {mark}\n", "APKBUILD", {})
    assert not mark.exists() and draft.name == "a"


@pytest.mark.parametrize("version", ["1.2.3-beta2", "v7", "2024-01-02"])
def test_versions_are_mended_and_told(version: str) -> None:
    draft = python_draft(PLACE, {"PKG-INFO": f"Name: x\nVersion: {version}\nLicense: MIT\n".encode()})
    assert compiled(draft).package.version.text == draft.version != version
    assert any(version in guess for guess in draft.guesses)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: python_draft(PLACE, {}), "no-metadata"),
        (lambda: python_draft(PLACE, {"PKG-INFO": b"Name: x\nVersion: what\n"}), "bad-version"),
        (lambda: python_draft(PLACE, {"PKG-INFO": b"Name: .\nVersion: 1\n"}), "bad-package-name"),
        (lambda: gem_draft(PLACE, {}), "no-metadata"),
        (lambda: npm_draft(PLACE, {"package.json": b'{"name": "a; rm x", "version": "1"}'}), "bad-package-name"),
        (lambda: gem_draft(PLACE, {"metadata.gz": gzip.compress(b'name: "a\';b"\n')}), "bad-package-name"),
        (lambda: npm_draft(PLACE, {"package.json": b"["}), "no-metadata"),
        (lambda: npm_draft(PLACE, {"package.json": b"[]"}), "no-metadata"),
        (lambda: apkbuild_draft("x", "APKBUILD", {}), "no-metadata"),
        (lambda: read_dsc(b"Source: x\n", "x.dsc"), "no-metadata"),
    ],
)
def test_refuses(make: object, reason: str) -> None:
    assert callable(make)
    with pytest.raises(ApkilnError) as caught:
        make()
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("version", "upstream"),
    [("1:1.2.13.dfsg-1", "1.2.13"), ("2.0+dfsg1-3", "2.0"), ("1.0-1-2", "1.0-1"), ("3", "3"), ("1.5~ds-1", "1.5")],
)
def test_versions_of_debian(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream


@given(st.text(max_size=30))
def test_names(text: str) -> None:
    try:
        found = apk_name(text)
    except ApkilnError as error:
        assert error.reason == "bad-package-name"
    else:
        assert compiled(Draft(found, "1", steps=(DraftStep(runs="true"),)))


@given(st.text(max_size=60), st.text(max_size=60), st.lists(st.text(max_size=80), max_size=3))
def test_texts_cannot_break_out_of_their_place(description: str, script: str, guesses: list[str]) -> None:
    """Law: whatever foreign metadata says, the draft reads back with it where it belongs."""
    clean = " ".join(description.split()).replace("${{", "")
    draft = Draft(
        "a", "1", description=clean, steps=(DraftStep(runs=f"echo {script}x".replace("${{", "")),), guesses=tuple(guesses)
    )
    try:
        written = load(render_draft(draft).encode(), "new.yaml").written
    except ApkilnError as error:
        assert error.reason in ("line-feed", "bad-yaml"), error
        assert not description.isprintable() or not script.isprintable() or not all(map(str.isprintable, guesses))
    else:
        assert written.package.name.text == "a" and len(written.pipeline) == 1
        assert written.package.description.text == clean or not clean.isprintable()


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APKILN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_kinds_are_told_by_content(folder: Path) -> None:
    for name, content in (
        ("a.tar.gz", packed({"a-1/PKG-INFO": PKG_INFO.encode()})),
        ("b.tgz", packed({"package/package.json": b'{"name": "b", "version": "1.0.0"}'})),
        ("c.gem", packed({"metadata.gz": gzip.compress(GEM.encode())})),
    ):
        (folder / name).write_bytes(content)
    names = [read_draft(folder / name, "", "", DiskFiles()).name for name in ("a.tar.gz", "b.tgz", "c.gem")]
    assert names == ["py3-some-thing-x", "b", "ruby3.4-some-thing"]
    (folder / "d.tar.gz").write_bytes(packed({"d/README": b"x"}))
    with pytest.raises(ApkilnError) as caught:
        read_draft(folder / "d.tar.gz", "", "", DiskFiles())
    assert caught.value.reason == "unknown-package-kind"


def debian_source(folder: Path, build_depends: str = "debhelper") -> None:
    original = packed({"thing-1.0/configure": b"#!/bin/sh\n", "thing-1.0/CMakeLists.txt": b"x", "thing-1.0/src/a.c": b"int a;\n"})
    packaging = packed({
        "debian/control": f"Source: thing\nHomepage: https://thing.example\nBuild-Depends: {build_depends}\n\n"
        "Package: thing\nDescription: does things\n more\n\nPackage: libthing-dev\nDescription: x\n".encode(),
        "debian/patches/series": b"# first\na.patch\nsub/b.patch -p1\n",
        "debian/patches/a.patch": b"A",
        "debian/patches/sub/b.patch": b"B",
    })  # fmt: skip
    rows = []
    for name, content in (("thing_1.0+dfsg.orig.tar.gz", original), ("thing_1.0+dfsg-2.debian.tar.gz", packaging)):
        (folder / name).write_bytes(content)
        rows.append(f"\n {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
    text = f"Source: thing\nVersion: 1.0+dfsg-2\nChecksums-Sha256:{''.join(rows)}\n"
    signed = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}\n-----BEGIN PGP SIGNATURE-----\nx\n"
    (folder / "thing.dsc").write_text(signed)


def test_a_debian_source_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    debian_source(folder)
    assert dispatch.dispatch(["package", "new", "thing.dsc", "--uri", "https://h.example/thing_1.0+dfsg.orig.tar.gz"]) == 0
    definition = load((folder / "thing.yaml").read_bytes(), "thing.yaml").evaluated.definition
    assert definition.package.version.text == "1.0" and definition.package.description.text == "does things"
    assert [step.uses.text for step in definition.pipeline] == [
        "fetch", "patch", "autoconf/configure", "autoconf/make", "autoconf/make-install", "strip",
    ]  # fmt: skip
    assert [item.name.text for item in definition.subpackages] == ["thing-dev", "thing-doc"]
    assert (folder / "thing/a.patch").read_bytes() == b"A" and (folder / "thing/sub-b.patch").read_bytes() == b"B"
    assert "note: 2 patches" in capsys.readouterr().err
    assert dispatch.dispatch(["package", "new", "thing.dsc"]) != 0  # the file is there
    assert dispatch.dispatch(["package", "new", "thing.dsc", "-o", "-"]) == 0
    assert "example.org" in capsys.readouterr().out


def test_the_tool_that_debian_builds_with_decides(folder: Path) -> None:
    debian_source(folder, "debhelper, cmake (>= 3)")
    draft = read_draft(folder / "thing.dsc", "", "", DiskFiles())
    assert "cmake/configure" in [step.uses for step in draft.steps]


def test_files_of_a_dsc_must_be_what_it_says(folder: Path) -> None:
    debian_source(folder)
    (folder / "thing_1.0+dfsg.orig.tar.gz").write_bytes(b"other")
    with pytest.raises(ApkilnError) as caught:
        read_draft(folder / "thing.dsc", "", "", DiskFiles())
    assert caught.value.reason == "source-digest-mismatch"
