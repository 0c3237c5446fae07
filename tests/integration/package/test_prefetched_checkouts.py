"""A checkout from a prefetched bundle is the checkout from the network: same commits, same files, no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.integration.package.builtin_pipelines import Workspace

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.shelves import library_of
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.fetching import fetch_sources
from apkiln.package.sources.plan import FetchedSources, SourcePlan
from apkiln.package.sources.planning import plan_sources
from apkiln.package.sources.source_map import SourceMap
from apkiln.system.clock import ManualClock
from apkiln.system.files import DiskFiles
from apkiln.system.git_command import GitCommand
from apkiln.system.git_program import ProgramGit
from apkiln.system.process import ScriptedRunner, SystemRunner
from apkiln.system.transfer import LocalTransfer

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
HOST = "https://git.example/"


def git(place: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    command = ["git", "-C", str(place), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(place: Path, name: str) -> str:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(name)
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", name)
    return git(place, "rev-parse", "HEAD")


class Upstream(NamedTuple):
    root: Path
    commits: dict[str, str]


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    root = tmp_path / "host"
    inner, lib, app = root / "inner", root / "lib", root / "app"
    commits = {}
    for place in (inner, lib, app):
        place.mkdir(parents=True)
        git(place, "init", "-q", "-b", "main")
    commits["inner"] = commit(inner, "innermost")
    git(lib, "submodule", "add", "-q", str(inner), "deep er")
    git(lib, "config", "--file", ".gitmodules", "submodule.deep er.url", "../inner")
    commits["lib"] = commit(lib, "library")
    commit(lib, "later")
    commits["one"] = commit(app, "one")
    git(app, "submodule", "add", "-q", str(lib), "third/lib")
    git(app / "third/lib", "checkout", "-q", commits["lib"])
    git(app, "config", "--file", ".gitmodules", "submodule.third/lib.url", "../lib.git")
    git(app, "add", "-A")
    commits["two"] = commit(app, "two")
    git(app, "tag", "-a", "v2", "-m", "v2")
    commits["tag"] = git(app, "rev-parse", "v2")
    commits["three"] = commit(app, "sub/three")
    git(app, "checkout", "-q", "-b", "fixes", commits["two"])
    commits["fix"] = commit(app, "fix")
    commits["more"] = commit(app, "more")
    git(app, "checkout", "-q", "main")
    (root / "lib.git").symlink_to(lib)
    yield Upstream(root, commits)


def definition(given: dict[str, str], repository: str) -> bytes:
    step = {"uses": "git-checkout", "with": {"repository": repository, "max-retries": "0", **given}}
    return json.dumps({"package": {"name": "demo", "version": "1.2.3", "epoch": 0}, "pipeline": [step]}).encode()


def plan_of(given: dict[str, str]) -> SourcePlan:
    loaded = load(definition(given, f"{HOST}app"), "test.yaml")
    return plan_sources(resolve(loaded, Arch.parse("x86_64"), library_of([])).definition)


def access_of(cache: Path, host: Path | None, *, allow_unpinned: bool = False) -> SourceAccess:
    files = DiskFiles(durable=False)
    program = ProgramGit(SystemRunner(), files, cache.parent / "mirrors", dict(os.environ), ManualClock(), offline=host is None)
    places = SourceMap(prefixes=((HOST, f"file://{host}/"),), only=True) if host else SourceMap()
    return SourceAccess(cache.absolute(), files, LocalTransfer(files), program, places, allow_unpinned=allow_unpinned, jobs=2)


def prefetch(workspace: Workspace, upstream: Upstream, given: dict[str, str], *, unpinned: bool = False) -> FetchedSources:
    return fetch_sources(plan_of(given), access_of(workspace.cache, upstream.root, allow_unpinned=unpinned))


def tree(place: Path) -> list[str]:
    found = (path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    return sorted(name for name in found if ".git/" not in f"{name}/" and "melange-out" not in name and ".gitconfig" not in name)


CASES = {
    "tag": {"tag": "v2", "expected-commit": "two"},
    "tag object": {"tag": "v2", "expected-commit": "tag"},
    "tag, all history": {"tag": "v2", "expected-commit": "two", "depth": "-1"},
    "older commit of a branch": {"branch": "main", "expected-commit": "one"},
    "tip of a branch": {"branch": "main", "expected-commit": "three", "expected-commit-is-branch-tip": "true"},
    "depth": {"branch": "main", "expected-commit": "three", "depth": "2"},
    "head": {"expected-commit": "three"},
    "picks": {"tag": "v2", "expected-commit": "two", "cherry-picks": "fixes/{fix}: a\nfixes/{more}: b\n"},
    "picks with history": {"branch": "main", "expected-commit": "three", "cherry-picks": "fixes/{fix}: a"},
    "sparse": {"branch": "main", "expected-commit": "three", "sparse-paths": "sub", "depth": "-1"},
    "submodules": {"tag": "v2", "expected-commit": "two", "recurse-submodules": "true"},
    "destination": {"tag": "v2", "expected-commit": "two", "destination": "src/app"},
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_bundle_gives_the_same_checkout(tmp_path: Path, upstream: Upstream, name: str) -> None:
    given = {key: upstream.commits.get(value, value.format(**upstream.commits)) for key, value in CASES[name].items()}
    seen = []
    for kind in ("network", "cache"):
        (tmp_path / kind).mkdir()
        workspace = Workspace(tmp_path / kind)
        repository = f"file://{upstream.root}/app"
        if kind == "cache":
            fetched = prefetch(workspace, upstream, given)
            assert [material.digest.hex for material in fetched.materials] == [given["expected-commit"]] or name == "tag object"
            (upstream.root / "app").rename(upstream.root / "gone")
            repository = f"{HOST}app"
        # Submodules of a local upstream need a say-so that those of a server do not.
        allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
        done = workspace.run("git-checkout", {"repository": repository, "max-retries": "0"} | given, environment=allowed)
        assert done.returncode == 0, done.stderr
        place = workspace.home / given.get("destination", ".")
        seen.append(
            (
                git(place, "rev-parse", "HEAD"),
                tree(place),
                git(place, "status", "--porcelain", "--", ":!melange-out", ":!.gitconfig"),
            )
        )
        if kind == "cache":
            assert git(place, "remote", "get-url", "origin") == f"{HOST}app"
            assert not git(place, "for-each-ref", "refs/apkiln")
            git(place, "fsck", "--full")
    assert seen[0] == seen[1]
    if name == "submodules":
        assert "third/lib/deep er/innermost" in seen[1][1] and "third/lib/later" not in seen[1][1]


def test_what_is_cached_needs_no_repository(tmp_path: Path, upstream: Upstream) -> None:
    given = {"tag": "v2", "expected-commit": upstream.commits["two"], "recurse-submodules": "true"}
    cache = tmp_path / "cache"
    first = fetch_sources(plan_of(given), access_of(cache, upstream.root))
    shutil.rmtree(tmp_path / "mirrors")
    again = fetch_sources(plan_of(given), access_of(cache, None))
    assert again.materials[0].location == "cache" and again.materials[0].digest == first.materials[0].digest
    bundles = sorted(path.name for path in cache.iterdir() if not path.name.startswith(".") and "." not in path.name)
    assert bundles == sorted(f"git:{upstream.commits[name]}" for name in ("two", "lib", "inner"))


def test_a_deeper_wish_keeps_what_the_bundle_had(tmp_path: Path, upstream: Upstream) -> None:
    cache = tmp_path / "cache"
    commits = upstream.commits
    shallow = {"tag": "v2", "expected-commit": commits["two"], "cherry-picks": f"fixes/{commits['fix']}: a"}
    whole = {"branch": "main", "expected-commit": commits["two"]}
    for given in (shallow, whole):
        fetch_sources(plan_of(given), access_of(cache, upstream.root))
    shutil.rmtree(upstream.root)
    shutil.rmtree(tmp_path / "mirrors")
    for given in (shallow, whole):
        assert fetch_sources(plan_of(given), access_of(cache, None)).materials[0].location == "cache"
    place = tmp_path / "look"
    subprocess.run(["git", "clone", "-q", str(cache / f"git:{commits['two']}"), str(place), "-b", "main"], check=True)
    assert git(place, "rev-list", "--count", "HEAD") == "2"


def test_lock_files_of_a_git_that_was_killed_do_no_harm(tmp_path: Path, upstream: Upstream) -> None:
    given = {"branch": "main", "expected-commit": upstream.commits["two"]}
    fetch_sources(plan_of(given), access_of(tmp_path / "cache", upstream.root))
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    for name in ("refs/heads/main.lock", "packed-refs.lock", "config.lock", "shallow.lock"):
        (mirror / name).touch()
    upstream.commits["four"] = commit(upstream.root / "app", "four")
    given["expected-commit"] = upstream.commits["four"]
    assert fetch_sources(plan_of(given), access_of(tmp_path / "cache", upstream.root)).materials[0].location != "cache"


def test_logins_go_to_git_in_variables(tmp_path: Path) -> None:
    runner = ScriptedRunner({})
    command = GitCommand(runner, {"HTTP_AUTH": "basic:h.example:8443:me:secret\nbearer:g.example:token", "PATH": "/bin"})
    with pytest.raises(ApkilnError):
        command.run(None, ("version",))
    (asked,) = runner.commands
    variables = dict(asked.environment)
    assert "secret" not in " ".join(asked.arguments)
    assert variables["GIT_CONFIG_COUNT"] == "2"
    assert variables["GIT_CONFIG_KEY_0"] == "http.https://h.example:8443/.extraHeader"
    assert variables["GIT_CONFIG_VALUE_1"] == "Authorization: Bearer token"


def test_unpinned_checkouts_must_be_allowed_and_are_found_by_the_step(tmp_path: Path, upstream: Upstream) -> None:
    given = {"tag": "v2"}
    (tmp_path / "w").mkdir()
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(ApkilnError) as caught:
        prefetch(workspace, upstream, given)
    assert caught.value.reason == "unpinned-source" and caught.value.origin.source == "test.yaml"
    fetched = prefetch(workspace, upstream, given, unpinned=True)
    assert fetched.materials[0].digest.hex == upstream.commits["two"]
    shutil.rmtree(upstream.root)
    done = workspace.run("git-checkout", {"repository": f"{HOST}app", "max-retries": "0"} | given)
    assert done.returncode == 0, done.stderr
    assert git(workspace.home, "rev-parse", "HEAD") == upstream.commits["two"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"tag": "v2", "expected-commit": "one"}, "tag-moved"),
        ({"tag": "v9", "expected-commit": "one"}, "ref-missing"),
        ({"branch": "none", "expected-commit": "one"}, "ref-missing"),
        ({"branch": "main", "expected-commit": "fix"}, "commit-diverged"),
        ({"branch": "main", "expected-commit": "two", "depth": "1"}, "commit-not-found"),
        ({"branch": "main", "expected-commit": "two", "expected-commit-is-branch-tip": "true"}, "not-branch-tip"),
        ({"tag": "v2", "expected-commit": "two", "cherry-picks": f"fixes/{'0' * 40}: x"}, "cherry-pick-missing"),
    ],
)
def test_refuses(tmp_path: Path, upstream: Upstream, given: dict[str, str], reason: str) -> None:
    given = {key: upstream.commits.get(value, value) if key == "expected-commit" else value for key, value in given.items()}
    with pytest.raises(ApkilnError) as caught:
        fetch_sources(plan_of(given), access_of(tmp_path / "cache", upstream.root))
    assert caught.value.reason == reason
    assert caught.value.origin.source
    assert not [name for name in os.listdir(tmp_path / "cache") if name.startswith("git:")]


def test_offline_without_a_cache_names_the_repository(tmp_path: Path, upstream: Upstream) -> None:
    with pytest.raises(ApkilnError) as caught:
        fetch_sources(plan_of({"tag": "v2", "expected-commit": "a" * 40}), access_of(tmp_path / "cache", None))
    assert caught.value.reason == "offline" and "git.example" in str(caught.value)


def test_references_are_listed_with_the_commits_behind_tags(tmp_path: Path, upstream: Upstream) -> None:
    program = ProgramGit(SystemRunner(), DiskFiles(), tmp_path / "m", dict(os.environ), ManualClock())
    found = program.references(f"file://{upstream.root}/app", ("refs/tags/*",))
    assert [(item.name, item.object, item.commit) for item in found] == [
        ("refs/tags/v2", upstream.commits["tag"], upstream.commits["two"])
    ]
