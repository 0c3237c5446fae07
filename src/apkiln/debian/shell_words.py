"""Which programs a script may call: an over-estimate by lexical scanning, never by running it (spec debian.md §7, §8)."""

from __future__ import annotations

import re

_HERE_DOCUMENT = re.compile(r"<<-?\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_CASE_LABEL = re.compile(r"^\s*\(?[\w*?.|\"'\[\] -]+\)(?!\))")
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\)")
_REDIRECTION = re.compile(r"[0-9]*[<>]+&?[0-9-]*")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"$`]*)\"")
_BREAK = re.compile(r"&&|\|\||[;|&(){}`]|\$\(|\n")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=\S*")
_WORD = re.compile(r"\.|:|\[\[?|[A-Za-z_/.][\w./+-]+|[A-Za-z]")
_PLAIN = re.compile(r"[\w./+-]+")
_PASSED_TEXT = """if then else elif fi while until do done in ! time exec eval command env nohup builtin local export readonly
    sudo chroot nice timeout xargs"""
_STRUCTURE_TEXT = "for case function select esac fi done"
_PASSED = frozenset(_PASSED_TEXT.split())
"""Words before a command."""
_STRUCTURE = frozenset(_STRUCTURE_TEXT.split())
"""Words after which no command follows."""
_QUOTED_COMMAND = re.compile(r"[\"']([A-Za-z0-9_./+-]{1,80})(?=[ \"'])")
_CALLS = re.compile(r"Popen|call|check_output|run\(|system|exec|spawn|which|popen|getoutput|qx|open\(|`")


def shell_commands(text: str) -> tuple[str, ...]:
    """Words in command position of a shell script, sorted, distinct; functions of the script itself are left out."""
    functions: set[str] = set()
    found: set[str] = set()
    ending = ""
    for raw in text.replace("\\\n", " ").split("\n"):
        if ending:
            ending = "" if raw.strip() == ending else ending
            continue
        line = _COMMENT.sub("", raw)
        here = _HERE_DOCUMENT.search(line)
        ending = here[1] if here else ""
        defined = _FUNCTION.match(line)
        if defined is not None:
            functions.add(defined[1])
            line = line[defined.end() :]
        line = _REDIRECTION.sub(" ", _QUOTED.sub(_unquoted, line))
        for piece in _BREAK.split(_CASE_LABEL.sub("", line)):
            word = _command_of(piece)
            if word:
                found.add(word)
    return tuple(sorted(found - functions))


def quoted_commands(text: str) -> tuple[str, ...]:
    """First words of string literals on lines that look like they start a program, in Python and Perl; sorted, distinct."""
    found: set[str] = set()
    for line in text.split("\n"):
        if _CALLS.search(line):
            found.update(_QUOTED_COMMAND.findall(line))
    return tuple(sorted(found))


def _unquoted(found: re.Match[str]) -> str:
    """A quoted single word keeps its text, anything longer is an argument."""
    text = found[1] if found[1] is not None else found[2]
    return text if _PLAIN.fullmatch(text) else " - "


def _command_of(piece: str) -> str:
    for word in piece.replace('"', " ").replace("'", " ").split():
        if _ASSIGNMENT.fullmatch(word):
            continue
        if word in _STRUCTURE:
            return ""
        if word in _PASSED:
            continue
        return word if _WORD.fullmatch(word) else ""
    return ""
