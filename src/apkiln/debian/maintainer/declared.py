"""Accounts and directories that a package declares in files: sysusers.d and tmpfiles.d (spec debian.md §8.1 row 4)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from apkiln.debian.maintainer.scene import image_path
from apkiln.debian.maintainer.steps import Step

_SYSUSERS = "usr/lib/sysusers.d/"
_TMPFILES = "usr/lib/tmpfiles.d/"
_VOLATILE = ("tmp", "proc", "sys", "dev")
"""Trees of which nothing is put into an image."""


def declared_steps(contents: Mapping[str, bytes]) -> tuple[Step, ...]:
    """Steps for the package's own `*.conf` files, in order of path and line.

    Lines with specifiers (`%…`) and types other than user, group, membership and directory are not for an image and are left out.
    """
    steps: list[Step] = []
    for path in sorted(contents):
        if path.startswith(_SYSUSERS) and path.endswith(".conf"):
            for words in _lines(contents[path]):
                steps += _account(words)
        elif path.startswith(_TMPFILES) and path.endswith(".conf"):
            for words in _lines(contents[path]):
                steps += _directory(words)
    return tuple(steps)


def _lines(content: bytes) -> Iterator[list[str]]:
    for line in content.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#") or "%" in text:
            continue
        try:
            yield shlex.split(text)
        except ValueError:
            continue


def _account(words: list[str]) -> list[Step]:
    kind, name, number, comment, home, shell = (words + ["-"] * 6)[:6]
    number = "" if number == "-" else number
    if kind == "g":
        return [Step("group", (name, number) if number.isdecimal() else (name,))]
    if kind in ("u", "u!"):
        own, _, group = number.partition(":")
        steps = [] if group else [Step("group", (name, own) if own.isdecimal() else (name,))]
        fields = ("" if item == "-" else item for item in (home, shell, comment))
        home, shell, comment = fields
        user = (name, own if own.isdecimal() else "", group or name, home or "/", shell or "/usr/sbin/nologin", comment)
        return [*steps, Step("user", user)]
    return [Step("member", (name, words[2]))] if kind == "m" and len(words) > 2 else []


def _directory(words: list[str]) -> list[Step]:
    kind, text, mode, user, group = (words + ["-"] * 5)[:5]
    path = image_path(text)
    if kind.rstrip("!+") not in ("d", "D") or not path or path.partition("/")[0] in _VOLATILE:
        return []
    mode = "755" if mode == "-" else mode.lstrip("~:")
    if mode.strip("01234567"):
        return []
    steps = [Step("directory", (path, mode.lstrip("0") or "0"))]
    user, group = ("" if item in ("-", "root") else item for item in (user, group))
    return [*steps, Step("owner", (path, user, group))] if user or group else steps
