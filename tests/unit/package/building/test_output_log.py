"""Output of steps: whole lines as they come, nothing that steers a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apkiln.package.building.output_log import OutputLog, printable


def lines_of(pieces: list[bytes]) -> list[str]:
    told: list[str] = []
    log = OutputLog(told.append)
    for piece in pieces:
        log.take(piece)
    log.close()
    return told


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_lines_do_not_depend_on_how_they_come(pieces: list[bytes]) -> None:
    assert lines_of(pieces) == lines_of([b"".join(pieces)])


@given(st.binary(max_size=200))
def test_nothing_told_holds_control_characters(data: bytes) -> None:
    assert all(char == "\t" or char.isprintable() for line in lines_of([data]) for char in line)


def test_lines_are_told_when_they_end_and_the_rest_at_the_close() -> None:
    told: list[str] = []
    log = OutputLog(told.append)
    log.take(b"one\ntw")
    assert told == ["one"]
    log.take(b"o")
    log.close()
    assert told == ["one", "two"]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    assert sum(map(len, lines_of([b"x" * 1000] * 1000))) == 1_000_000
    assert max(map(len, lines_of([b"x" * 1000] * 1000))) < 100_000


def test_only_the_last_lines_are_kept() -> None:
    log = OutputLog(lambda _: None, kept=3)
    log.take(b"1\n2\n3\n4\n")
    assert log.last == ("2", "3", "4")


def test_colours_and_titles_are_dropped() -> None:
    assert printable("\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\ttab \x08") == "red text\ttab "
