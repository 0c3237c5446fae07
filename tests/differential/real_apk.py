"""The real `apk` as a black box (spec apk.md §14): a case in, its answer out; nothing is fetched, nothing is installed."""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conformance.suites.apk_random import record

from apkiln.formats.apk.index_text import format_record

Case = dict[str, Any]
_STEP = re.compile(
    r"\( *\d+/\d+\) (Installing|Upgrading|Downgrading|Replacing|Reinstalling|Updating pinning|Purging) "
    r"([^ @]+)(?:@(\S+))? \((?:(\S+) -> )?([^ )]+)\)$"
)
_TWO_VERSIONS = ("Reinstalling", "Updating pinning")
_DIRECTORIES = ("etc/apk/keys", "lib/apk/db", "tmp", "var/log")


class Apk:
    """One root, used again for every case; keep it in memory (`/dev/shm`)."""

    def __init__(self, program: str, place: Path) -> None:
        self._program = program
        self._root = place / "root"
        self._place = place
        for name in _DIRECTORIES:
            (self._root / name).mkdir(parents=True)
        (self._root / "etc/apk/arch").write_text("x86_64\n")
        self._environment = {**os.environ, "APK_CONFIG": "/dev/null"}

    def begin(self, case: Case) -> subprocess.Popen[str]:
        """Start a run; `end` reads its answer.  One at a time."""
        lines = []
        for number, repository in enumerate(case["repos"]):
            path = self._place / f"APKINDEX-{number}.tar.gz"
            path.write_bytes(index_file(repository["pkgs"]))
            lines.append(f"@{repository['tag']} {path}\n" if repository["tag"] else f"{path}\n")
        (self._root / "etc/apk/repositories").write_text("".join(lines))
        (self._root / "etc/apk/world").write_text("".join(f"{item}\n" for item in case["world"]))
        (self._root / "lib/apk/db/installed").write_text("".join(map(_installed_text, case["installed"])))
        command = [self._program, "--root", str(self._root), "--arch", "x86_64", "--allow-untrusted", "--no-cache"]
        user = ["--usermode"] if case["args"][0] == "add" else []  # saves apk a name space of its own
        command += ["--no-logfile", *user, "--simulate", *case["args"]]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment, close_fds=False
        )

    def end(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """The case's `apk` and `refused`."""
        output, _ = process.communicate(timeout=60)
        return answer_of(output, process.returncode)

    def run(self, case: Case) -> Case:
        """The case with apk's answer."""
        return {**case, **self.end(self.begin(case))}


@contextmanager
def apk_in_memory() -> Iterator[Apk | None]:
    """An `Apk` in a temporary directory, None when the program is not on PATH."""
    program = shutil.which("apk")
    if program is None:
        yield None
        return
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Apk(program, Path(place))


def answer_of(output: str, code: int) -> dict[str, Any]:
    """What apk printed, in the shape of the recorded corpus."""
    changes: list[list[Any]] = []
    heads, errors, notes = [], [], []
    for line in output.splitlines():
        step = _STEP.match(line)
        if step:
            verb, name, tag, old, new = step.groups()
            if verb == "Purging":
                row = [verb, name, new, None]
            else:
                row = [verb.partition(" ")[0], name, new if verb in _TWO_VERSIONS else old, new]
            changes.append([*row, tag] if tag else row)
        elif line.startswith("ERROR: unable to select packages"):
            heads.append(line)
        elif line.startswith("ERROR:"):
            errors.append(line)
        elif not line.startswith("OK:"):
            notes.append(line)
    answer = {"exit": code, "changes": changes, "heads": heads, "errors": errors, "notes": notes}
    return {"apk": answer, "refused": bool(heads or errors)}


def index_file(packages: list[dict[str, Any]]) -> bytes:
    """An unsigned `APKINDEX.tar.gz`."""
    text = "".join(format_record(record(row)._replace(description="t", url="u", license="l")) + "\n" for row in packages).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("APKINDEX")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return gzip.compress(stream.getvalue(), 1, mtime=0)


def _installed_text(row: dict[str, Any]) -> str:
    found = record(row)
    identity = "Q1" + base64.b64encode(found.identity).decode()
    lines = [f"C:{identity}", f"P:{found.name}", f"V:{found.version}", f"A:{found.arch}", "S:1", "I:1", "T:t", "U:u", "L:l"]
    lines += [f"{letter}:{row[letter]}" for letter in "kDpisf" if row.get(letter)]
    return "\n".join(lines) + "\n\n"
