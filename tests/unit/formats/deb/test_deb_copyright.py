"""DEP-5 copyright files as SPDX expressions."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.deb.copyright import is_machine_readable, licence_reference, spdx_expression

HEAD = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"


def dep5(*licences: str) -> bytes:
    return HEAD + b"\n".join(b"Files: %d\nCopyright: x\nLicense: %s\n" % (n, text.encode()) for n, text in enumerate(licences))


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (("Expat",), "MIT"),
        (("GPL-2+",), "GPL-2.0-or-later"),
        (("GPL-2.0",), "GPL-2.0-only"),
        (("LGPL-2.1+", "BSD-3-clause"), "BSD-3-Clause AND LGPL-2.1-or-later"),
        (("GPL-1+ or Artistic",), "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        (("GPL-2+ with Autoconf exception",), "GPL-2.0-or-later WITH Autoconf-exception-3.0"),
        (("Zlib", "GPL-2 or Expat"), "Zlib AND (GPL-2.0-only OR MIT)"),
        (("GPL-2 or Expat, and Zlib",), "(GPL-2.0-only OR MIT) AND Zlib"),
        (("my own words",), "LicenseRef-debian-my-own-words"),
        (("apache-2.0",), "Apache-2.0"),
    ],
)
def test_expressions(licences: tuple[str, ...], expected: str) -> None:
    assert sorted(spdx_expression(dep5(*licences)).split()) == sorted(expected.split())


def test_precedence_is_kept() -> None:
    assert spdx_expression(dep5("GPL-2 or Expat, and Zlib")) == "Zlib AND (GPL-2.0-only OR MIT)"


def test_texts_that_are_no_dep5_give_nothing() -> None:
    assert spdx_expression(b"This package is free.\nLicense: MIT\n") == ""
    assert not is_machine_readable(b"Copyright: somebody\n")
    assert licence_reference("libfoo+1") == "LicenseRef-debian-libfoo-1"


def test_licence_paragraphs_without_files_only_explain() -> None:
    assert spdx_expression(dep5("Expat") + b"\nLicense: GPL-2\n text\n") == "MIT"


@given(st.lists(st.from_regex(r"[ -~]{1,30}", fullmatch=True), min_size=1, max_size=4))
def test_any_licence_text_gives_an_expression_or_nothing(licences: list[str]) -> None:
    expression = spdx_expression(dep5(*licences))
    assert expression == spdx_expression(dep5(*licences))
    assert "\n" not in expression


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert isinstance(spdx_expression(HEAD + data), str)


def test_threads_do_not_disturb_each_other() -> None:
    """The licence library makes its tables on first use without a guard; a process that is new to it must survive threads."""
    program = (
        "import sys; sys.setswitchinterval(1e-5)\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from apkiln.formats.deb.copyright import spdx_expression\n"
        f"text = {dep5('GPL-2+', 'BSD-3-clause or Expat', 'Zlib')!r}\n"
        "with ThreadPoolExecutor(4) as pool: print(len(set(pool.map(spdx_expression, [text] * 40))))\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
