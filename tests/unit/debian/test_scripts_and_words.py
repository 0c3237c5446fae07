"""Maintainer scripts are named, never run."""

from __future__ import annotations

import pytest

from apkiln.debian.scripts import Verdict, judge, report_scripts
from apkiln.debian.shell_words import quoted_commands, shell_commands
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.package import ControlFile, DebControl


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


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("set", Verdict.STRUCTURE),
        ("deb-systemd-helper", Verdict.NO_EFFECT),
        ("/sbin/ldconfig", Verdict.SPEED),
        ("update-alternatives", Verdict.NOT_COVERED),
        ("something", Verdict.NOT_COVERED),
    ],
)
def test_verdicts(command: str, verdict: Verdict) -> None:
    assert judge(command) is verdict


def test_reports() -> None:
    files = (
        ControlFile("config", b"#!/bin/sh\ndb_input x\n", 0),
        ControlFile("control", b"Package: a\n", 0),
        ControlFile("postinst", b"#!/bin/sh\nadduser x\nldconfig\n", 0),
        ControlFile("preinst", b"#!/usr/bin/perl\nunlink 'x';\n", 0),
        ControlFile("prerm", b"#!/bin/sh\nrm x\n", 0),
    )
    reports = {report.name: report for report in report_scripts(DebControl(Stanza((("Package", "a"),)), files))}
    assert sorted(reports) == ["config", "postinst", "preinst", "prerm"]
    assert reports["postinst"].not_covered() == ("adduser",)
    assert reports["prerm"].commands == ()
    assert reports["preinst"].not_covered() == ("/usr/bin/perl",)
    assert len(reports["preinst"].sha256) == 64
