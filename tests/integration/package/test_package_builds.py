"""Whole builds in the real sandbox: what steps can and cannot do, and what becomes of what they leave."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.build_workshop import Fixture, make_fixture
from tests.conformance.suites.commands import Answer, run_command

from apkiln.cli import exit_codes
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package import read_package
from apkiln.formats.archive.entry import Entry, EntryType

if shutil.which("bwrap") is None or os.uname().machine != "x86_64":
    pytest.skip("bwrap on x86-64 is needed: install the package bubblewrap", allow_module_level=True)

HEAD = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
"""
OUT = "${{targets.destdir}}"


class Bench(NamedTuple):
    """A directory to build in, with the shared repository and cache."""

    directory: Path
    fixture: Fixture
    cache: Path

    def build(self, definition: str, *flags: str, name: str = "demo") -> Answer:
        (self.directory / f"{name}.yaml").write_text(definition)
        return run_command(self.words(name, *flags), self.directory, {"APKILN_CACHE": str(self.cache)})

    def words(self, name: str, *flags: str) -> list[str]:
        keys = ("-r", str(self.fixture.directory), "-k", str(self.fixture.key), "--signing-key", str(self.fixture.signing_key))
        return ["package", "build", f"{name}.yaml", *keys, "--empty-workspace", *flags]

    def package(self, name: str = "demo-1.0-r0") -> PackageContents:
        with (self.directory / f"packages/x86_64/{name}.apk").open("rb") as stream:
            return read_package(stream)

    def entries(self, name: str = "demo-1.0-r0") -> dict[str, Entry]:
        return {item.entry.path: item.entry for item in self.package(name).entries}


def script(*lines: str, head: str = HEAD) -> str:
    return head + "pipeline:\n  - runs: |\n" + "".join(f"      {line}\n" for line in lines)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fixture, Path]:
    directory = tmp_path_factory.mktemp("shared")
    for place in (directory, directory.parent):
        place.chmod(0o755)
    return make_fixture(directory / "fixture"), directory / "cache"


@pytest.fixture
def bench(shared: tuple[Fixture, Path], tmp_path: Path) -> Bench:
    return Bench(tmp_path, *shared)


def done(answer: Answer) -> Answer:
    assert answer.code == 0, answer.errors
    return answer


def test_files_keep_owners_modes_links_and_attributes(bench: Bench) -> None:
    done(
        bench.build(
            script(
                f"cd {OUT}; mkdir -p usr/lib/a var/sticky; chmod 2755 usr/lib/a; chmod 1777 var/sticky",
                "echo one > usr/lib/a/f; ln usr/lib/a/f usr/lib/a/g; ln -s f usr/lib/a/h",
                "chown 1234:4321 usr/lib/a/f; chown 5:6 usr/lib/a; mkx usr/lib/a/f user.key value",
                "echo two > usr/lib/a/s; chmod 4711 usr/lib/a/s; head -c 5000 /dev/zero > usr/lib/a/zero",
            ),
            "--lint-require",
            "",
        )
    )
    found = bench.entries()
    assert (found["usr/lib/a"].mode, found["usr/lib/a"].uid, found["usr/lib/a"].gid) == (0o2755, 5, 6)
    assert found["var/sticky"].mode == 0o1777
    assert (found["usr/lib/a/f"].uid, found["usr/lib/a/f"].gid) == (1234, 4321)
    assert found["usr/lib/a/f"].xattrs == (("user.key", b"value"),)
    assert (found["usr/lib/a/g"].type, found["usr/lib/a/g"].target) == (EntryType.HARDLINK, "usr/lib/a/f")
    assert found["usr/lib/a/h"].target == "f" and found["usr/lib/a/s"].mode == 0o4711
    assert found["usr/lib/a/zero"].size == 5000


