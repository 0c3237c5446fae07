"""Drafts from the archives of language ecosystems: Python source distributions, Ruby gems, npm packages."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from email.parser import HeaderParser
from typing import Any

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.formats.gzip import inflate
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.editing import find
from apkiln.formats.yamlnode.node import Node, Scalar, Sequence
from apkiln.package.new.draft import (
    Draft,
    DraftStep,
    Place,
    apk_name,
    checked_version,
    fetch_step,
    licence_of,
    one_line,
    plain_name,
    versioned,
)

_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "The Unlicense (Unlicense)": "Unlicense",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_RUBY = "ruby-3.4"
"""Interpreter that gems are built for; a guess that is told."""


def python_draft(place: Place, files: Mapping[str, bytes]) -> Draft:
    """`files`: small files of the archive, without its first directory; `PKG-INFO` must be among them.

    Raises FormatError `no-metadata`, `bad-version`.
    """
    content = files.get("PKG-INFO")
    if content is None:
        raise FormatError("the archive has no `PKG-INFO`", reason="no-metadata", origin=Origin(place.file_name))
    fields = HeaderParser().parsestr(content.decode("utf-8", "replace"))
    stated, guesses = fields["Version"] or "", list[str]()
    name, version = plain_name(_normalised(fields["Name"] or "")), checked_version(stated, place.file_name)
    if version != stated:
        guesses.append(f"upstream writes the version `{stated}`")
    requirements = [item for item in fields.get_all("Requires-Dist") or () if "extra ==" not in item]
    conditional = [item for item in requirements if ";" in item]
    if conditional:
        guesses.append("dependencies with conditions are left out: " + ", ".join(conditional))
    runtime = [f"py3-{_normalised(_required(item))}" for item in requirements if ";" not in item and _required(item)]
    build = [f"py3-{_normalised(_required(item))}" for item in _build_requirements(files, guesses)]
    guesses.append("names of other packages follow the pattern `py3-NAME`; the test imports the module of the package's name")
    return Draft(
        name=apk_name(f"py3-{name}"),
        version=version,
        description=one_line(fields["Summary"] or ""),
        url=_home_page(fields),
        licence=licence_of(_python_licence(fields), guesses),
        runtime=("python3", *sorted(set(runtime))),
        build=("build-base", "busybox", "py3-build", "py3-installer", "python3", "python3-dev", *build),
        steps=(fetch_step(versioned(place, stated)), DraftStep("python/build-wheel"), DraftStep("strip")),
        tests=(DraftStep("python/import", (("imports", f"import {name.replace('-', '_')}"),)),),
        guesses=tuple(guesses),
    )


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(text: str) -> str:
    found = _REQUIREMENT.match(text)
    return found[1] if found else ""


def _build_requirements(files: Mapping[str, bytes], guesses: list[str]) -> list[str]:
    try:
        system = tomllib.loads(files.get("pyproject.toml", b"").decode("utf-8", "replace")).get("build-system", {})
        listed = system.get("requires", ["setuptools", "wheel"])
        return [item for item in listed if isinstance(item, str) and _required(item) and ";" not in item]
    except (tomllib.TOMLDecodeError, AttributeError):
        guesses.append("`pyproject.toml` cannot be read; setuptools is assumed")
        return ["setuptools", "wheel"]


def _python_licence(fields: Any) -> str:
    stated = fields["License-Expression"] or ""
    if not stated:
        classifiers = [item.rpartition(" :: ")[2] for item in fields.get_all("Classifier") or () if item.startswith("License ::")]
        stated = " AND ".join(dict.fromkeys(_CLASSIFIERS[item] for item in classifiers if item in _CLASSIFIERS))
    return stated or str(fields["License"] or "")


def _home_page(fields: Any) -> str:
    pages = dict(item.partition(", ")[::2] for item in fields.get_all("Project-URL") or () if ", " in item)
    named = next((pages[key] for key in ("Homepage", "homepage", "Source", "Repository") if key in pages), "")
    return str(fields["Home-page"] or named or next(iter(pages.values()), ""))


def gem_draft(place: Place, files: Mapping[str, bytes]) -> Draft:
    """`files`: members of the gem; `metadata.gz` must be among them.  Raises FormatError `no-metadata`, `bad-version`."""
    packed = files.get("metadata.gz")
    if packed is None:
        raise FormatError("the gem has no `metadata.gz`", reason="no-metadata", origin=Origin(place.file_name))
    content = inflate(packed, 16 * MIB, section="metadata.gz")
    root = compose(content, f"{place.file_name}/metadata", FaultCollector.empty()).root
    stated, guesses = _text(root, "version", "version"), list[str]()
    name = plain_name(_text(root, "name"))
    runtime = [item for item in _gem_dependencies(root) if item]
    licences = [node.text for node in _items(root, "licenses") if isinstance(node, Scalar)]
    if _items(root, "extensions"):
        guesses.append("the gem has native extensions; they may need libraries")
    guesses.append(f"built for `{_RUBY}`; names of other gems follow the pattern `{_RUBY.replace('-', '')}-NAME`")
    prefix = _RUBY.replace("-", "")
    return Draft(
        name=apk_name(f"{prefix}-{name}"),
        version=checked_version(stated, place.file_name),
        description=one_line(_text(root, "summary") or _text(root, "description")),
        url=_text(root, "homepage"),
        licence=licence_of(" AND ".join(licences), guesses),
        runtime=tuple(sorted({_RUBY, *(apk_name(f"{prefix}-{item}") for item in runtime)})),
        build=("build-base", "busybox", "ca-certificates-bundle", _RUBY, f"{_RUBY}-dev"),
        steps=(
            fetch_step(versioned(place, stated), extract="false"),
            DraftStep("ruby/install", (("gem", name), ("version", "${{package.version}}"))),
            DraftStep("ruby/clean"),
        ),
        tests=(DraftStep(runs=f"ruby -e \"require '{name.replace('-', '/')}'\""),),
        guesses=tuple(guesses),
    )


def _gem_dependencies(root: Node) -> list[str]:
    listed = _items(root, "dependencies")
    return [_text(item, "name") for item in listed if _text(item, "type").lstrip(":") != "development"]


def _items(node: Node, *path: str) -> tuple[Node, ...]:
    found = find(node, *path)
    return found.items if isinstance(found, Sequence) else ()


def _text(node: Node, *path: str) -> str:
    found = find(node, *path)
    return "" if not isinstance(found, Scalar) or found.is_null else found.text


def npm_draft(place: Place, files: Mapping[str, bytes]) -> Draft:
    """`files`: small files of the archive without its first directory; `package.json` must be among them.

    Raises FormatError `no-metadata`, `bad-version`.
    """
    try:
        found = json.loads(files["package.json"])
    except (KeyError, ValueError) as error:
        message = "the archive has no readable `package.json`"
        raise FormatError(message, reason="no-metadata", origin=Origin(place.file_name)) from error
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise FormatError("`package.json` names no package", reason="no-metadata", origin=Origin(place.file_name))
    guesses, name, stated = list[str](), plain_name(found["name"]), str(found.get("version", ""))
    if found.get("dependencies"):
        guesses.append("npm fetches the dependencies while it installs: the step has the network")
    commands = found.get("bin")
    names = (
        [plain_name(command) for command in sorted(commands)]
        if isinstance(commands, dict)
        else [name.rpartition("/")[2]]
        if isinstance(commands, str)
        else []
    )
    licence = found.get("license")
    install = (("package", name), ("version", "${{package.version}}"))
    return Draft(
        name=apk_name(name.lstrip("@").replace("/", "-")),
        version=checked_version(stated, place.file_name),
        description=one_line(str(found.get("description") or "")),
        url=str(found.get("homepage") or ""),
        licence=licence_of(licence if isinstance(licence, str) else "", guesses),
        runtime=("nodejs",),
        build=("busybox", "nodejs", "npm"),
        steps=(DraftStep("npm/install", install, network=True),),
        tests=tuple(DraftStep(runs=f"{command} --version || {command} --help") for command in names[:5]),
        guesses=tuple(guesses),
    )
