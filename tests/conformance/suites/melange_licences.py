"""melange's table about licence files: their names and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise

from apkiln.package.licences.names import licence_files
from apkiln.package.licences.searching import open_classifier
from apkiln.system.files import DiskFiles


def licences(folder: Path) -> Iterable[Outcome]:
    """`license/cases.json`: the best match of each text, and exactly the right names among many."""
    file = "license/cases.json"
    table = json.loads((folder / file).read_text(encoding="utf-8"))
    classifier = open_classifier(DiskFiles())
    for row in table["cases"]:
        best = classifier.best((folder / "license" / row["file"]).read_text(encoding="utf-8", errors="replace"))
        right = best is not None and best.name == row["license"]
        yield Outcome(PASSED if right else FAILED, file, row["file"], "" if right else f"{best}, wanted {row['license']}")
    names = table["find"]
    found = licence_files((*names["present"], *names["none_of"]))
    right = set(found) == set(names["found"])
    yield Outcome(PASSED if right else FAILED, file, "find", "" if right else f"{sorted(set(found) ^ set(names['found']))}")


SUITES = [Suite("melange/license", recognise, licences)]
