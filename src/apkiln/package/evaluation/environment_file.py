"""Files of environment variables, and files of `vars`, as the command line names them (spec package.md §4.1, §4.9)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.reader import root
from apkiln.package.definition.note import Note

_LINE = pattern(
    r"""(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^#'"\n]*?))[ \t]*(?:\#.*)?""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = pattern(r"\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r"}

Variables = tuple[tuple[str, str], ...]


def read_environment_file(text: str, source: str) -> Variables:
    """Lines `NAME=value`, also with `export`, quotes and `#` comments, in order; a later line of one file wins.

    Raises ConfigurationError `bad-environment-file` with the line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            message = f"`{line.strip()[:60]}` is not of the form `NAME=value`"
            raise ConfigurationError(message, reason="bad-environment-file", origin=Origin(source, number, 1))
        double = match["double"]
        value = _ESCAPE.sub(lambda part: _CONTROL.get(part[1], part[1]), double) if double is not None else None
        found[match["name"]] = value if value is not None else match["single"] or match["plain"] or ""
    return tuple(sorted(found.items()))


def merged_files(files: Sequence[tuple[str, Variables]], notes: list[Note]) -> Variables:
    """The variables of several files (name, variables): an earlier file wins, with a remark where two disagree."""
    found: dict[str, tuple[str, str]] = {}
    for source, variables in files:
        for name, value in variables:
            first = found.setdefault(name, (source, value))
            if first[1] != value:
                message = f"`{name}` is already set by `{first[0]}`, which wins"
                notes.append(Note(message, Origin(source)))
    return tuple(sorted((name, value) for name, (_, value) in found.items()))


def read_variables_file(content: bytes, source: str) -> Variables:
    """A YAML mapping of texts.  Raises ConfigurationError or a FaultGroup."""
    faults = FaultCollector.empty()
    pairs = root(compose(content, source, faults), faults).pairs()
    faults.raise_if_any()
    return pairs
