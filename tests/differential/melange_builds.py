"""Small builds done by the product and by the real `melange`: `python -m tests.differential.melange_builds [NAME ...]`.

Both build the definitions of `build_cases.py` upon the same packages; packages, index and findings are compared as recorded
builds are (`tests/conformance/suites/melange_builds.py`).  Exit 1 when something differs and no cause of `melange_ways.py`
explains it; 2 when melange or bubblewrap is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.build_workshop import Fixture, make_fixture
from tests.conformance.scoring import Difference
from tests.conformance.suites.commands import run_judged
from tests.conformance.suites.melange_builds import differences_of
from tests.conformance.suites.melange_ways import Recording
from tests.differential.build_cases import CASES, BuildCase
from tests.differential.peer_packages import facts_of


class Workshop:
    """A repository, a key and a cache for all cases, in one directory."""

    def __init__(self, program: str, place: Path) -> None:
        place.chmod(0o755)
        self._program = program
        self._place = place
        self.fixture: Fixture = make_fixture(place / "fixture")
        self._key = place / "melange.rsa"  # melange reads keys of its own form only
        subprocess.run([program, "keygen", "--key-size", "2048", str(self._key)], check=True, capture_output=True)

    @classmethod
    def on_path(cls, place: Path) -> Workshop | None:
        """None when melange or bubblewrap is not on PATH."""
        program = shutil.which("melange")
        return None if program is None or shutil.which("bwrap") is None else cls(program, place)

    def compare(self, case: BuildCase) -> Iterator[Difference]:
        """What differs between the two builds of a case."""
        theirs, ours = self._directory(case, "melange"), self._directory(case, "here")
        words = [*self._words(case), "--signing-key", str(self._key), "--runner", "bubblewrap"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self._place), **case.environment}
        done = subprocess.run(
            [self._program, "build", *words],
            cwd=theirs,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        errors = [line for line in done.stderr.splitlines() if " ERRO " in line]
        row = {"name": case.name, "args": list(case.flags), "env": {}, "rc": done.returncode, "error": errors}
        facts = facts_of(theirs / "out") if not done.returncode else {"packages": []}
        row["packages"] = [package["file"] for package in facts["packages"]]
        command = ["melange", "build", *self._words(case), "--signing-key", str(self.fixture.signing_key)]
        answer = run_judged(command, ours, {"APKILN_CACHE": str(self._place / "cache"), **case.environment})
        yield from differences_of(Recording.of(row, case.text, done.stderr), answer, facts, ours / "out")
        shutil.rmtree(theirs)
        shutil.rmtree(ours)

    def _directory(self, case: BuildCase, name: str) -> Path:
        directory = self._place / name
        (directory / "src").mkdir(parents=True)
        (directory / f"{case.name}.yaml").write_text(case.text)
        for path, content in case.files.items():
            (directory / "src" / path).write_bytes(content)
        return directory

    def _words(self, case: BuildCase) -> list[str]:
        common: Mapping[str, object] = {
            "--arch": "x86_64", "-r": self.fixture.directory, "-k": self.fixture.key, "--out-dir": "out", "--source-dir": "src",
            "--cache-dir": "none", "--namespace": "fixture", "--git-commit": "1" * 40,
            "--git-repo-url": "https://example.org/fixtures",
        }  # fmt: skip
        flags = [str(word) for pair in common.items() for word in pair]
        return [f"{case.name}.yaml", *flags, "--persist-lint-results", *case.flags]


def main() -> int:
    names = sys.argv[1:]
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="apkiln-builds-") as place:
        workshop = Workshop.on_path(Path(place))
        if workshop is None:
            print("melange or bubblewrap is missing", file=sys.stderr)
            return 2
        for case in CASES:
            if names and case.name not in names:
                continue
            found = list(workshop.compare(case))
            for difference in found:
                print(f"{case.name}: {difference.cause or 'NO CAUSE'}: {difference.text}")
            wrong["agree" if not found else "by design" if all(one.cause for one in found) else "differ"] += 1
    print(dict(wrong))
    return 1 if wrong["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
