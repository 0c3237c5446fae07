"""apko's own command lines as ours, so that a Makefile changes one word (spec image.md §3)."""

from __future__ import annotations

import os

from apkiln.core.errors import UsageError

VERBS = {
    "build": ("image", "build"),
    "publish": ("image", "publish"),
    "lock": ("image", "lock"),
    "resolve": ("image", "lock"),
    "show-packages": ("image", "packages"),
    "show-config": ("image", "config"),
    "dot": ("image", "graph"),
    "build-minirootfs": ("image", "minirootfs"),
    "build-cpio": ("image", "cpio"),
    "install-keys": ("key", "install"),
    "login": ("image", "login"),
    "clean": ("cache", "clean"),
    "version": (),
}
"""Each verb with the noun and verb of ours that serve it."""
_WRITING = frozenset({"build", "build-minirootfs", "build-cpio"})
"""Verbs whose outputs replace what is there, as they do with apko."""


def translated(words: list[str]) -> list[str]:
    """Our words for `VERB ARGUMENTS…` of apko; empty for `version`.

    `--workdir` is where everything relative starts: the process goes there.  Raises UsageError (`unknown-command`,
    `bad-arguments`).
    """
    words = _in_directory(words)
    if not words or words[0] not in VERBS:
        verb = words[0] if words else ""
        known = ", ".join(VERBS)
        raise UsageError(f"`apko {verb}` is not supported", reason="unknown-command", hint=f"known: {known}")
    verb, rest = words[0], words[1:]
    if verb == "version":
        return []
    if verb == "dot":
        rest = _without_explorer(rest)
    if verb == "clean":  # apko's removes everything, or shows how much that would be
        return ["cache", "info", *(word for word in rest if word != "--dry-run")] if "--dry-run" in rest else [
            "cache", "clean", "--all", *rest,
        ]  # fmt: skip
    return [*VERBS[verb], *(["--force"] if verb in _WRITING else []), *rest]


def _without_explorer(words: list[str]) -> list[str]:
    """The words of `dot` without the host that links of apko's picture lead to; ours has none.  Raises UsageError
    (`bad-arguments`) for `--web`: nothing is served here."""
    kept: list[str] = []
    given = iter(words)
    for word in given:
        flag, equals, _ = word.partition("=")
        if flag == "--web" and word != "--web=false":
            hint = "`apkiln image graph CONFIG --format html > graph.html` writes a page to open in a browser"
            raise UsageError("`--web` is not supported", reason="bad-arguments", hint=hint)
        if flag in ("-e", "--registry-explorer"):
            if not equals:
                next(given, None)
        elif flag != "--web":
            kept.append(word)
    return kept


def _in_directory(words: list[str]) -> list[str]:
    """The words without `-C DIR` and `--workdir DIR`."""
    kept: list[str] = []
    given = iter(words)
    for word in given:
        flag, equals, value = word.partition("=")
        if flag not in ("-C", "--workdir"):
            kept.append(word)
            continue
        directory = value if equals else next(given, "")
        try:
            os.chdir(directory)
        except OSError as cause:
            message = f"`{directory}` is no directory to work in"
            raise UsageError(message, reason="bad-arguments", hint=cause.strerror or "") from cause
    return kept
