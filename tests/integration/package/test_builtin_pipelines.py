"""Built-in pipelines, run for real: what they move, check out, patch, fetch, import, and how they call their tools."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.package.builtin_pipelines import Workspace, fill, tree

from apkiln.core.origin import Origin
from apkiln.package.compilation.shelves import BUILT_IN, library_of

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

NAMES = sorted(path.relative_to(BUILT_IN).as_posix().removesuffix(".yaml") for path in Path(BUILT_IN).rglob("*.yaml"))
FOR_DOCUMENTS = {"purl-name", "purl-version", "reason", "type-hint"}
"""Inputs that only bills of materials and people read."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_is_sound(name: str) -> None:
    file = library_of([]).find(name, Origin())
    assert not file.faults and not file.notes and file.step is not None
    for item in file.step.inputs:
        assert f"${{{{inputs.{item.name}}}}}" in file.text or item.name in FOR_DOCUMENTS or name == "split/alldocs"
        assert item.description
    for step in (file.step, *file.step.pipeline):
        checked = subprocess.run(["bash", "-n"], input=step.runs.text, text=True, capture_output=True, check=False)
        assert checked.returncode == 0 and not checked.stderr, checked.stderr


class TestSplitting:
    DEV = (
        "usr/include/a.h", "usr/lib/pkgconfig/a.pc", "usr/share/aclocal/a.m4", "usr/bin/a-config", "usr/lib/cmake/A/a.cmake",
        "usr/lib/liba.a", "usr/lib/liba.so -> liba.so.1", "lib/libl.so -> libl.so.1", "opt/x/include/x.h",
        "usr/share/with space/a.o",
    )  # fmt: skip
    KEPT = ("usr/lib/liba.so.1", "lib/libl.so.1", "usr/lib/plugin.so", "usr/bin/a", "usr/lib/sub/libx.so -> libx.so.1", "etc/a.h")

    def test_dev(self, workspace: Workspace) -> None:
        fill(workspace.output(), [*self.DEV, *self.KEPT])
        done = workspace.run("split/dev", subpackage="demo-dev")
        assert done.returncode == 0, done.stderr
        assert tree(workspace.output("demo-dev")) == sorted(name.partition(" ->")[0] for name in self.DEV)
        assert tree(workspace.output()) == sorted(name.partition(" ->")[0] for name in self.KEPT)
        assert not (workspace.output() / "usr/include").exists() and not (workspace.output() / "opt").exists()

    def test_dev_moves_a_linked_pkgconfig_directory_as_a_link(self, workspace: Workspace) -> None:
        fill(workspace.output(), ["usr/lib/pkgconfig/a.pc", "usr/share/pkgconfig -> ../lib/pkgconfig", "usr/share/x"])
        assert workspace.run("split/dev", subpackage="d").returncode == 0
        assert (workspace.output("d") / "usr/share/pkgconfig").is_symlink()
        assert tree(workspace.output()) == ["usr/share/x"]

    def test_dev_of_another_prefix_and_package(self, workspace: Workspace) -> None:
        fill(workspace.output("other"), ["opt/q/include/a.h", "opt/q/lib/liba.a", "usr/lib/libb.a"])
        fill(workspace.output(), ["opt/q/include/keep.h"])
        given = {"prefix": "/opt/q", "package": "other"}
        assert workspace.run("split/dev", given, subpackage="d").returncode == 0
        assert tree(workspace.output("d")) == ["opt/q/include/a.h", "opt/q/lib/liba.a"]
        assert tree(workspace.output()) == ["opt/q/include/keep.h"]

    @pytest.mark.parametrize(
        ("pipeline", "moved", "kept"),
        [
            ("static", ["usr/lib/a.a", "lib/b c.a"], ["opt/c.a", "usr/lib/a.so"]),
            (
                "lib",
                ["usr/lib/liba.so.1", "usr/lib/liba.so.1.2 -> liba.so.1", "lib/b.so.2"],
                ["usr/lib/x/libq.so.1", "usr/lib/liba.so"],
            ),
            ("manpages", ["usr/share/man/man1/a.1"], ["usr/share/doc/a"]),
            ("locales", ["usr/share/locale/de/a.mo"], ["usr/share/doc/a"]),
            ("bin", ["usr/bin/a", "usr/bin/.hidden", "usr/bin/b c"], ["usr/sbin/d"]),
        ],
    )
    def test_others(self, workspace: Workspace, pipeline: str, moved: list[str], kept: list[str]) -> None:
        fill(workspace.output(), [*moved, *kept])
        done = workspace.run(f"split/{pipeline}", subpackage="s")
        assert done.returncode == 0, done.stderr
        assert tree(workspace.output("s")) == sorted(name.partition(" ->")[0] for name in moved)
        assert tree(workspace.output()) == sorted(kept)

    def test_lib_by_pattern_and_path(self, workspace: Workspace) -> None:
        fill(workspace.output(), ["usr/lib/liba.so.1", "usr/lib/libb.so.1", "opt/l/liba.so.2", "opt/l/libc.so.2"])
        given = {"patterns": "a\nc\n", "paths": "/opt/l\n"}
        assert workspace.run("split/lib", given, subpackage="s").returncode == 0
        assert tree(workspace.output("s")) == ["opt/l/liba.so.2", "opt/l/libc.so.2", "usr/lib/liba.so.1"]
        assert not (workspace.output() / "opt/l").exists()

    def test_documentation(self, workspace: Workspace) -> None:
        fill(
            workspace.output(),
            ["usr/share/info/dir", "usr/share/info/a.info", "usr/share/man/a.1", "usr/share/doc/r", "usr/local/share/doc/q"],
        )
        assert workspace.run("split/alldocs", subpackage="s").returncode == 0
        assert tree(workspace.output("s")) == ["usr/share/doc/q", "usr/share/doc/r", "usr/share/info/a.info", "usr/share/man/a.1"]
        assert tree(workspace.output()) == []

    @pytest.mark.parametrize("name", ["dev", "static", "lib", "manpages", "infodir", "locales", "alldocs", "debug"])
    def test_nothing_to_split_is_no_failure_but_splitting_from_itself_is(self, workspace: Workspace, name: str) -> None:
        assert workspace.run(f"split/{name}", subpackage="s").returncode == 0
        assert workspace.run(f"split/{name}", {"package": "absent"}, subpackage="s").returncode == 0
        done = workspace.run(f"split/{name}", {"package": "s"}, subpackage="s")
        assert done.returncode and "itself" in done.stderr

    def test_bin_finds_its_own_source_and_needs_programs(self, workspace: Workspace) -> None:
        fill(workspace.output("lib"), ["usr/bin/a"])
        assert workspace.run("split/bin", subpackage="lib-bin").returncode == 0
        assert tree(workspace.output("lib-bin")) == ["usr/bin/a"]
        assert workspace.run("split/bin", subpackage="s").returncode

    @pytest.mark.skipif(shutil.which("cc") is None or shutil.which("objcopy") is None, reason="needs a C compiler and binutils")
    def test_debug_and_strip_keep_links_and_modes(self, workspace: Workspace) -> None:
        source = workspace.home / "a.c"
        source.write_text("int f(int x) { return x + 1; }\n")
        library = workspace.output() / "usr/lib/liba.so.1"
        library.parent.mkdir(parents=True)
        subprocess.run(["cc", "-g", "-shared", "-fPIC", "-o", library, source], check=True)
        library.chmod(0o4755)
        os.link(library, library.with_name("again.so.1"))
        before = library.stat()
        assert workspace.run("split/debug", subpackage="demo-dbg").returncode == 0
        after = library.stat()
        assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, 2)
        assert after.st_size < before.st_size
        assert [name for name in tree(workspace.output("demo-dbg")) if name.endswith(".debug")] != []
        program = workspace.output() / "usr/bin/p q"
        program.parent.mkdir(parents=True)
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-g", "-o", program, source], check=True)
        size = program.stat().st_size
        done = workspace.run("strip")
        assert done.returncode == 0, done.stderr
        assert program.stat().st_size < size and library.stat().st_nlink == 2


