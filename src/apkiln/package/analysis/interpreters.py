"""The command that a script asks for in its first line (spec package.md §13.2, 8)."""

from __future__ import annotations

from apkiln.core.errors import FormatError

IGNORED = frozenset({"python", "python3", "sh", "awk", "luajit"})
"""Commands that are no dependency: there is always one, or it comes with what the script needs anyway."""
LONGEST = 256
"""Bytes of a first line that the kernel reads."""
_ENV = ("/usr/bin/env", "/bin/env")


def interpreter(content: bytes) -> str:
    """The interpreter that a file beginning with `content` names, as written; empty for none and for ignored ones.

    FormatError `interpreter-arguments` for `env` with several words, which the kernel hands over as one.
    """
    if not content.startswith(b"#!"):
        return ""
    line = content[2:LONGEST].partition(b"\n")[0].decode("utf-8", "replace")
    words = line.split()
    if not words:
        return ""
    command = _of_env(words[1:], line) if words[0] in _ENV else words[0]
    return "" if command.rpartition("/")[2] in IGNORED else command


def _of_env(words: list[str], line: str) -> str:
    split = words[:1] == ["-S"]
    rest = words[1:] if split else words
    while rest and "=" in rest[0]:
        rest = rest[1:]
    if not rest or rest[0].startswith("-"):
        return ""
    if len(rest) > 1 and not split:
        message = f"`#!{line.strip()}` gives `env` multiple arguments, which arrive as one"
        raise FormatError(message, reason="interpreter-arguments", hint="write `#!/usr/bin/env -S COMMAND ARGUMENT`")
    return rest[0]
