"""melange's tables about changing definitions: new versions, with everything else as it was."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.scoring import FAILED, PASSED, Outcome, Suite
from tests.conformance.suites.melange_definitions import recognise

from apkiln.core.errors import ApkilnError
from apkiln.package.compilation.resolving import load
from apkiln.package.definition.rendering import document
from apkiln.package.editing.bumping import bumped, plan_bump
from apkiln.package.editing.looking_up import same_commit

_SERVER = "http://server.example"


def bumps(folder: Path) -> Iterable[Outcome]:
    """`bump/cases.json`: lines of the edited file, values after loading it; other lines stay."""
    data = folder / "bump/testdata"
    for number, row in enumerate(json.loads((folder / "bump/cases.json").read_text(encoding="utf-8"))["cases"]):
        case = f"{row['file']}#{number}"
        try:
            wrong = _bumped(data, row)
        except ApkilnError as error:
            wrong = str(error)
        yield Outcome(FAILED if wrong else PASSED, "bump/cases.json", case, wrong)


def _bumped(data: Path, row: dict[str, Any]) -> str:
    content = (data / row["file"]).read_bytes().replace(b"REPLACE_ME", _SERVER.encode())
    plan = plan_bump(content, row["file"], row["version"])
    served = {f"{_SERVER}{path}": (data / name).read_bytes() for path, name in row.get("serve", {}).items()}
    digests = {}
    for download in plan.downloads:
        if download.uri not in served:
            return f"asked for {download.uri}"
        digests[download.uri] = {name: hashlib.new(name, served[download.uri]).hexdigest() for name in download.algorithms}
    commits = same_commit(plan, row["expected_commit"]) if "expected_commit" in row else {}
    text = bumped(plan, digests, commits)
    missing = [line for line in row.get("text_has", ()) if line not in text.decode()]
    if missing:
        return f"lacks {missing[0]!r}"
    old, new = content.splitlines(), text.splitlines()
    changed = [line for line, other in zip(old, new, strict=False) if line != other]
    if len(old) != len(new) or any(not re.search(rb"(version|epoch|expected-\w+):", line) for line in changed):
        return f"changed {changed}"
    return _values(row.get("want", {}), document(load(text, row["file"]).evaluated.definition))


def _values(wanted: dict[str, Any], got: Any) -> str:
    for path, value in wanted.items():
        found = got
        for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
            found = found[int(index)] if index else found.get(key, 0 if isinstance(value, int) else "")
        if found != value:
            return f"{path} is {found!r}, wanted {value!r}"
    return ""


SUITES = [Suite("melange/bump", recognise, bumps)]
