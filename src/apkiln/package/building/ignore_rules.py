"""`.melangeignore`: which files of the source directory stay out of the workspace, in the syntax of `.gitignore`."""

from __future__ import annotations

import re

from apkiln.core.named_tuple import NamedTuple

NAME = ".melangeignore"


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    excludes: bool
    directories_only: bool


class IgnoreRules:
    """The last rule that matches a path decides."""

    def __init__(self, text: str) -> None:
        rules = (_rule(line) for line in text.splitlines())
        self._rules = tuple(rule for rule in rules if rule is not None)

    def excludes(self, path: str, is_directory: bool) -> bool:
        """Whether a relative path stays out.  What is below an excluded directory is not asked about."""
        verdict = False
        for rule in self._rules:
            if (is_directory or not rule.directories_only) and rule.pattern.fullmatch(path):
                verdict = rule.excludes
        return verdict


def _rule(line: str) -> _Rule | None:
    text = re.sub(r"(?<!\\)\s+$", "", line)
    if not text or text.startswith("#"):
        return None
    excludes = not text.startswith("!")
    text = text.removeprefix("!")
    directories_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    prefix = "" if anchored else "(?:.*/)?"
    return _Rule(re.compile(prefix + _expression(text), re.DOTALL), excludes, directories_only)


def _expression(glob: str) -> str:
    """The regular expression of a pattern without leading and trailing slashes."""
    found, position = "", 0
    while position < len(glob):
        rest = glob[position:]
        if rest.startswith("**/") and (position == 0 or glob[position - 1] == "/"):
            found, position = found + "(?:.*/)?", position + 3
        elif rest == "**" and (position == 0 or glob[position - 1] == "/"):
            found, position = found + ".*", position + 2
        elif rest.startswith("*"):
            found, position = found + "[^/]*", position + 1
        elif rest.startswith("?"):
            found, position = found + "[^/]", position + 1
        elif rest.startswith("[") and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end].replace("\\", "\\\\").replace("[", "\\[")
            inner = "^" + inner[1:] if inner.startswith("!") else inner
            found, position = found + f"(?!/)[{inner}]", position + end + 1
        elif rest.startswith("\\") and len(rest) > 1:
            found, position = found + re.escape(rest[1]), position + 2
        else:
            found, position = found + re.escape(rest[0]), position + 1
    return found
