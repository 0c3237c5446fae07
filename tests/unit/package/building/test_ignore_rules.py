"""`.melangeignore` means what `.gitignore` would."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from apkiln.package.building.ignore_rules import IgnoreRules

CASES = [
    ("*.o", "a.o", False, True),
    ("*.o", "sub/a.o", False, True),
    ("*.o", "a.ob", False, False),
    ("/a.o", "sub/a.o", False, False),
    ("/a.o", "a.o", False, True),
    ("build/", "build", True, True),
    ("build/", "build", False, False),
    ("sub/build/", "sub/build", True, True),
    ("doc/*.txt", "doc/a.txt", False, True),
    ("doc/*.txt", "doc/sub/a.txt", False, False),
    ("doc/**/a.txt", "doc/x/y/a.txt", False, True),
    ("doc/**/a.txt", "doc/a.txt", False, True),
    ("**/a", "x/y/a", False, True),
    ("abc/**", "abc/x/y", False, True),
    ("abc/**", "abc", True, False),
    ("a?c", "abc", False, True),
    ("a?c", "a/c", False, False),
    ("[ab]c", "bc", False, True),
    ("[!ab]c", "bc", False, False),
    ("[!ab]c", "xc", False, True),
    ("*.o\n!keep.o", "keep.o", False, False),
    ("*.o\n!keep.o", "other.o", False, True),
    ("# comment", "# comment", False, False),
    ("\\#x", "#x", False, True),
    ("\\!x", "!x", False, True),
    ("trailing  ", "trailing", False, True),
    ("", "anything", False, False),
    ("a+b.c", "a+b.c", False, True),
    ("a+b.c", "aab.c", False, False),
]


@pytest.mark.parametrize(("rules", "path", "directory", "expected"), CASES)
def test_patterns(rules: str, path: str, directory: bool, expected: bool) -> None:
    assert IgnoreRules(rules).excludes(path, directory) is expected


@pytest.mark.parametrize(("rules", "path", "directory", "expected"), CASES)
def test_git_agrees(rules: str, path: str, directory: bool, expected: bool, tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git not found")
    environment = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run((git, "init", "-q", str(tmp_path / "r")), check=True, env=environment)
    (tmp_path / "r/.gitignore").write_text(rules + "\n")
    place = tmp_path / "r" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.mkdir() if directory else place.write_text("")
    command = (git, "-C", str(tmp_path / "r"), "check-ignore", "-q", "--no-index", path)
    assert (subprocess.run(command, check=False, env=environment).returncode == 0) is expected
