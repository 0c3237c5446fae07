"""Package definitions put to the product and to the real `melange`: `python -m tests.differential.melange --count 2000`.

Random definitions, with something wrong in a share of them, or (`--definitions DIR`) those of a directory with its pipelines.
Prints how often both agree, how often they differ by design and why, and every other disagreement.  Exit 1 when there was
one; 2 when there is no `melange` on PATH.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.differential.compilation import Verdict, causes, compare, compile_here
from tests.differential.random_definitions import DefinitionCase, make_definition
from tests.differential.real_melange import Melange


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="first seed (default 1)")
    parser.add_argument("--count", type=int, default=1000, help="random definitions (default 1000)")
    parser.add_argument("--show", action="store_true", help="print the definitions that disagree")
    parser.add_argument("--definitions", type=Path, metavar="DIR", help="definitions with a directory `pipelines`, instead")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        melange = Melange.on_path(Path(place))
        if melange is None:
            print("there is no `melange` on PATH", file=sys.stderr)
            return 2
        if arguments.definitions:
            cases = given_cases(arguments.definitions)
        else:
            cases = (make_definition(seed) for seed in range(arguments.seed, arguments.seed + arguments.count))
        return _run(cases, melange, arguments.show)


def _run(cases: Iterator[DefinitionCase], melange: Melange, show: bool) -> int:
    found: Counter[str] = Counter()
    wrong = 0
    for case in cases:
        verdict = judge(case, melange)
        found[verdict.outcome] += 1
        if verdict.disagrees:
            wrong += 1
            told = f" ({case.broken})" if case.broken else ""
            print(f"{case.identifier}{told}, {case.arch}: {verdict.outcome}\n    " + verdict.detail.replace("\n", "\n    "))
            if show:
                print(case.text)
                for name, text in case.pipelines.items():
                    print(f"--- {name}\n{text}")
    print("\n".join(causes(found)))
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{own.ru_utime + own.ru_stime:.1f} s of processor here, {others.ru_utime + others.ru_stime:.1f} s in melange")
    return 1 if wrong else 0


def judge(case: DefinitionCase, melange: Melange) -> Verdict:
    """Both answers compared."""
    melange.write(case.text, case.pipelines)
    here = compile_here(case.text, case.pipelines, case.arch, case.options)
    return compare(lambda: melange.compile(case.arch, case.options), here)


def given_cases(directory: Path) -> Iterator[DefinitionCase]:
    """Every definition of a directory for two architectures, with the pipelines beside them."""
    shelf = directory / "pipelines"
    pipelines = {str(path.relative_to(shelf).with_suffix("")): path.read_text() for path in sorted(shelf.rglob("*.yaml"))}
    for path in sorted(directory.glob("*.yaml")):
        for arch in ("x86_64", "aarch64"):
            yield DefinitionCase(path.name, path.read_text(), pipelines, arch, (), "")


if __name__ == "__main__":
    sys.exit(main())
