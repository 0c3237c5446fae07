"""Questions of scripts that the builder can answer: files, texts, accounts, programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apkiln.formats.archive.entry import EntryType
from apkiln.image.scripts.scene import Scene

Answer = bool | None
"""None: cannot be known."""
_FILE_TESTS = frozenset({"-e", "-f", "-d", "-L", "-h", "-s", "-r", "-x", "-w", "-b", "-c", "-p", "-S"})
_ACCOUNT_LINE = re.compile(r"\^?([A-Za-z0-9_.-]+):?")


def test(words: Sequence[str | None], scene: Scene) -> Answer:
    """`test …`, without the closing bracket.  Unknown words are None."""
    if words and words[0] == "!":
        return _opposite(test(words[1:], scene))
    for operator, join in (("-o", _either), ("-a", _both)):
        if operator in words[1:-1] and len(words) > 3:
            at = words.index(operator, 1)
            return join(test(words[:at], scene), test(words[at + 1 :], scene))
    if len(words) == 1:
        return None if words[0] is None else bool(words[0])
    if len(words) == 2:
        return _unary(words[0], words[1], scene)
    return _binary(words[0], words[1], words[2]) if len(words) == 3 else (False if not words else None)


def query(program: str, words: Sequence[str | None], scene: Scene) -> Answer:
    """Programs that only answer, by name; None for what they would say is not known."""
    if any(word is None for word in words):
        return None
    texts = [word for word in words if word is not None]
    if program == "getent" and len(texts) == 2 and texts[0] in ("passwd", "group", "shadow"):
        return scene.has_account(texts[0], texts[1])
    names = [text for text in texts if not text.startswith("-")]
    if program == "id" and len(names) == 1:
        return scene.has_account("passwd", names[0])
    if program in ("which", "command", "type") and len(names) == 1:
        return scene.is_program(names[0])
    if program == "grep" and len(names) == 2 and names[1] in ("/etc/passwd", "/etc/group"):
        found = _ACCOUNT_LINE.fullmatch(names[0])
        # Only a whole name is a question about an account.
        if found is not None and names[0].startswith("^") and names[0].endswith(":"):
            return scene.has_account(names[1].removeprefix("/etc/"), found[1])
    return None


def _unary(operator: str | None, word: str | None, scene: Scene) -> Answer:
    if word is None or operator is None:
        return None
    if operator == "-n":
        return bool(word)
    if operator == "-z":
        return not word
    if operator not in _FILE_TESTS or not word.startswith("/"):
        return False if word == "" and operator in _FILE_TESTS else None
    if operator in ("-L", "-h"):
        return scene.kind(word, follow=False) is EntryType.SYMLINK
    kind = scene.kind(word)
    if operator == "-s":
        return scene.size(word) > 0 if kind is EntryType.FILE else kind is not None
    wanted = {
        "-f": (EntryType.FILE, EntryType.HARDLINK), "-d": (EntryType.DIRECTORY,), "-b": (EntryType.BLOCK,),
        "-c": (EntryType.CHARACTER,), "-p": (EntryType.FIFO,), "-S": (),
    }  # fmt: skip
    return kind in wanted[operator] if operator in wanted else kind is not None


def _binary(left: str | None, operator: str | None, right: str | None) -> Answer:
    if left is None or right is None:
        return None
    if operator in ("=", "=="):
        return left == right
    if operator == "!=":
        return left != right
    numbers = {"-eq": 0, "-ne": 1, "-lt": 2, "-gt": 3, "-le": 4, "-ge": 5}
    if operator in numbers and left.lstrip("-").isdecimal() and right.lstrip("-").isdecimal():
        one, two = int(left), int(right)
        return (one == two, one != two, one < two, one > two, one <= two, one >= two)[numbers[operator]]
    return None


def _opposite(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _both(left: Answer, right: Answer) -> Answer:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _either(left: Answer, right: Answer) -> Answer:
    if left or right:
        return True
    return None if left is None or right is None else False