def git(place: Path, *words: str) -> str:
    command = [
        "git",
        "-C",
        str(place),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "protocol.file.allow=always",
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(place: Path, name: str) -> str:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(name)
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", name)
    return git(place, "rev-parse", "HEAD")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
class TestGitCheckout:
    @pytest.fixture
    def upstream(self, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
        place = tmp_path / "upstream"
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
        commits = {"one": commit(place, "one"), "two": commit(place, "two")}
        git(place, "tag", "-a", "v2", "-m", "v2")
        commits["tag"] = git(place, "rev-parse", "v2")
        git(place, "branch", "v2")  # the same name as the tag
        commits["three"] = commit(place, "sub/three")
        git(place, "checkout", "-q", "-b", "fixes", commits["two"])
        commits["fix"] = commit(place, "fix")
        git(place, "checkout", "-q", "v2^{commit}")
        git(place, "branch", "-f", "v2", commits["one"])
        git(place, "checkout", "-q", "main")
        yield place, commits

    def checkout(self, workspace: Workspace, upstream: Path, **given: str) -> subprocess.CompletedProcess[str]:
        options = {"repository": f"file://{upstream}", "max-retries": "0"} | {
            key.replace("_", "-"): value for key, value in given.items()
        }
        return workspace.run("git-checkout", options)

    def test_a_tag_wins_over_a_branch_of_the_same_name(self, workspace: Workspace, upstream: tuple[Path, dict[str, str]]) -> None:
        done = self.checkout(workspace, upstream[0], tag="v2", expected_commit=upstream[1]["two"])
        assert done.returncode == 0, done.stderr
        assert git(workspace.home, "rev-parse", "HEAD") == upstream[1]["two"]
        assert (workspace.home / "two").exists() and not (workspace.home / "sub").exists()

    def test_the_tag_object_is_accepted_with_a_warning(self, workspace: Workspace, upstream: tuple[Path, dict[str, str]]) -> None:
        done = self.checkout(workspace, upstream[0], tag="v2", expected_commit=upstream[1]["tag"], destination="src/a")
        assert done.returncode == 0 and "warning" in done.stderr
        assert (workspace.home / "src/a/two").exists()

    def test_an_older_commit_of_a_branch(self, workspace: Workspace, upstream: tuple[Path, dict[str, str]]) -> None:
        assert self.checkout(workspace, upstream[0], branch="main", expected_commit=upstream[1]["one"]).returncode == 0
        assert git(workspace.home, "rev-parse", "HEAD") == upstream[1]["one"]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"tag": "v2", "expected-commit": "one"}, "expected"),
            ({"branch": "main", "expected-commit": "fix"}, "history"),
            ({"branch": "main", "expected-commit": "two", "depth": "1"}, "depth"),
            ({"branch": "main", "expected-commit": "two", "expected-commit-is-branch-tip": "true"}, "tip"),
            ({"branch": "main", "tag": "v2"}, "exclude"),
            ({"tag": "v2", "recurse-submodules": "yes"}, "neither"),
            ({"tag": "v3"}, "cannot clone"),
            ({"tag": "v2", "expected-commit-is-branch-tip": "true"}, "needs branch"),
            ({"branch": "main", "cherry-picks": "fixes/abc"}, "form"),
            ({"branch": "main", "cherry-picks": "fixes/abc: # why"}, "no comment"),
        ],
    )
    def test_refuses(
        self, workspace: Workspace, upstream: tuple[Path, dict[str, str]], given: dict[str, str], message: str
    ) -> None:
        given = {key: upstream[1].get(value, value) if key == "expected-commit" else value for key, value in given.items()}
        done = workspace.run("git-checkout", {"repository": f"file://{upstream[0]}", "max-retries": "0"} | given)
        assert done.returncode and message in done.stderr

    def test_cherry_picks_have_a_fixed_date(self, tmp_path: Path, upstream: tuple[Path, dict[str, str]]) -> None:
        heads = set()
        for number in range(2):
            (tmp_path / f"w{number}").mkdir()
            workspace = Workspace(tmp_path / f"w{number}")
            picks = f"\n# nothing\nfixes/{upstream[1]['fix']}: a fix  # really\n"
            done = self.checkout(workspace, upstream[0], branch="main", expected_commit=upstream[1]["three"], cherry_picks=picks)
            assert done.returncode == 0, done.stderr
            assert (workspace.home / "fix").exists()
            heads.add(git(workspace.home, "rev-parse", "HEAD"))
            assert git(workspace.home, "log", "-1", "--format=%ct") == "315532800"
        assert len(heads) == 1

    def test_cherry_picks_come_from_any_ref(self, workspace: Workspace, upstream: tuple[Path, dict[str, str]]) -> None:
        git(upstream[0], "update-ref", "refs/pull/5/head", upstream[1]["fix"])
        git(upstream[0], "branch", "-D", "fixes")
        picks = f"pull/5/head/{upstream[1]['fix']}: a proposal\n"
        done = self.checkout(workspace, upstream[0], branch="main", cherry_picks=picks)
        assert done.returncode == 0, done.stderr
        assert (workspace.home / "fix").exists()

    def test_sparse_paths_and_depth(self, workspace: Workspace, upstream: tuple[Path, dict[str, str]]) -> None:
        git(upstream[0], "config", "uploadpack.allowFilter", "true")
        done = self.checkout(workspace, upstream[0], branch="main", sparse_paths="sub", depth="-1")
        assert done.returncode == 0, done.stderr
        assert (workspace.home / "sub/three").exists()
        assert git(workspace.home, "rev-list", "--count", "HEAD") == "3"


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")
class TestPatch:
    PATCH = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-{}\n+{}\n"

    @pytest.fixture(autouse=True)
    def sources(self, workspace: Workspace) -> None:
        (workspace.home / "f").write_text("a\n")
        (workspace.home / "one.patch").write_text(self.PATCH.format("a", "b"))
        (workspace.home / "two.patch").write_text(self.PATCH.format("b", "c"))
        (workspace.home / "series").write_text("# first\n\n one.patch\ntwo.patch\n")

    @pytest.mark.parametrize("given", [{"patches": "one.patch two.patch"}, {"patches": "  one.patch\n  two.patch\n"},
                                       {"series": "series"},
                                       {"series": "series", "patches": "nope.patch"}])  # fmt: skip
    def test_applies_in_order(self, workspace: Workspace, given: dict[str, str]) -> None:
        done = workspace.run("patch", given)
        assert done.returncode == 0, done.stderr
        assert (workspace.home / "f").read_text() == "c\n"

    @pytest.mark.parametrize(
        "given",
        [{}, {"patches": "  "}, {"series": "nope"}, {"patches": "two.patch one.patch"}, {"patches": "one.patch", "fuzz": "x"},
         {"patches": "one.patch", "strip-components": "-1"}, {"patches": "$(touch${IFS}hurt).patch"}, {"patches": "a;b.patch"}],
    )  # fmt: skip
    def test_refuses(self, workspace: Workspace, given: dict[str, str]) -> None:
        assert workspace.run("patch", given).returncode
        assert not (workspace.home / "hurt").exists()


