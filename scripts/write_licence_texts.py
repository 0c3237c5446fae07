"""Write the table of licence texts as sets of hashed word triples: `python scripts/write_licence_texts.py DIRECTORY`.

DIRECTORY holds SPDX's licence list as one JSON file each (`licenseText`, `osiApproved`), as the npm package spdx-license-list
has them below `licenses`; the table was made from its version 6.12.0.  No text is kept: only hashes of three words each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from apkiln.package.licences.classifying import Licence, triples, write_table

TARGET = Path(__file__).resolve().parents[1] / "src" / "apkiln" / "package" / "licences" / "texts.bin"
FURTHER = """Arphic-1999 BSD-2-Clause-NetBSD BSD-3-Clause-Attribution BSD-3-Clause-Modification BSD-4-Clause BSD-4-Clause-UC
Beerware Bitstream-Charter Bitstream-Vera Boehm-GC CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-PDDC CC0-1.0 FSFAP FTL
GD GFDL-1.1 GFDL-1.2 GFDL-1.3 GPL-1.0 HPND-Markus-Kuhn HPND-sell-variant IJG Imlib2 Info-ZIP Linux-OpenIB MIT-open-group
Minpack OFL-1.0 OLDAP-2.7 OpenSSL PSF-2.0 Ruby SGI-B-2.0 SMAIL-GPL SSH-OpenSSH Sendmail TCL TU-Berlin-2.0 UCAR
Ubuntu-font-1.0 Unicode-DFS-2015 Unicode-DFS-2016 Unicode-TOU WTFPL X11 XFree86-1.1 blessing bzip2-1.0.6 curl libpng-2.0
libselinux-1.0 libtiff lsof zlib-acknowledgement"""
"""Licences that the Open Source Initiative has not approved and that packages have all the same."""
FAMILIES = ("GPL-", "LGPL-", "AGPL-", "GFDL-")
"""One text for `only` and `or later`: the table has the short, old name."""
_APPENDED = "GNU GENERAL PUBLIC LICENSE"


def chosen(directory: Path) -> list[tuple[str, str]]:
    """(identifier, text), shortest identifier first, so that one of several with the same text is kept."""
    wanted = set(FURTHER.split())
    found: list[tuple[str, str]] = []
    for path in directory.glob("*.json"):
        name, document = path.stem, json.loads(path.read_text(encoding="utf-8"))
        family = name.startswith(FAMILIES)
        if "-with-" in name or name.endswith("+") or (family and name.count("-") > 1):
            continue
        if document["osiApproved"] or name in wanted or family:
            found.append((name, _own_part(name, document["licenseText"])))
    return sorted(found, key=lambda item: (len(item[0]), item[0]))


def _own_part(name: str, text: str) -> str:
    """SPDX has the text of the GPL behind that of LGPL 3; files of packages have not."""
    cut = text.find(_APPENDED) if name == "LGPL-3.0" else -1
    return text[:cut] if cut > 0 else text


def main(directory: Path) -> None:
    licences: dict[frozenset[int], str] = {}
    for name, text in chosen(directory):
        licences.setdefault(triples(text), name)
    table = [Licence.of(name, found) for found, name in licences.items()]
    TARGET.write_bytes(write_table(sorted(table)))
    print(f"{len(table)} licences, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
