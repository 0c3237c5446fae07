"""Reports of users about what builds leave, judged by really building (kind `build-tree` of the area `package`)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.conformance.suites.commands import run_command
from tests.conformance.suites.image_reports import Unjudged

Row = dict[str, Any]
_SBOM = "var/lib/db/sbom"


def build(given: Row, expect: Row) -> str:
    """The definition is built upon the fixture's shell; `packages`: name → paths that are no directories, bills left out."""
    from tests.build_workshop import make_fixture

    from apkiln.formats.apk.package import read_package
    from apkiln.formats.archive.entry import EntryType

    if "definition" not in given:
        raise Unjudged("a build without a definition")
    if shutil.which("bwrap") is None or os.uname().machine != "x86_64":
        raise Unjudged("builds need bubblewrap on x86-64 Linux")
    with tempfile.TemporaryDirectory(prefix="apkiln-report-") as place:
        work = Path(place)
        work.chmod(0o755)
        fixture = make_fixture(work / "fixture")
        (work / "input.yaml").write_text(given["definition"], encoding="utf-8")
        places = ["-r", str(fixture.directory), "-k", str(fixture.key), "--package-append", "busybox", "--empty-workspace"]
        words = ["package", "build", "input.yaml", *places, "--arch", "x86_64"]
        answer = run_command(words, work, {"APKILN_CACHE": str(work / "cache")})
        if expect.get("error"):
            return "" if answer.code else "is built, although it must be refused"
        if answer.code:
            return answer.first_error
        found = {}
        for path in (work / "packages/x86_64").glob("*.apk"):
            contents = read_package(BytesIO(path.read_bytes()))
            files = [item.entry.path for item in contents.entries if item.entry.type is not EntryType.DIRECTORY]
            found[contents.info.name] = sorted(name for name in files if not name.startswith(_SBOM))
    wanted = {name: sorted(paths) for name, paths in expect.get("packages", {}).items()}
    return "" if found == wanted else f"built {found}, right is {wanted}"


JUDGES: dict[str, Callable[[Row, Row], str]] = {"build-tree": build}