class TestFetch:
    @pytest.fixture
    def archive(self, workspace: Workspace, tmp_path: Path) -> bytes:
        (tmp_path / "top").mkdir()
        (tmp_path / "top" / "file").write_text("content")
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / "top", "top")
        data = (tmp_path / "x.tar.gz").read_bytes()
        for name in ("sha256", "sha512"):
            (workspace.cache / f"{name}:{hashlib.new(name, data).hexdigest()}").write_bytes(data)
        return data

    @pytest.mark.parametrize("name", ["sha256", "sha512"])
    def test_takes_from_the_cache_and_unpacks(self, workspace: Workspace, archive: bytes, name: str) -> None:
        digest = hashlib.new(name, archive).hexdigest()
        given = {"uri": "https://example.org/a/x.tar.gz", f"expected-{name}": digest, "directory": "new/place", "delete": "true"}
        done = workspace.run("fetch", given)
        assert done.returncode == 0, done.stderr
        assert tree(workspace.home) == ["new/place/file"]

    def test_checks_what_it_downloads(self, workspace: Workspace, archive: bytes) -> None:
        workspace.stand_in("wget", 'for word; do case "$word" in --output-document=*) echo other > "${word#*=}" ;; esac; done')
        given = {"uri": "https://example.org/x.tar.gz", "expected-sha256": "0" * 64, "timeout": "7"}
        assert workspace.run("fetch", given).returncode
        assert "--read-timeout=7" in workspace.recorded()[0]
        good = hashlib.sha256(b"other\n").hexdigest()
        both = {"uri": "https://example.org/f", "expected-sha256": good, "expected-sha512": "0" * 128, "extract": "false"}
        assert workspace.run("fetch", both).returncode
        assert workspace.run("fetch", both | {"expected-sha512": ""}).returncode == 0
        assert (workspace.home / "f").read_text() == "other\n"

    def test_needs_a_digest(self, workspace: Workspace) -> None:
        done = workspace.run("fetch", {"uri": "https://example.org/x"})
        assert done.returncode and "expected-sha256" in done.stderr


