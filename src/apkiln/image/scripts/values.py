"""Words of a script as text, where the builder can know it."""

from __future__ import annotations

import re

from apkiln.formats.shell.syntax import Literal, Parameter, Word

_PATTERN = re.compile(r"[*?]|\[.+\]")
"""What would become the names of files."""


class Variables:
    """Names and what is known of their values; None = set to something unknown."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.arguments = arguments
        """The positional parameters."""
        self._values: dict[str, str | None] = {}

    def set(self, name: str, text: str | None) -> None:
        self._values[name] = text

    def get(self, name: str) -> str | None:
        """The value; "" when it was never set, as the environment of package scripts is nearly empty."""
        if name.isdecimal() and name != "0":
            position = int(name) - 1
            return self.arguments[position] if position < len(self.arguments) else ""
        if name == "#":
            return str(len(self.arguments))
        if name in ("?", "$", "!", "0", "-"):
            return None
        return self._values.get(name, "")

    def saved(self) -> dict[str, str | None]:
        """What is known now, for `restore`."""
        return dict(self._values)

    def restore(self, saved: dict[str, str | None]) -> None:
        """Forget what was set since."""
        self._values = dict(saved)

    def fields(self, word: Word) -> tuple[str, ...] | None:
        """The words that one word becomes; None when that is not known.  Unquoted values are split at white space."""
        if len(word.parts) == 1 and isinstance(word.parts[0], Parameter) and not word.parts[0].operator:
            part = word.parts[0]
            if part.name in ("@", "*"):
                return self.arguments
            found = self.get(part.name)
            if found is not None and not part.quoted:
                return tuple(found.split())
        text = self.text(word)
        return None if text is None else (text,)

    def text(self, word: Word) -> str | None:
        """The word as one text; None when it is not known (substitutions, arithmetic, unknown values, patterns of files)."""
        found = []
        for part in word.parts:
            if isinstance(part, Literal):
                if not part.quoted and _PATTERN.search(part.text):
                    return None
                found.append(part.text)
            elif isinstance(part, Parameter):
                value = self._parameter(part)
                if value is None:
                    return None
                found.append(value)
            else:
                return None
        return "".join(found)

    def _parameter(self, part: Parameter) -> str | None:
        if part.name in ("@", "*"):
            return None if part.operator else " ".join(self.arguments)
        found = self.get(part.name)
        if not part.operator or found is None:
            return found
        argument = self.text(part.argument) if part.argument is not None else ""
        if part.operator in (":-", "-"):
            return found or argument
        if part.operator == ":+":
            return argument if found else ""
        return None
