"""Write the table of SPDX licence and exception identifiers; run after an update of the two libraries it comes from.

license-expression tells licences from exceptions but also lists forms that SPDX never had; cyclonedx-python-lib ships SPDX's
list without telling them apart.  What both know is taken.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "src" / "apkiln" / "formats" / "sbom" / "licence_ids.py"
WHOLE_LICENCES = {"eCos-2.0"}
"""Deprecated identifiers of a licence with its exception, which the library counts as exceptions; others have `-with-`."""
OFFICIAL = files("cyclonedx") / "schema" / "_res" / "spdx.SNAPSHOT.schema.json"
SOURCE = files("license_expression") / "data" / "scancode-licensedb-index.json"


def identifiers() -> tuple[list[str], list[str]]:
    """SPDX's own identifiers, current and deprecated: licences, exceptions; sorted without regard to case."""
    official = set(json.loads(OFFICIAL.read_text())["enum"])
    found: tuple[set[str], set[str]] = (set(), set())
    for row in json.loads(SOURCE.read_text()):
        for key in (row.get("spdx_license_key"), *row.get("other_spdx_license_keys", ())):
            if key in official:
                exception = bool(row.get("is_exception")) and "-with-" not in key and key not in WHOLE_LICENCES
                found[exception].add(key)
    licences, exceptions = (sorted(keys, key=lambda key: (key.lower(), key)) for keys in found)
    return licences, exceptions


def lines(keys: list[str]) -> str:
    """Keys in lines of at most 120 characters."""
    rows = [""]
    for key in keys:
        rows[-1] = f"{rows[-1]} {key}".strip() if len(rows[-1]) + len(key) < 120 else rows[-1]
        if not rows[-1].endswith(key):
            rows.append(key)
    return "\n".join(rows)


def module() -> str:
    licences, exceptions = identifiers()
    return f'''"""SPDX's licence and exception identifiers, written by scripts/write_licence_ids.py.

From license-expression {version("license-expression")} and cyclonedx-python-lib {version("cyclonedx-python-lib")}.
"""

from __future__ import annotations

LICENCES = """
{lines(licences)}
"""

EXCEPTIONS = """
{lines(exceptions)}
"""
'''


if __name__ == "__main__":
    TARGET.write_text(module())
    print(TARGET)