class TestPython:
    @pytest.mark.parametrize(
        ("given", "passes", "shown"),
        [
            ({"imports": "import os\n# comment\nfrom json import loads # why\n"}, True, "PASS: from json import loads"),
            ({"imports": "import os\nimport no_such_thing\nimport sys\n"}, False, "PASS: import sys"),
            ({"import": "os"}, True, "PASS: import os"),
            ({"import": "path", "from": "os"}, True, "PASS: from os import path"),
            ({"from": "os"}, False, ""),
            ({"imports": "import os", "import": "os"}, False, ""),
            ({}, False, ""),
        ],
    )
    def test_imports(self, workspace: Workspace, given: dict[str, str], passes: bool, shown: str) -> None:
        done = workspace.run("python/import", {"python": sys.executable} | given)
        assert (done.returncode == 0) == passes, done.stderr
        assert shown in done.stdout


@pytest.mark.parametrize(
    ("pipeline", "given", "wanted"),
    [
        ("autoconf/make", {"dir": "d", "opts": "A=1 B=2", "targets": "x y"}, "make -C d -jN V=1 A=1 B=2 x y"),
        ("autoconf/make-install", {}, "make -C . install DESTDIR=OUT/demo V=1 "),
        ("cmake/build", {"opts": "-j 2"}, "cmake --build output --verbose -j 2"),
        ("cmake/install", {"output-dir": "b"}, "cmake --install b"),
        ("meson/configure", {"opts": "-Da=b"}, "meson setup . output --prefix=/usr --wrap-mode=nodownload -Da=b"),
        ("meson/compile", {}, "meson compile -C output -j N"),
        ("meson/install", {}, "meson install --no-rebuild -C output"),
        ("git-am", {"patches": "a b"}, "git am a b"),
        ("pecl/phpize", {}, "phpize "),
        ("ruby/build", {"gem": "g", "opts": "-x"}, "gem build g.gemspec -x"),
        ("ruby/install", {"gem": "g", "version": "1", "dir": "."},
         ("gem install g-1.gem --local --ignore-dependencies --no-document --verbose"
         " --install-dir OUT/demo/gems --bindir OUT/demo/usr/bin")),
    ],
)  # fmt: skip
def test_arguments_of_tools(workspace: Workspace, pipeline: str, given: dict[str, str], wanted: str) -> None:
    for name in ("make", "cmake", "meson", "git", "phpize", "gem"):
        workspace.stand_in(name)
    (workspace.tools / "ruby").write_text("#!/bin/bash\nprintf /gems\n")
    (workspace.tools / "ruby").chmod(0o755)
    (workspace.tools / "nproc").write_text("#!/bin/bash\necho N\n")
    (workspace.tools / "nproc").chmod(0o755)
    (workspace.home / "configure").write_text("#!/bin/bash\n")
    (workspace.home / "configure").chmod(0o755)
    (workspace.home / "g.gemspec").write_text("s.signing_key = 1\nkeep\n")
    done = workspace.run(pipeline, given)
    assert done.returncode == 0, done.stderr
    assert workspace.recorded()[0].replace(str(workspace.output("")), "OUT").rstrip() == wanted.rstrip()