def test_the_same_definition_gives_the_same_bytes_on_overlay_and_hard_links(bench: Bench) -> None:
    text = script(
        f"mkdir -p {OUT}/usr/share/x",
        f"date +%s > {OUT}/usr/share/x/now",
        f"rm {OUT}/usr/share/x/now",
        f"id > {OUT}/usr/share/x/id",
    )
    contents = []
    for flags in ((), ("--root", "hardlinks"), ("--jobs", "1")):
        umask = os.umask(0o077 if flags else 0o022)
        try:
            done(bench.build(text, *flags))
        finally:
            os.umask(umask)
        contents.append((bench.directory / "packages/x86_64/demo-1.0-r0.apk").read_bytes())
        shutil.rmtree(bench.directory / "packages")
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize(
    "attempt",
    [
        "exec 3<>/dev/tcp/127.0.0.1/22",
        "exec 3<>/dev/tcp/192.0.2.1/80",
        "mknod /tmp/disk b 8 0",
        "echo x > /sys/kernel/uevent_helper",
        "ls /proc | grep -q '^[0-9]\\{4,\\}$'",
    ],
)
def test_a_build_cannot_reach_out(bench: Bench, attempt: str) -> None:
    answer = bench.build(script(f"mkdir -p {OUT}/usr", attempt))
    assert answer.code == exit_codes.BY_CLASS[-1][1], answer.errors
    assert not (bench.directory / "packages").exists()


def test_only_the_declared_environment_is_there(bench: Bench) -> None:
    os.environ["LEAKED"] = "secret"
    try:
        head = HEAD.replace("[busybox]}", "[busybox]}, environment: {OWN: value}")
        text = (
            f"{head}pipeline:\n  - environment: {{STEP: here}}\n    runs: |\n"
            f"      mkdir -p {OUT}/usr; env | sort > {OUT}/usr/env\n"
            f"      {{ cat /proc/sys/kernel/hostname; umask; pwd; }} >> {OUT}/usr/env\n"
        )
        done(bench.build(text, "--keep-workspace"))
    finally:
        del os.environ["LEAKED"]
    (kept,) = bench.cache.glob("builds/build-*/home/melange-out/demo/usr/env")
    lines = kept.read_text().splitlines()
    shutil.rmtree(kept.parents[4])
    assert not any("LEAKED" in line for line in lines)
    assert {"OWN=value", "STEP=here", "HOME=/home/build", "SOURCE_DATE_EPOCH=0", "build", "0022", "/home/build"} <= set(lines)
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin" in lines


def test_a_failing_step_names_its_place_and_its_last_words(bench: Bench) -> None:
    answer = bench.build(script("echo first", "echo last words >&2", "false", "echo never"))
    assert answer.code == 11 and "demo.yaml:4:" in answer.errors and "exit code 1" in answer.errors
    assert "last words" in answer.errors and "never" not in answer.errors and "--interactive" in answer.errors
    assert not list(bench.cache.glob("builds/build-*")), "the workspace is gone"


def test_steps_share_workspace_and_root_but_no_state_of_the_shell(bench: Bench) -> None:
    text = HEAD + "pipeline:\n  - runs: X=1; echo a > /usr/made; echo b > made; cd /tmp; echo c > made\n"
    text += f'  - runs: test "$X$PWD" = /home/build; cat /usr/made made; test ! -e /tmp/made; mkdir -p {OUT}/usr\n'
    done(bench.build(text))


def test_the_cached_root_is_never_changed(bench: Bench) -> None:
    done(bench.build(script("rm -rf /bin/awk; echo x > /bin/cat", f"mkdir -p {OUT}/usr")))
    done(bench.build(script("awk 'BEGIN { print 1 }'; cat /proc/version", f"mkdir -p {OUT}/usr"), "--overwrite"))


def test_hard_linked_roots_cannot_be_written(bench: Bench) -> None:
    answer = bench.build(script("echo x > /bin/cat"), "--root", "hardlinks")
    assert answer.code == 11 and "Read-only" in answer.errors
    done(bench.build(script("cat /proc/version", f"mkdir -p {OUT}/usr"), "--overwrite"))


def test_time_is_limited_for_all_processes(bench: Bench) -> None:
    start = time.monotonic()
    answer = bench.build(script("sleep 300 & sleep 300"), "--timeout", "1s")
    assert answer.code == 11 and "time limit" in answer.errors
    assert time.monotonic() - start < 60


def test_memory_is_limited_for_all_processes(bench: Bench) -> None:
    answer = bench.build(script("x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo ${#x}"), "--memory", "60Mi")
    if "cannot set" in answer.errors:
        pytest.skip("this process may make no memory control group")
    assert answer.code == 11 and "memory" in answer.errors


