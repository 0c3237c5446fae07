"""Words that scripts may call."""

from __future__ import annotations

import pytest

from apkiln.debian.shell_words import quoted_commands, shell_commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set -e\nldconfig # adduser\n", ("ldconfig", "set")),
        ("if [ -x /bin/a ]; then chown x y; fi", ("[", "chown")),
        ('case "$1" in\n  configure|reconfigure)\n    chmod 1 a ;;\nesac', ("chmod",)),
        ("a=1 b=2 mkdir x && rm y || true", ("mkdir", "rm", "true")),
        ("x=$(dpkg -L a)\ny=`uname`", ("dpkg", "uname")),
        ("cat <<EOF\nadduser x\nEOF\nls", ("cat", "ls")),
        ("f() {\n  install x\n}\nf a", ("install",)),
        ("echo 'a; rm b' >/dev/null 2>&1", ("echo",)),
        ("exec /usr/sbin/tool --x", ("/usr/sbin/tool",)),
        ("ls \\\n  adduser", ("ls",)),
        ('"/usr/bin/dpkg" -L', ("/usr/bin/dpkg",)),
    ],
)
def test_shell_commands(text: str, expected: tuple[str, ...]) -> None:
    assert shell_commands(text) == expected


def test_quoted_commands() -> None:
    assert quoted_commands("x = 'dpkg'\nsubprocess.run(['dpkg', '-L'])\nos.system(\"ls -l\")\n") == ("-L", "dpkg", "ls")
