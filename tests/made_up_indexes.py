"""Package indexes in short notation: `name-version{provides}[depends] i:items k5 b1 A:arch`, separated by semicolons."""

from __future__ import annotations

import hashlib
import re

from apkiln.core.arch import Arch
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.solving import solve

ARCH = Arch.parse("x86_64")
_PACKAGE = re.compile(r"([^{\[\s]+)-([^-{\[\s]+(?:-r\d+)?)(?:\{([^}]*)\})?(?:\[([^\]]*)\])?(.*)", re.DOTALL)


def records(text: str) -> list[IndexRecord]:
    """Records in the order written.  The identity comes from name, version and build number, as in the recorded corpora."""
    return [_record(item.strip()) for item in text.split(";") if item.strip()]


def _record(text: str) -> IndexRecord:
    matched = _PACKAGE.fullmatch(text)
    assert matched is not None, text
    name, version, provides, depends, rest = matched.groups()
    fields = {word[0]: word[1:] for word in re.findall(r"\b[kb]\d+", rest)}
    install_if = re.search(r"i:'([^']*)'", rest)
    arch = re.search(r"A:(\S+)", rest)
    identity = hashlib.sha1(f"{name}-{version}:{fields.get('b', 0)}".encode()).digest()
    return IndexRecord(
        name,
        version,
        arch.group(1) if arch else "x86_64",
        identity,
        1,
        1,
        depends=depends or "",
        provides=provides or "",
        install_if=install_if.group(1) if install_if else "",
        provider_priority=int(fields.get("k", 0)),
    )


def repositories(*texts: str) -> list[SolverRepository]:
    """One repository per text; a text that begins with `@tag:` makes a tagged one."""
    found = []
    for number, text in enumerate(texts):
        tag, colon, rest = text.partition(":") if text.startswith("@") else ("", "", text)
        found.append(SolverRepository(records(rest if colon else text), number, tag.removeprefix("@")))
    return found


def request(world: str, *, strict_apk: bool = False) -> Request:
    return Request(parse_dependencies(world), strict_apk=strict_apk)


def answer(index: str | list[SolverRepository], world: str, *, strict_apk: bool = False) -> list[str]:
    """`name-version` of the changes in order."""
    found = repositories(index) if isinstance(index, str) else index
    return changes(solve(found, request(world, strict_apk=strict_apk), ARCH))


def changes(solution: Solution) -> list[str]:
    return [change.new.record.name_version for change in solution.changes if change.new]