def test_configure_generates_and_lets_options_win(workspace: Workspace) -> None:
    workspace.stand_in("autoreconf", "printf '#!/bin/bash\\necho \"$@\" > called\\n' > configure; chmod 755 configure")
    (workspace.home / "configure.ac").write_text("")
    assert workspace.run("autoconf/configure", {"opts": "--prefix=/opt"}).returncode == 0
    words = (workspace.home / "called").read_text().split()
    assert words[0] == "--host=x86_64-pc-linux-gnu" and words[-1] == "--prefix=/opt" and "--libdir=/usr/lib" in words


def test_make_install_removes_libtool_files(workspace: Workspace) -> None:
    workspace.stand_in("make")
    fill(workspace.output(), ["usr/lib/a.la", "usr/lib/b c.la", "usr/lib/a.so"])
    assert workspace.run("autoconf/make-install").returncode == 0
    assert tree(workspace.output()) == ["usr/lib/a.so"]


def test_cleaning(workspace: Workspace) -> None:
    fill(workspace.output(), ["usr/lib/perl5/perllocal.pod", "usr/lib/perl5/auto/A/.packlist", "usr/lib/perl5/A.pm"])
    assert workspace.run("perl/cleanup").returncode == 0
    assert tree(workspace.output()) == ["usr/lib/perl5/A.pm"]


