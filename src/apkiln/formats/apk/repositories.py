"""`etc/apk/repositories` and `repositories.d/*.list` (spec apk.md §5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.formats.archive.path import CONTROL

KINDS = ("ndx", "v2", "v3")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TAG = re.compile(r"@[A-Za-z0-9_.-]+")
_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """One repository line; `str` gives its text."""

    url: str
    """With `scheme://`, or an absolute path; may hold credentials, so print it through `core.secret.redact_url`."""
    tag: str = ""
    """Without `@`; empty = untagged."""
    kind: str = "v2"
    """`v2`, `v3` or `ndx`."""
    components: tuple[str, ...] = ()
    """Each makes a repository of its own below the URL."""

    @property
    def bases(self) -> tuple[str, ...]:
        """The URLs of the repositories this line stands for."""
        base = self.url.rstrip("/")
        return tuple(f"{base}/{component}" for component in self.components) or (self.url,)

    def __str__(self) -> str:
        kind = "" if self.kind == _kind_of(self.url) else self.kind
        return " ".join(part for part in (kind, self.tag and f"@{self.tag}", self.url, *self.components) if part)


class Assignment(NamedTuple):
    """A `set` line."""

    key: str
    value: str
    keep: bool
    """`-default`: an existing value stays."""


def parse_repository_line(text: str, variables: Mapping[str, str] | None = None) -> RepositoryLine | Assignment | None:
    """One line; None for comments and blank ones.  `${name}` is replaced from `variables` (`APK_ARCH` is one of them).

    FormatError: `repository-line`, `repository-url`, `repository-tag`, `repository-components`, `repository-set`,
    `repository-variable`.
    """
    stripped = text.strip()
    if not stripped or stripped.startswith("#"):
        return None
    if CONTROL.search(stripped.replace("\t", " ")):
        raise _fault("the line holds a control character", "repository-line")
    words = stripped.split()
    if words[0] == "set":
        return _assignment(words[1:], variables or {})
    words = [_expand(word, variables or {}) for word in words]
    kind = words.pop(0) if words[0] in KINDS and len(words) > 1 else ""
    tag = words.pop(0) if words[0].startswith("@") else ""
    if tag and not _TAG.fullmatch(tag):
        raise _fault(f"`{tag}` is not a tag", "repository-tag")
    if not words:
        raise _fault("the line names no repository", "repository-line")
    url, *components = words
    _check_url(url)
    line = RepositoryLine(url, tag[1:], kind or _kind_of(url), tuple(components))
    if components and line.kind == "ndx":
        raise _fault("an index named directly takes no components", "repository-components")
    return line


def parse_repositories(content: bytes, variables: Mapping[str, str] | None = None) -> tuple[RepositoryLine, ...]:
    """All repositories of one file in order; `set` lines take effect on the lines after them.  All faults together, with line."""
    known = dict(variables or {})
    faults = FaultCollector.empty()
    found: list[RepositoryLine] = []
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        try:
            item = parse_repository_line(text, known)
        except FormatError as error:
            error.located(Origin(member="repositories", line=number))
            faults.add(error)
            continue
        if isinstance(item, RepositoryLine):
            found.append(item)
        elif item is not None and not (item.keep and item.key in known):
            known[item.key] = item.value
    faults.raise_if_any()
    return tuple(found)


def write_repositories(lines: Iterable[RepositoryLine]) -> bytes:
    """One line each, in the given order."""
    return "".join([f"{line}\n" for line in lines]).encode()


def list_files(directories: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Paths of the `*.list` files that count: (directory, names in it) in order of search; within one by name, and a name
    seen in an earlier directory hides later ones."""
    chosen: dict[str, str] = {}
    for directory, names in directories:
        for name in sorted(names, key=str.encode):
            if name.endswith(".list") and not name.startswith("."):
                chosen.setdefault(name, f"{directory}/{name}")
    return tuple(chosen.values())


def _fault(message: str, reason: str) -> FormatError:
    return FormatError(message, reason=reason)


def _kind_of(url: str) -> str:
    return "ndx" if url.endswith((".adb", ".tar.gz")) else "v2"


def _check_url(url: str) -> None:
    scheme, separator, rest = url.partition("://")
    if not ((separator and scheme in _SCHEMES and rest) or url.startswith("/")):
        message = f"`{redact_url(url)}` is neither an http, https or file URL nor an absolute path"
        raise _fault(message, "repository-url")


def _expand(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise _fault(f"the variable `{match[1]}` is not set", "repository-variable")
        return variables[match[1]]

    return _VARIABLE.sub(value, text)


def _assignment(words: list[str], variables: Mapping[str, str]) -> Assignment:
    keep = words[:1] == ["-default"]
    pair = " ".join(words[1:] if keep else words)
    key, equals, value = pair.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise _fault("a `set` line has the form `set [-default] key=value`", "repository-set")
    if key.startswith("APK_"):
        raise _fault(f"`{key}` is reserved", "repository-set")
    return Assignment(key, _expand(value, variables), keep)
