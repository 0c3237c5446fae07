"""Comments leave scripts, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.package.compilation.scripts import without_comments


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("#!/bin/sh\n# one\necho a # two\n", "#!/bin/sh\necho a\n"),
        ("echo a#b '#c' \"# d\" \\# ${x#y} ${x## } $# $((16#ff))\n", None),
        ("a \\\n# ends the command\nb\n", "a \\\n\nb\n"),
        ("cat <<'E'\n# kept\nE\n# gone\n", "cat <<'E'\n# kept\nE\n"),
        ("cat <<-E # gone\n\t# kept\n\tE\n", "cat <<-E\n\t# kept\n\tE\n"),
        ("cat <<A <<B\n# 1\nA\n# 2\nB\n#x\n", "cat <<A <<B\n# 1\nA\n# 2\nB\n"),
        ("x=$(echo a # gone\n)\n", "x=$(echo a\n)\n"),
        ('x="$(echo "# in" # out\n)" # gone\n', 'x="$(echo "# in"\n)"\n'),
        ("a;# gone\nb & # gone\n(c)# gone\n", "a;\nb &\n(c)\n"),
        ("echo \"unfinished # x\n", None),
        ("cat <<E\n# no end\n", None),
        ("echo `date # x`\n", None),
        ("case x in # c\n# d\na) b ;; # e\nesac # f\n", "case x in\na) b ;;\nesac\n"),
        ('echo "${x:-"# kept"}" ${y:-a # kept}\n', None),
        ("grep '^#' f <<< '# x'\n", None),
        ("# only", ""),
        ("(( x = 1 << 2 )) # gone\n", "(( x = 1 << 2 ))\n"),
        ("echo $'it\\'s # kept' # gone\n", "echo $'it\\'s # kept'\n"),
    ],
)  # fmt: skip
def test_examples(script: str, wanted: str | None) -> None:
    assert without_comments(script) == (script if wanted is None else wanted)


@given(st.text(alphabet="a# \n'\"\\$({})`<E;", max_size=30))
def test_stable_and_only_shorter(script: str) -> None:
    once = without_comments(script)
    assert without_comments(once) == once
    assert len(once) <= len(script)
    if "#" not in script:
        assert once == script


@given(st.lists(st.sampled_from(["echo a", "# c", "x='# k'", "cat <<E\n# k\nE", 'y="$(z)"', "# d 'q"]), max_size=8))
def test_lines_keep_their_order(lines: list[str]) -> None:
    script = "".join(line + "\n" for line in lines)
    assert without_comments(script) == "".join(line + "\n" for line in lines if not line.startswith("#"))