@pytest.mark.parametrize("pipeline", ["go/build", "go/build/v2"])
def test_go_build_keeps_the_stamp_clean_and_restores(workspace: Workspace, pipeline: str) -> None:
    workspace.stand_in("go", f'cat "$HOME/.config/git/ignore" >> {workspace.record}')
    workspace.stand_in("strip")
    (workspace.home / "go.mod").write_text("module m\n")
    ignore = workspace.home / ".config/git/ignore"
    if pipeline == "go/build/v2":
        ignore.parent.mkdir(parents=True)
        ignore.write_text("mine\n")
    done = workspace.run(pipeline, {"packages": "./cmd/x", "output": "x", "tags": "t", "ldflags": "-X a=b"})
    assert done.returncode == 0, done.stderr
    first, ignored = workspace.recorded()[:2]
    assert first.endswith("-tags netgo,osusergo,t -ldflags -w -X a=b -trimpath -buildmode default ./cmd/x") and ignored == "**"
    assert ignore.exists() == (pipeline == "go/build/v2")
    assert not ignore.exists() or ignore.read_text() == "mine\n"
    (workspace.home / "go.mod").unlink()
    assert workspace.run(pipeline, {"packages": ".", "output": "x"}).returncode


def test_npm_overrides_may_have_scopes(workspace: Workspace) -> None:
    workspace.stand_in("npm", f"[ ! -f package.json ] || cat package.json >> {workspace.record}")
    given = {"package": "p", "version": "1", "overrides": "a@2, @s/n@3 # why\n b@4\n"}
    done = workspace.run("npm/install", given | {"prefix": str(workspace.home / "p")})
    (workspace.home / "p/lib").mkdir(parents=True, exist_ok=True)
    done = workspace.run("npm/install", given | {"prefix": str(workspace.home / "p")})
    assert done.returncode == 0, done.stderr
    assert '{"dependencies":{"p":"1"},"overrides":{"a":"2","@s/n":"3","b":"4"}}' in workspace.recorded()
