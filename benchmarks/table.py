"""Prints a table of measured times with their spread, and ratios to a limit that was measured in the same run.

No figure is a pass or a failure.
"""

from __future__ import annotations

import argparse
import compileall
import json
from pathlib import Path

from benchmarks import machine, pushing, workload
from benchmarks.catalogue import CatalogueBench
from benchmarks.images import BASELINE, COLD, COMBINATION, HOT, ImageBench
from benchmarks.measuring import Summary
from benchmarks.solving import PYTHON, SolvingBench, dense, in_process

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each command (default 5)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="where everything is kept (about 2 GB)")
    parser.add_argument("--made-up", action="store_true", help="made-up packages instead of Debian's: needs no network")
    parser.add_argument("--only", choices=("images", "solving", "catalogue", "pushing"), help="one part")
    parser.add_argument("--images", type=int, default=60, help="images of the catalogue (default 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    arguments = parser.parse_args()

    work = arguments.work.resolve()
    (work / "run").mkdir(parents=True, exist_ok=True)
    compileall.compile_dir(ROOT / "src", quiet=2)
    cache, peers = work / "cache", machine.peers()
    for line in machine.description(work):
        print(line)
    print("peers: " + ("; ".join(f"{name} ({machine.peer_version(name, path)})" for name, path in peers.items()) or "none found"))

    figures: dict[str, Summary] = {}
    wanted = {arguments.only} if arguments.only else {"images", "solving", "catalogue", "pushing"}
    if "images" in wanted:
        figures |= _images(work, cache, peers, arguments.made_up, arguments.rounds)
    if "pushing" in wanted:
        figures |= _pushing(work, cache, peers, arguments.made_up, arguments.rounds)
    if "catalogue" in wanted:
        figures |= _catalogue(work, cache, peers, arguments.made_up, arguments.images)
    if "solving" in wanted:
        figures |= _solving(work, cache, peers, arguments.rounds)
    print(f"\n{machine.load()}")
    if arguments.json:
        arguments.json.write_text(json.dumps({name: figure._asdict() for name, figure in figures.items()}, indent=2) + "\n")
    return 0


def _images(work: Path, cache: Path, peers: dict[str, str], made_up: bool, rounds: int) -> dict[str, Summary]:
    load = workload.prepare(work, workload.clean_environment(cache), made_up=made_up)
    bench = ImageBench(work / "run", load, cache, peers)
    figures = bench.run(rounds)
    print(
        f"\n{len(load.names)} {load.kind}, {load.apk_bytes / 1e6:.0f} MB of apk files, {bench.tar_bytes / 1e6:.0f} MB of tar, "
        f"one layer, SBOM on, signatures and digests checked, files warm in memory, {rounds} rounds interleaved"
    )
    _table(figures, BASELINE, "SHA-256 passes", (HOT, COMBINATION, COLD))
    return figures


def _pushing(work: Path, cache: Path, peers: dict[str, str], made_up: bool, rounds: int) -> dict[str, Summary]:
    load = workload.prepare(work, workload.clean_environment(cache), made_up=made_up)
    layout = ImageBench(work / "run", load, cache, {}).kept_layout()
    figures = pushing.PushBench(work / "run", layout, cache, peers).run(rounds)
    if figures:
        print("\nthe same image to docker-registry on loopback; apkiln hashes what it sends, crane trusts the layout")
        _table(figures, pushing.BASELINE, "copies", ())
    return figures


def _catalogue(work: Path, cache: Path, peers: dict[str, str], made_up: bool, images: int) -> dict[str, Summary]:
    load = workload.prepare(work, workload.clean_environment(cache), made_up=made_up)
    bench = CatalogueBench(work / "run", load, images, peers)
    figures = bench.run()
    print(f"\n{images} images of {len(load.names)} {load.kind}, one process each, totals")
    print(f"{bench.segments.distinct} distinct pieces of layers, compressed {bench.segments.compressed} times in all")
    _table(figures, next(iter(figures)), "of ours", ())
    return figures


def _solving(work: Path, cache: Path, peers: dict[str, str], rounds: int) -> dict[str, Summary]:
    bench = SolvingBench(work / "run", cache, peers)
    figures = bench.run(max(rounds, 9))
    print("\nwhole processes, index known to the cache; every package of the index is made up")
    _table(figures, PYTHON, "bare Pythons", ())
    inside = in_process(rounds)
    print("\nin one process, files warm in memory")
    _table(inside, next(iter(inside)), "parses of the small index", ())
    crowded = dense(min(rounds, 3))
    print("\nthe complete search")
    _table(crowded, next(iter(crowded)), "times the smallest", ())
    return figures | inside | crowded


def _table(figures: dict[str, Summary], unit: str, unit_name: str, first: tuple[str, ...]) -> None:
    """One row a name; the last two columns are multiples of the row `unit`, by wall and by CPU time."""
    leading = [name for name in (unit, *first) if name in figures]
    names = leading + [name for name in figures if name not in leading]
    width, base = max(map(len, names)), figures[unit]
    print(f"{'':{width}}  {'wall ms':>8}  {'from':>7} {'to':>7}  {'CPU ms':>8}  {'peak MiB':>8}  in {unit_name}: wall, CPU")
    for name in names:
        figure = figures[name]
        peak = f"{figure.peak / 2**20:8.0f}" if figure.peak else f"{'':8}"
        print(
            f"{name:{width}}  {figure.wall * 1000:8.1f}  {figure.shortest * 1000:7.1f} {figure.longest * 1000:7.1f}  "
            f"{figure.cpu * 1000:8.1f}  {peak}  {figure.wall / base.wall:9.2f} {figure.cpu / base.cpu:9.2f}"
        )
