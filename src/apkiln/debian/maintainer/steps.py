"""What a maintainer script does to a fresh image, one declared step at a time (spec debian.md §8.1).

A step is a verb with text arguments, so that one form serves script translation, override files, locks and reports.
"""

from __future__ import annotations

from typing import NamedTuple

from apkiln.core.errors import FormatError


class Step(NamedTuple):
    """One effect.  Paths are relative to the root, after usr-merge."""

    verb: str
    """A key of `VERBS`."""
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        shown = (item if item.split() == [item] else repr(item) for item in self.arguments)
        return " ".join((self.verb, *shown))


VERBS: dict[str, tuple[int, int]] = {
    "directory": (2, 2),  # path, octal mode; an existing directory stays as it is
    "file": (3, 3),  # path, octal mode, content
    "copy": (2, 2),  # path of a file of the package, new path; mode and owner are kept
    "move": (2, 2),  # path, new path
    "link": (2, 2),  # path, target text
    "remove": (1, 1),  # path, with everything below
    "mode": (2, 2),  # path, octal mode
    "owner": (3, 3),  # path, user, group; an empty one stays
    "owners": (3, 3),  # as `owner`, with everything below
    "capability": (2, 2),  # path, text as setcap takes it
    "group": (1, 2),  # name, number
    "user": (6, 6),  # name, number or "", primary group, home, shell, comment
    "member": (2, 2),  # user, group
    "alternative": (4, 1000),  # link, name, path, priority, then link, name, path of each slave
    "service": (2, 2),  # unit, "system" or "user"
    "divert": (2, 2),  # path of other packages, path it has instead
    "certificates": (0, 0),  # bundle and links of the certificate authorities
    "java-certificates": (0, 0),  # Java's trust store, from the certificate bundle of the image
}
"""Least and most arguments of each verb; their meaning beside it."""

ACCOUNT_VERBS = ("group", "user", "member")


def parse_step(verb: str, arguments: tuple[str, ...]) -> Step:
    """A step of an override file.  Raises FormatError (`step-syntax`)."""
    bounds = VERBS.get(verb)
    if bounds is None:
        raise FormatError(f"`{verb}` is no step", reason="step-syntax", hint=f"one of {', '.join(VERBS)}")
    if not bounds[0] <= len(arguments) <= bounds[1]:
        wanted = str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]} to {bounds[1]}"
        raise FormatError(f"`{verb}` takes {wanted} arguments, not {len(arguments)}", reason="step-syntax")
    if verb == "alternative" and ((len(arguments) - 4) % 3 or not arguments[3].lstrip("-").isdecimal()):
        message = "an alternative needs link, name, path, priority, then three arguments for each slave"
        raise FormatError(message, reason="step-syntax")
    octal = {"directory": 1, "file": 1, "mode": 1}.get(verb)
    if octal is not None and (not arguments[octal] or arguments[octal].strip("01234567") or len(arguments[octal]) > 5):
        raise FormatError(f"`{arguments[octal]}` is no octal mode", reason="step-syntax")
    return Step(verb, arguments)
