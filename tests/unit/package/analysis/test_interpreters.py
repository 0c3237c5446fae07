"""First lines of scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.package.analysis.interpreters import interpreter


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("#!/bin/bash -e", "/bin/bash"),
        ("#! /bin/bash", "/bin/bash"),
        ("#!/usr/bin/env bash", "bash"),
        ("#!/bin/env bash", "bash"),
        ("#!/usr/bin/env -S bash -x", "bash"),
        ("#!/usr/bin/env -i", ""),
        ("#!/usr/bin/env -S -i bash", ""),
        ("#!/usr/bin/env -S A=1 B=2 bash -x", "bash"),
        ("#!/usr/bin/env", ""),
        ("#!/usr/bin/env A=1", ""),
        ("#!/opt/env bash", "/opt/env"),
        ("#!/usr/bin/python3", ""),
        ("#!/usr/bin/python3.12", "/usr/bin/python3.12"),
        ("#!/usr/bin/env luajit", ""),
        ("#!", ""),
        ("# !/bin/bash", ""),
        (" #!/bin/bash", ""),
    ],
)
def test_the_command(line: str, command: str) -> None:
    assert interpreter(line.encode()) == interpreter(line.encode() + b"\nmore") == command


@pytest.mark.parametrize("line", ["#!/usr/bin/env bash -x", "#!/usr/bin/env A=1 bash -x"])
def test_several_words_arrive_as_one(line: str) -> None:
    with pytest.raises(FormatError) as error:
        interpreter(line.encode())
    assert error.value.reason == "interpreter-arguments" and "-S" in error.value.hint


@given(st.binary(max_size=400))
def test_any_content_is_read_or_refused(content: bytes) -> None:
    try:
        assert "\n" not in interpreter(b"#!" + content)
    except FormatError as error:
        assert error.reason == "interpreter-arguments"
