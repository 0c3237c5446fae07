"""What maintainer scripts would have done.  They are never run; each command is named, with a verdict (spec debian.md §8).

This version reports; the translators of §8.1 come with their own change, so nothing here is called translated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

from apkiln.debian.shell_words import shell_commands
from apkiln.formats.deb.deb822 import decode
from apkiln.formats.deb.package import DebControl

INSTALL_SCRIPTS = ("preinst", "postinst")
"""Scripts whose effect a fresh image would miss."""
OTHER_SCRIPTS = ("prerm", "postrm", "config")
"""Scripts that run at removal or ask questions: without effect in an image."""


class Verdict(Enum):
    """What leaving a command out means."""

    STRUCTURE = "structure"
    """Shell built-ins and tests: nothing of their own."""
    NO_EFFECT = "no-effect"
    """No effect in a fresh image."""
    SPEED = "speed"
    """Only a cache is missing; programs work without it."""
    NOT_COVERED = "not-covered"
    """Something an installed Debian system has is missing."""


_TABLE = {
    Verdict.STRUCTURE: """set exit echo printf : true false test [ [[ return shift cd read trap break continue unset umask wait
        getopts export . source basename dirname cat grep sed cut head tail sort uniq tr wc expr id uname which type readlink
        find stat cmp diff md5sum sha256sum mktemp seq tty""",
    Verdict.NO_EFFECT: """dpkg-maintscript-helper dpkg-trigger dpkg dpkg-query systemctl deb-systemd-helper deb-systemd-invoke
        update-rc.d invoke-rc.d service systemd-tmpfiles start-stop-daemon rm rmdir kill killall py3clean pyclean
        db_stop db_input db_go db_title db_version db_beginblock db_endblock db_subst db_purge db_fset db_unregister
        db_settitle db_capb /usr/share/debconf/confmodule ucf ucfr telinit""",
    Verdict.SPEED: """ldconfig py3compile pycompile install-info update-mime-database update-desktop-database fc-cache
        gtk-update-icon-cache update-icon-caches mandb glib-compile-schemas""",
}
_VERDICTS = {word: verdict for verdict, words in _TABLE.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class ScriptCommand:
    """A command of a script and what leaving it out means."""

    command: str
    verdict: str
    """Value of `Verdict`."""


@dataclass(frozen=True, slots=True)
class ScriptReport:
    """One maintainer script that was not carried over."""

    name: str
    sha256: str
    """Of the script's text."""
    commands: tuple[ScriptCommand, ...]
    """By name; empty for scripts that run at removal only."""

    def not_covered(self) -> tuple[str, ...]:
        return tuple(item.command for item in self.commands if item.verdict == Verdict.NOT_COVERED.value)


def report_scripts(control: DebControl) -> tuple[ScriptReport, ...]:
    """A report for each maintainer script of a package, by name."""
    reports: list[ScriptReport] = []
    for file in control.files:
        if file.name in INSTALL_SCRIPTS:
            commands = tuple(ScriptCommand(word, judge(word).value) for word in _commands(file.content))
        elif file.name in OTHER_SCRIPTS:
            commands = ()
        else:
            continue
        reports.append(ScriptReport(file.name, hashlib.sha256(file.content).hexdigest(), commands))
    return tuple(reports)


def judge(command: str) -> Verdict:
    """The verdict on one command word; unknown words are not covered."""
    return _VERDICTS.get(command) or _VERDICTS.get(command.rpartition("/")[2]) or Verdict.NOT_COVERED


def _commands(content: bytes) -> tuple[str, ...]:
    first = content.split(b"\n", 1)[0]
    if b"sh" not in first:
        # Not a shell script: one command that stands for the whole.
        return (decode(first).removeprefix("#!").strip() or "binary",)
    return shell_commands(decode(content))