ACCOUNTS = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment:
  contents: {packages: [busybox]}
  accounts:
    run-as: RUN_AS
    users: [{username: nonroot, uid: 12345, gid: 12346}, {username: bare, uid: 777}]
    groups: [{groupname: nonroot, gid: 12346}]
"""


@pytest.mark.parametrize(
    ("run_as", "ids"),
    [
        ("", "0:0"),
        ("root", "0:0"),
        ("build", "1000:1000"),
        ("nonroot", "12345:12346"),
        ("bare", "777:777"),
        ("4242", "4242:4242"),
    ],
)
def test_accounts_and_writable_places(bench: Bench, run_as: str, ids: str) -> None:
    lines = (
        f'test "$(id -u):$(id -g)" = {ids}',
        f"touch $HOME/a /home/build/b c {OUT}/d /var/cache/melange/e /tmp/f; mkdir -p {OUT}/usr; echo x > {OUT}/usr/owned",
    )
    done(bench.build(script(*lines, head=ACCOUNTS.replace("RUN_AS", run_as or '""')), "--lint-require", ""))
    entry = bench.entries()["usr/owned"]
    assert (entry.uid, entry.gid) == (0, 0), "files of whoever runs the steps become root's"


def test_capabilities_are_those_of_the_definition(bench: Bench) -> None:
    drop = HEAD + "capabilities: {drop: [CAP_CHOWN]}\n"
    assert bench.build(script(f"mkdir -p {OUT}/usr; chown 5 {OUT}/usr", head=drop)).code == 11
    done(bench.build(script(f"mkdir -p {OUT}/usr; chown 5 {OUT}/usr")))
    refused = bench.build(script("true", head=HEAD + "capabilities: {add: [CAP_FLY]}\n"))
    assert refused.code == 3


@pytest.mark.parametrize(
    "leave",
    ["mkfifo {out}/pipe", "mkdir -p {out}/usr; mknod {out}/usr/null c 0 0"],
)
def test_devices_do_not_get_into_packages(bench: Bench, leave: str) -> None:
    answer = bench.build(script(leave.replace("{out}", OUT)))
    assert answer.code != 0 and not list(bench.directory.glob("packages/*/*.apk"))


def test_what_nobody_may_read_or_write_is_packed_and_removed(bench: Bench) -> None:
    done(
        bench.build(
            script(
                f"mkdir -p {OUT}/usr/deep keep; cd {OUT}/usr; echo x > deep/f; chmod 000 deep/f /home/build/keep; chmod 500 deep"
            )
        )
    )
    assert bench.entries()["usr/deep/f"].mode == 0 and bench.entries()["usr/deep"].mode == 0o500
    assert not list(bench.cache.glob("builds/build-*"))


def test_packages_are_listed_in_an_index_that_keeps_the_others(bench: Bench) -> None:
    done(bench.build(script(f"mkdir -p {OUT}/usr")))
    other = script(f"mkdir -p {OUT}/usr").replace("name: demo", "name: other")
    done(bench.build(other + "subpackages: [{name: other-sub}]\n", name="other"))
    index = parse_index_text(read_index((bench.directory / "packages/x86_64/APKINDEX.tar.gz").read_bytes()).text)
    assert [record.name for record in index.records] == ["demo", "other", "other-sub"]


def test_another_version_of_the_bytes_is_refused_unless_asked_for(bench: Bench) -> None:
    done(bench.build(script(f"mkdir -p {OUT}/usr/a")))
    answer = bench.build(script(f"mkdir -p {OUT}/usr/b"))
    assert answer.code == 7 and "--overwrite" in answer.errors
    done(bench.build(script(f"mkdir -p {OUT}/usr/b"), "--overwrite"))
    assert "usr/b" in bench.entries()


def test_results_of_equal_inputs_are_reused(bench: Bench) -> None:
    text = script("echo built", f"mkdir -p {OUT}/usr/a")
    first = done(bench.build(text, "--cache-results", "--json"))
    content = (bench.directory / "packages/x86_64/demo-1.0-r0.apk").read_bytes()
    shutil.rmtree(bench.directory / "packages")
    again = done(bench.build(text, "--cache-results", "--json"))
    assert '"reused": false' in first.output and '"reused": true' in again.output and "| built" not in again.errors
    assert (bench.directory / "packages/x86_64/demo-1.0-r0.apk").read_bytes() == content
    other = done(bench.build(text, "--cache-results", "--json", "--namespace", "other", "--overwrite"))
    assert '"reused": false' in other.output


def test_documents_are_kept_with_the_result(bench: Bench) -> None:
    flags = (
        "--cyclonedx",
        "--persist-lint-results",
        "--cache-results",
        "--organization",
        "Example",
        "--builder-id",
        "https://b.example",
    )
    found = []
    for _ in range(2):
        done(bench.build(script(f"mkdir -p {OUT}/usr/documents"), *flags))
        found.append({path.name: path.read_bytes() for path in (bench.directory / "packages/x86_64").glob("*demo*")})
        shutil.rmtree(bench.directory / "packages")
    assert found[0] == found[1]
    assert set(found[0]) == {f"demo-1.0-r0.{end}" for end in ("apk", "apk.intoto.jsonl", "cdx.json")} | {"lint-demo-1.0-r0.json"}
    other = done(bench.build(script(f"mkdir -p {OUT}/usr/documents"), *flags[:-1], "https://other.example", "--json"))
    assert '"reused": false' in other.output


def test_results_are_shared_between_machines(bench: Bench) -> None:
    text = script("echo built", f"mkdir -p {OUT}/usr/shared")
    contents = []
    for machine in ("one", "two"):
        other = bench._replace(cache=bench.directory / f"cache-{machine}")
        answer = done(other.build(text, "--result-store", "results", "--json"))
        assert ('"reused": true' in answer.output) is (machine == "two")
        contents.append((bench.directory / "packages/x86_64/demo-1.0-r0.apk").read_bytes())
        shutil.rmtree(bench.directory / "packages")
    assert contents[0] == contents[1]


def test_a_damaged_result_is_refused_and_built_anew(bench: Bench) -> None:
    text = script(f"mkdir -p {OUT}/usr/damaged")
    done(bench.build(text, "--result-store", "results"))
    for blob in (bench.directory / "results/blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o644)
            blob.write_bytes(bytes(len(blob.read_bytes())))
    shutil.rmtree(bench.directory / "packages")
    assert bench.build(text, "--result-store", "results").code == 4
    assert '"reused": false' in done(bench.build(text, "--result-store", "results", "--json")).output


def test_results_that_had_the_network_are_not_kept(bench: Bench) -> None:
    text = HEAD + f"pipeline: [{{network: true, runs: 'mkdir -p {OUT}/usr/n'}}]\n"
    for _ in range(2):
        answer = done(bench.build(text, "--cache-results", "--json"))
        assert '"reused": false' in answer.output


def test_nothing_is_published_when_one_package_is_refused(bench: Bench) -> None:
    text = script(f"mkdir -p {OUT}/usr/bin; echo x > {OUT}/usr/bin/x")
    text += "subpackages:\n  - name: demo-bad\n    pipeline:\n      - runs: cd ${{targets.subpkgdir}}; mkdir dev; touch dev/x\n"
    answer = bench.build(text)
    assert answer.code == 10 and not list(bench.directory.glob("packages/*/*"))


def test_a_definition_without_steps_needs_no_root(bench: Bench) -> None:
    text = HEAD.replace("[busybox]", "[no-such-package]")
    done(bench.build(text))
    assert bench.package().info.name == "demo"


def test_the_source_directory_is_copied_and_not_changed(bench: Bench) -> None:
    source = bench.directory / "files"
    (source / "sub").mkdir(parents=True)
    (source / "sub/a.txt").write_text("a\n")
    (source / "b.o").write_text("b\n")
    (source / ".melangeignore").write_text("*.o\n")
    text = script(f"test ! -e b.o; echo changed >> sub/a.txt; mkdir -p {OUT}/usr; cp sub/a.txt {OUT}/usr/")
    (bench.directory / "demo.yaml").write_text(text)
    words = [word for word in bench.words("demo") if word != "--empty-workspace"]
    done(run_command([*words, "--source-dir", "files"], bench.directory, {"APKILN_CACHE": str(bench.cache)}))
    assert (source / "sub/a.txt").read_text() == "a\n"


def test_other_architectures_are_passed_over(bench: Bench) -> None:
    text = HEAD.replace("description:", "target-architecture: [aarch64], description:")
    answer = done(bench.build(text))
    assert "not built for x86_64" in answer.errors and not (bench.directory / "packages").exists()


def test_a_package_is_rebuilt_bit_for_bit_without_its_key(bench: Bench) -> None:
    text = script(f"mkdir -p {OUT}/usr; echo x > {OUT}/usr/x; chown 12:34 {OUT}/usr/x")
    text += "subpackages:\n  - name: demo-sub\n    pipeline: [{runs: 'mkdir -p ${{targets.subpkgdir}}/usr'}]\n"
    done(bench.build(text, "--build-date", "2024-02-03T04:05:06Z", "--namespace", "wolfi", "--license", "MIT"))
    packages = sorted(str(path) for path in bench.directory.glob("packages/x86_64/*.apk"))
    places = ("-r", str(bench.fixture.directory), "-k", str(bench.fixture.key))
    answer = done(run_command(["package", "rebuild", *packages, *places], bench.directory, {"APKILN_CACHE": str(bench.cache)}))
    assert answer.output.splitlines() == ["identical  demo-1.0-r0", "identical  demo-sub-1.0-r0"]


def test_a_build_that_depends_on_the_moment_is_found_out(bench: Bench) -> None:
    done(bench.build(script(f"mkdir -p {OUT}/usr; date +%N > {OUT}/usr/moment")))
    places = ("-r", str(bench.fixture.directory), "-k", str(bench.fixture.key), "packages/x86_64/demo-1.0-r0.apk")
    answer = run_command(["package", "rebuild", *places], bench.directory, {"APKILN_CACHE": str(bench.cache)})
    assert answer.code == 10 and "usr/moment: content" in answer.errors


def test_a_root_that_is_gone_is_named(bench: Bench, tmp_path: Path) -> None:
    done(bench.build(script(f"mkdir -p {OUT}/usr")))
    places = ("-r", str(tmp_path / "nowhere"), "-k", str(bench.fixture.key), "packages/x86_64/demo-1.0-r0.apk")
    answer = run_command(["package", "rebuild", *places], bench.directory, {"APKILN_CACHE": str(bench.cache)})
    assert answer.code == 8 and "nowhere" in answer.errors


def test_apk_itself_verifies_and_installs_what_was_built(bench: Bench, tmp_path: Path) -> None:
    apk = shutil.which("apk")
    if apk is None:
        pytest.skip("apk not found")
    text = script(f"mkdir -p {OUT}/usr/lib/a; cd {OUT}/usr/lib/a; echo x > f; ln f g; ln -s f h; chown 1234:4321 f; chmod 4711 f")
    text += "subpackages:\n  - name: demo-sub\n    dependencies: {runtime: [demo]}\n"
    text += "    pipeline: [{runs: 'mkdir -p ${{targets.subpkgdir}}/usr/s'}]\n"
    done(bench.build(text, "--lint-require", ""))
    keys, root = tmp_path / "keys", tmp_path / "root"
    keys.mkdir()
    shutil.copy(bench.fixture.key, keys)
    packages = sorted(str(path) for path in bench.directory.glob("packages/x86_64/*.apk"))
    subprocess.run((apk, "verify", "--keys-dir", str(keys), *packages), check=True, capture_output=True)
    options = ("--root", str(root), "--initdb", "--arch", "x86_64", "--keys-dir", str(keys), "--no-network", "--no-scripts")
    repository = ("--repository", str(bench.directory / "packages"))
    subprocess.run((apk, *options, *repository, "add", "demo-sub"), check=True, capture_output=True)
    status = (root / "usr/lib/a/f").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_nlink) == (0o4711, 1234, 4321, 2)
    assert (root / "usr/s").is_dir()


def test_licence_files_of_the_workspace_are_held_against_the_definition(bench: Bench) -> None:
    answer = bench.build(script(f"echo 'no licence at all' > LICENSE; mkdir -p {OUT}/usr; echo x > {OUT}/usr/x"))
    done(answer)
    assert "MIT is declared, and in no licence file" in answer.errors
