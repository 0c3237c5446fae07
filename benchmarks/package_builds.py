"""Whole builds of packages, and how long a root takes: `python -m benchmarks.package_builds [--rounds N] [--work DIR]`.

The root is made of this machine's own shell and tools and of sixty made-up packages.  All variants are measured in turn in
one run, so that the load of the machine meets all of them; the last column is in starts of a bare Python.  Where `melange` is
on PATH it builds the same definitions in the same run, upon the same packages; how many times longer it took is told at the
end.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Sample, Summary, Variant, command, function, interleaved
from tests.build_workshop import ARCH, Fixture, make_fixture, write_packages

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.building.guest_making import ResolvedGuest, make_guest, resolve_guest
from apkiln.package.building.guest_request import GuestSources
from apkiln.package.definition.model import NOWHERE, Contents, Environment
from apkiln.system.bubblewrap import BubblewrapSandbox
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.files import DiskFiles
from apkiln.system.network import open_transfer
from apkiln.system.sandbox import Ids, SandboxSpec
from apkiln.system.signer import load_signer
from apkiln.system.trees import DirectoryTrees

ROOT = Path(__file__).resolve().parent.parent
APKILN = Path(sys.executable).parent / "apkiln"
PACKAGES, FILES = 60, 80
PYTHON = "bare Python"
NO_OP = """package: {name: no-op, version: "1", epoch: 0, description: nothing, copyright: [{license: MIT}]}
environment: {contents: {packages: [PACKAGES]}}
pipeline: [{runs: "true"}]
"""
BIG = """package: {name: big, version: "1", epoch: 0, description: many files, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline: [{runs: "mkdir -p ${{targets.destdir}}/usr/share; cp -r big ${{targets.destdir}}/usr/share/"}]
"""
BIG_FILES, BIG_BYTES = 20_000, 190 << 20


class BuildBench:
    """Builds in `work`, which keeps its repository, sources and cache."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.cache = work / "cache"
        self.environment = {"APKILN_CACHE": str(self.cache), "PATH": os.environ["PATH"], "HOME": str(work)}
        self.fixture = self._fixture()

    def _fixture(self) -> Fixture:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        made = make_fixture(self.work / "fixture")
        signer = load_signer(made.signing_key, DiskFiles())
        write_packages(self.work / "many", [_made_up(number) for number in range(PACKAGES)], signer)
        (self.work / "licence").mkdir()
        (self.work / "licence/LICENSE").write_bytes((ROOT / "LICENSE").read_bytes())
        names = ", ".join(["busybox", *(f"made-up-{number}" for number in range(PACKAGES))])
        for name, text in (
            ("small", NO_OP.replace("PACKAGES", "busybox")),
            ("large", NO_OP.replace("PACKAGES", names)),
            ("big", BIG),
        ):
            (self.work / f"{name}.yaml").write_text(text)
        return made

    def run(self, rounds: int) -> dict[str, Summary]:
        """Figures by name."""
        variants = [Variant(PYTHON, lambda _: command([sys.executable, "-c", "pass"], self.environment, self.work))]
        licence = ("--source-dir", str(self.work / "licence"))
        for name, title, flags in (
            ("small", "build of nothing, root of 1 package", ()),
            ("small", "the same, a licence in the sources", licence),
            ("large", "build of nothing, root of 61 packages", ()),
        ):
            variants += [Variant(title, self._building(name, *flags), self._clean), *self._peer(title, name, *flags)]
        guest, trees, access = self._guest()
        sandbox = BubblewrapSandbox(os.environ["PATH"])
        made = make_guest(guest, trees, "bench", access)
        directories = tuple(path for key in made.keys if (path := trees.find(key)))

        few = (directories[0], next(path for path in directories if Path(path, "bin/true").exists()))

        def shown(places: tuple[str, ...]) -> Sample:
            spec = SandboxSpec(places[0], ("/bin/true",), layers=places[1:], ids=Ids.MANY)
            return function(lambda: sandbox.run(spec))

        def forget(_number: int) -> None:
            shutil.rmtree(self.cache / "tables/guests")

        def disjoin(_number: int) -> None:
            for path in (self.cache / "trees").glob("joined-*"):
                shutil.rmtree(path)

        variants += [
            Variant("root of 61 packages: known set", lambda _: function(lambda: make_guest(guest, trees, "bench", access))),
            Variant(
                "root of 61 packages: new set of known ones",
                lambda _: function(lambda: make_guest(guest, trees, "bench", access)),
                forget,
            ),
            Variant("root of 61 packages: joined by hard links", lambda _: function(lambda: trees.joined(made.keys)), disjoin),
            Variant("`true` in a sandbox, 2 trees", lambda _: shown(few)),
            Variant("`true` in a sandbox, all 62 trees", lambda _: shown(directories)),
        ]
        return interleaved(variants, rounds)

    def run_big(self, rounds: int) -> dict[str, Summary]:
        """The build of a tree of many files, with both ways to compress."""
        _make_big(self.work / "source/big")
        flags = ("--source-dir", str(self.work / "source"))
        title = "build of 190 MB in 20,000 files"
        return interleaved(
            [
                Variant(title, self._building("big", *flags), self._clean),
                *self._peer(title, "big", *flags),
                Variant("the same, fast compression", self._building("big", *flags, "--compression", "fast"), self._clean),
                Variant("cp -r of the files, twice", lambda _: self._copy(), lambda _: self._clean_copies()),
            ],
            rounds,
        )

    def _building(self, name: str, *flags: str) -> Callable[[int], Sample]:
        places = ("-r", self.fixture.directory, "-r", self.work / "many", "-k", self.fixture.key)
        source = () if flags else ("--empty-workspace",)
        words = [
            APKILN,
            "package",
            "build",
            f"{name}.yaml",
            *places,
            "--signing-key",
            self.fixture.signing_key,
            *source,
            *flags,
        ]
        return lambda _: command(words, self.environment, self.work)

    def _peer(self, title: str, name: str, *flags: str) -> list[Variant]:
        """The same build by melange; nothing when it is not on PATH."""
        program = shutil.which("melange")
        if program is None:
            return []
        key = self.work / "melange.rsa"  # it reads keys of its own form only
        if not key.exists():
            command([program, "keygen", "--key-size", "2048", key], self.environment, self.work)
        source = () if flags else ("--empty-workspace",)
        places = ("-r", self.fixture.directory, "-r", self.work / "many", "-k", self.fixture.key, "--signing-key", key)
        caches = ("--apk-cache-dir", self.work / "apk-cache", "--cache-dir", self.work / "no-sources")
        words = [program, "build", f"{name}.yaml", "--arch", ARCH, "--runner", "bubblewrap", *places, *caches, *source, *flags]
        return [Variant(f"melange: {title}", lambda _: command(words, self.environment, self.work), self._clean, optional=True)]

    def _guest(self) -> tuple[ResolvedGuest, DirectoryTrees, Access]:
        store = DirectoryStore(self.cache)
        access = Access(
            store, open_transfer(self.environment, DiskFiles(), offline=True, jobs=2), DiskFiles(), directory=self.work
        )
        names = ("busybox", *(f"made-up-{number}" for number in range(PACKAGES)))
        contents = Contents(packages=tuple(Text(name, NOWHERE) for name in names))
        sources = GuestSources((str(self.fixture.directory), str(self.work / "many")), (str(self.fixture.key),))
        guest = resolve_guest(Environment(contents), sources, Arch.parse("x86_64"), access)
        return guest, DirectoryTrees(self.cache / "trees"), access

    def _clean(self, _number: int) -> None:
        shutil.rmtree(self.work / "packages", ignore_errors=True)

    def _copy(self) -> Sample:
        script = "cp -r source/big copy-1; cp -r copy-1 copy-2"
        return command(["sh", "-c", script], self.environment, self.work)

    def _clean_copies(self) -> None:
        for name in ("copy-1", "copy-2"):
            shutil.rmtree(self.work / name, ignore_errors=True)


def _made_up(number: int) -> tuple[str, str, tuple[str, ...], dict[str, tuple[Entry, bytes]]]:
    name = f"made-up-{number}"
    found: dict[str, tuple[Entry, bytes]] = {}
    for path in ("usr", "usr/share", f"usr/share/{name}"):
        found[path] = (Entry(path, EntryType.DIRECTORY, 0o755), b"")
    for file in range(FILES):
        path, content = f"usr/share/{name}/file-{file}", f"{name} {file}\n".encode() * 50
        found[path] = (Entry(path, EntryType.FILE, 0o644, size=len(content)), content)
    return name, "1-r0", (), found


def _make_big(directory: Path) -> None:
    from benchmarks.package_emission import make_tree, programs

    if not directory.exists():
        make_tree(directory, programs())


def _show(figures: dict[str, Summary]) -> None:
    base = next(iter(figures.values()))
    for name, figure in figures.items():
        spread = f"{figure.shortest * 1000:7.1f} {figure.longest * 1000:8.1f}"
        print(f"{name:46} {figure.wall * 1000:8.1f} {spread} {figure.cpu * 1000:8.1f} {figure.wall / base.wall:7.2f}")


def _show_peer(figures: dict[str, Summary]) -> None:
    """How much longer melange took for the same."""
    for name, theirs in figures.items():
        ours = figures.get(name.removeprefix("melange: "))
        if name.startswith("melange: ") and ours is not None:
            print(f"{name}: {theirs.wall / ours.wall:.1f} x the time, {theirs.cpu / ours.cpu:.1f} x the processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench-builds")
    parser.add_argument("--big", action="store_true", help="also the build of 20,000 files")
    arguments = parser.parse_args()
    compileall.compile_dir(ROOT / "src", quiet=2)
    bench = BuildBench(arguments.work.resolve())
    print(f"{'':46} {'wall ms':>8} {'from':>7} {'to':>8} {'CPU ms':>8} {'times':>7}")
    figures = bench.run(arguments.rounds)
    _show(figures)
    if arguments.big:
        big = bench.run_big(max(1, arguments.rounds // 2))
        _show(big)
        figures |= big
    _show_peer(figures)


if __name__ == "__main__":
    main()
