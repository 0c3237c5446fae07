"""What a package says of its own build: enough to do it again.  Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from apkiln.core.arch import Arch
from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.contents import PackageInfo

_GITHUB = re.compile(r"pkg:github/([^/@]+)/([^/@#?]+)@")
_ADDRESS = re.compile(r"[?&]vcs_url=([^#&]+)")


@value
class Evidence:
    """One package file and what it carries."""

    source: str
    """Where it was read, for messages."""
    info: PackageInfo
    definition: bytes
    """`.melange.yaml`: resolved, with the packages of the root as `NAME=VERSION`."""
    bill: bytes
    """Its own SPDX document; empty when it has none."""


@value
class Recipe:
    """What the build is given again."""

    arch: Arch
    definition: bytes
    source_date: int
    namespace: str
    definition_path: str
    git_commit: str
    git_repository: str
    definition_licence: str


def recipe_of(evidence: Sequence[Evidence]) -> Recipe:
    """The recipe of packages that came of one build.

    Raises UnavailableError: `no-definition-inside`, `no-bill-inside` (then path and commit of the definition are unknown),
    `other-build` when two packages carry different definitions or dates.
    """
    first = evidence[0]
    for item in evidence:
        if not item.definition:
            raise _missing(item, "carries no definition", "no-definition-inside")
        if (item.definition, item.info.build_date, item.info.arch) != (first.definition, first.info.build_date, first.info.arch):
            raise _missing(item, f"is not of the same build as `{first.source}`", "other-build")
    row = _recipe_row(first)
    location = next((reference["referenceLocator"] for reference in row.get("externalRefs", ())), "")
    commit = str(row.get("versionInfo", ""))
    return Recipe(
        Arch.parse(first.info.arch),
        first.definition,
        first.info.build_date,
        first.info.maintainer,
        str(row["name"]),
        commit,
        _repository(str(location), commit),
        str(row.get("licenseDeclared", "NOASSERTION")),
    )


def _recipe_row(evidence: Evidence) -> dict[str, Any]:
    try:
        packages = json.loads(evidence.bill)["packages"] if evidence.bill else ()
    except (ValueError, KeyError):
        packages = ()
    for row in packages:
        if row.get("primaryPackagePurpose") == "INSTALL":
            return dict(row)
    raise _missing(evidence, "has no bill of materials that names its definition", "no-bill-inside")


def _repository(location: str, commit: str) -> str:
    """The repository that a package URL of the definition stands for; empty when there is none."""
    github = _GITHUB.match(location)
    if github is not None:
        return f"https://github.com/{github[1]}/{github[2]}"
    address = _ADDRESS.search(location)
    return unquote(address[1]).removeprefix("git+").removesuffix(f"@{commit}") if address is not None else ""


def _missing(evidence: Evidence, what: str, reason: str) -> UnavailableError:
    return UnavailableError(f"`{evidence.source}` {what}", reason=reason, origin=Origin(evidence.source))
