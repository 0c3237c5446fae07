"""Maintainer scripts on paper: what becomes a step, what has no effect, and what is refused with its line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.debian.maintainer.steps import VERBS, Step, parse_step
from apkiln.debian.maintainer.translating import ScriptOverride, Translation

Translate = Callable[..., Translation]

ENABLE = """
deb-systemd-helper unmask t.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled t.service; then
    deb-systemd-helper enable t.service >/dev/null || true
else
    deb-systemd-helper update-state t.service >/dev/null || true
fi"""

STEPS = [
    # Files and directories.
    ("mkdir -p /var/lib/tool", ["directory var/lib/tool 755"]),
    ("mkdir -m 700 /var/lib/tool /var/cache/tool", ["directory var/lib/tool 700", "directory var/cache/tool 700"]),
    ("[ -d /etc/tool ] || mkdir /etc/tool", []),
    ("install -d -m 2775 -o www-data -g adm /run/tool", ["directory run/tool 2775", "owner run/tool www-data adm"]),
    ("umask 077; touch /etc/tool/secret", ["file etc/tool/secret 600 ''"]),
    ("touch /etc/tool/tool.conf", []),
    ("chmod 0640 /etc/tool/tool.conf", ["mode etc/tool/tool.conf 0640"]),
    ("chmod u+s,g-r /bin/tool; chmod a+x,o= /bin/tool", ["mode usr/bin/tool 4604", "mode usr/bin/tool 4710"]),
    ("install --mode 600 /dev/null /etc/x", ["file etc/x 600 ''"]),
    ("if command -v setcap >/dev/null; then if setcap cap_chown+ep /bin/tool; then chmod u-s /bin/tool; fi; fi",
     ["capability usr/bin/tool cap_chown+ep", "mode usr/bin/tool 644"]),
    ("p=$(dpkg-divert --truename /bin/tool); chmod 700 $p", ["mode usr/bin/tool 700"]),
    ("[ ! -e /bin/x.tool ] || update-alternatives --install /bin/x x /bin/x.tool 5", ["alternative /bin/x x /bin/x.tool 5"]),
    ("chown root:adm /var/log/tool", ["owner var/log/tool root adm"]),
    ("chown -R www-data /var/log/tool", ["owners var/log/tool www-data ''"]),
    ("chown www-data: /var/log/tool", ["owner var/log/tool www-data www-data"]),
    ("chgrp adm /bin/tool", ["owner usr/bin/tool '' adm"]),
    ("ln -sf /bin/tool /usr/local/bin/t", ["link usr/local/bin/t /bin/tool"]),
    ("ln -s ../tool /etc/tool", ["link etc/tool/tool ../tool"]),
    ("cp -p /usr/share/tool/default /etc/default/tool", ["copy usr/share/tool/default etc/default/tool"]),
    ("cp /usr/share/tool/default /etc/x", ["copy usr/share/tool/default etc/x", "mode etc/x 644"]),
    ("mv /usr/share/tool/default /etc/x", ["move usr/share/tool/default etc/x"]),
    ("rm -f /etc/tool/tool.conf /etc/older", ["remove etc/tool/tool.conf"]),
    ("rm -f /usr/share/tool/*.hook", ["remove usr/share/tool/a.hook", "remove usr/share/tool/b.hook"]),
    ("cat > /etc/x <<EOF\nhome $1\nEOF", ["file etc/x 644 'home configure\\n'"]),
    ("cat > /etc/x <<'EOF'\nhome $1\nEOF", ["file etc/x 644 'home $1\\n'"]),
    ("echo a >> /etc/tool/tool.conf", ["file etc/tool/tool.conf 644 'a=1\\na\\n'"]),
    ("echo -n a > /etc/x; echo b >> /etc/x", ["file etc/x 644 a", "file etc/x 644 'ab\\n'"]),
    (": > /var/log/t", ["file var/log/t 644 ''"]),
    ("printf '%s=%s\\n' a b > /etc/x", ["file etc/x 644 'a=b\\n'"]),
    ("ucf /usr/share/tool/default /etc/default/tool", ["copy usr/share/tool/default etc/default/tool"]),
    ("setcap cap_net_raw+ep /bin/tool", ["capability usr/bin/tool cap_net_raw+ep"]),
    # Accounts.
    ("adduser --system --group --home /var/lib/t --no-create-home --gecos 'A tool' t",
     ["group t", "user t '' t /var/lib/t /usr/sbin/nologin 'A tool'"]),
    ("adduser --quiet --system t", ["user t '' nogroup /nonexistent /usr/sbin/nologin ''"]),
    ("addgroup --system t; adduser t t", ["group t", "member t t"]),
    ("groupadd -g 42 shadow; groupadd -r -f t", ["group t"]),
    ("useradd -r -g www-data -d /srv/t -s /bin/false t", ["user t '' www-data /srv/t /bin/false ''"]),
    ("usermod -a -G adm,video www-data", ["member www-data adm", "member www-data video"]),
    ("if ! getent group t >/dev/null; then addgroup --system t; fi", ["group t"]),
    ("getent passwd www-data >/dev/null || adduser --system www-data", []),
    ("if ! getent group shadow | grep -q '^shadow:[^:]*:42'; then groupadd -g 42 shadow; fi", []),
    ("dpkg-statoverride --list /etc/tool >/dev/null || dpkg-statoverride --update --add root adm 750 /etc/tool",
     ["owner etc/tool root adm", "mode etc/tool 750"]),
    # Alternatives, services, certificates, diversions.
    ("update-alternatives --quiet --install /usr/bin/t t /usr/bin/tool 50 --slave /usr/share/man/t.1 t.1 /usr/share/man/tool.1",
     ["alternative /usr/bin/t t /usr/bin/tool 50 /usr/share/man/t.1 t.1 /usr/share/man/tool.1"]),
    ("update-alternatives --remove t /usr/bin/tool", []),
    (ENABLE, ["service t.service system"]),
    ("deb-systemd-helper --user enable t.socket", ["service t.socket user"]),
    ("update-ca-certificates --fresh", ["certificates"]),
    ("dpkg-divert --package tool --rename --divert /bin/x.real --add /bin/x", ["divert usr/bin/x usr/bin/x.real"]),
    # No effect.
    ("ldconfig; py3compile -p tool; update-rc.d tool defaults; invoke-rc.d tool start || exit 1; dpkg-trigger x", []),
    ("dpkg-maintscript-helper rm_conffile /etc/x 1 -- \"$@\"", []),
    ("if [ -x /etc/init.d/tool ]; then update-rc.d tool defaults; fi", []),
    ("if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi", []),
    ("grep -q x /etc/passwd; x=$(sed s/a/b/ /etc/fstab)", []),
    # Conditions and control.
    ("case \"$1\" in\nconfigure) mkdir /etc/a;;\nabort*) mkdir /etc/b;;\n*) exit 1;;\nesac", ["directory etc/a 755"]),
    ("if [ -z \"$2\" ] && [ ! -e /etc/a ]; then mkdir /etc/a; fi", ["directory etc/a 755"]),
    ("if [ -n \"$2\" ] || dpkg --compare-versions \"$2\" lt-nl 3; then mkdir /etc/a; fi", []),
    ("if dpkg --compare-versions \"$2\" lt 3; then mkdir /etc/a; fi", ["directory etc/a 755"]),
    ("f() { mkdir \"$1\"; }\nfor d in /etc/a /etc/b; do f $d; done", ["directory etc/a 755", "directory etc/b 755"]),
    ("f() { [ \"$1\" = a ] || return 0; mkdir /etc/a; }\nf b; f a", ["directory etc/a 755"]),
    ("for f in /usr/share/tool/*.hook; do cp -p $f /etc/; done",
     ["copy usr/share/tool/a.hook etc/a.hook", "copy usr/share/tool/b.hook etc/b.hook"]),
    ("d=/etc/${DPKG_MAINTSCRIPT_PACKAGE%ol}; mkdir $d", ["directory etc/to 755"]),
    ("x=a.b.c; mkdir /etc/${x%%.*} /etc/${x#*.} /etc/${x##*.}",
     ["directory etc/a 755", "directory etc/b.c 755", "directory etc/c 755"]),
    ("a=`dpkg --print-architecture`; b=$(basename /x/y.z .z); mkdir /etc/$a-$b", ["directory etc/amd64-y 755"]),
    ("set -- a b; shift; mkdir /etc/$1", ["directory etc/b 755"]),
    ("exit 0\nmkdir /etc/a", []),
    ("( exit 1 )\nmkdir /etc/a", ["directory etc/a 755"]),
    ("while false; do x; done; until true; do y; done", []),
    ("x=0; while [ $x = 0 ]; do x=1; mkdir /etc/a; done", ["directory etc/a 755"]),
    ("for i in 1 2 3; do [ $i = 2 ] && break; mkdir /etc/$i; done", ["directory etc/1 755"]),
    ("for i in 1 2; do [ $i = 1 ] && continue; mkdir /etc/$i; done", ["directory etc/2 755"]),
    # A condition that is not known: harmless either way, or one way fails.
    ("if grep -q x /usr/share/other; then echo yes; fi", []),
    ("[ ! -e /usr/share/other ] || . /usr/share/debconf/confmodule", []),
    ("if [ -e /usr/lib/other ]; then exit 1; fi\nmkdir /etc/a", ["directory etc/a 755"]),
    ("x=a; if [ -e /usr/lib/other ]; then x=b; fi; [ $x = c ] && mkdir /etc/a; mkdir /etc/b", ["directory etc/b 755"]),
    ("if ls /usr/lib/o; then f=cat; else f='grep -v x'; fi; echo a | $f", []),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), STEPS)
def test_what_becomes_a_step(translate: Translate, script: str, expected: list[str]) -> None:
    result = translate(f"set -e\n{script}\n")
    assert result.reports[0].untranslated == ()
    assert [str(step) for step in result.steps] == expected
    assert result.reports[0].treatment == "translated"


REFUSED = [
    ("true\nmystery --now", 3),
    ("/usr/bin/tool --init", 2),
    ("perl -e 'unlink 1'", 2),
    (". /usr/share/tool/default", 2),
    ("sed -i s/a/b/ /etc/tool/tool.conf", 2),
    ("find /etc/tool -exec rm {} +", 2),
    ("sed s/a/b/ /etc/tool/tool.conf > /etc/x", 2),
    ("chmod 600 $(mktemp)", 2),
    ("chmod g=u /bin/tool", 2),
    ("chmod -R 600 /etc/tool", 2),
    ("chmod 600 /usr/share/other/file", 2),
    ("cp -r /usr/share/tool /etc", 2),
    ("cp /usr/share/other/x /etc/x", 2),
    ("mkdir relative", 2),
    ("rm -rf $UNSET/$(foo)", 2),
    ("update-alternatives --set t /usr/bin/tool", 2),
    ("if grep -q x /etc/passwd; then\n mkdir /etc/a\nfi", 2),
    ("grep -q x /etc/passwd && mkdir /etc/a", 2),
    ("[ -e /usr/lib/other ] || exit 0\nmkdir /etc/a", 3),
    ("while read l; do mkdir /etc/$l; done < /etc/fstab", 2),
    ("for f in /usr/share/*/x; do cp -p $f /etc/y; done", 2),
    ("x=$(mystery)", 2),
    ("$(mystery)", 2),
    ("if [ -e /usr/lib/other ]; then x=/etc/a; else x=/etc/b; fi\nmkdir $x", 3),
    ("dpkg --configure -a", 2),
    ("adduser person", 2),
    ("exit 1", 1),
    ("while true; do :; done", 2),
    ("f() { f; }; f", 2),
    ("[[ -e /x ]]", 2),
    ("mkdir /etc/a &", 2),
    ("if true; then", 3),
    ("f 2>/etc/x", 2),
    ("if [ -e /usr/lib/other ]; then f() { mkdir /etc/a; }; else f() { mkdir /etc/b; }; fi\nf", 3),
    ("db_get tool/unknown\nif [ \"$RET\" = yes ]; then mkdir /etc/a; fi", 3),
    ("setcap $(cat /x) /bin/tool", 2),
    ("su -c 'mkdir /x' www-data", 2),
]  # fmt: skip


@pytest.mark.parametrize(("script", "line"), REFUSED)
def test_what_is_not_covered_is_named_with_its_line(translate: Translate, script: str, line: int) -> None:
    (report,) = translate(f"{script}\n").reports
    assert report.treatment == "untranslated"
    lines = [item.line for item in report.untranslated]
    assert (line in lines) if line > 1 else lines
    assert all(item.why for item in report.untranslated)


@pytest.mark.parametrize("shebang", ["#!/usr/bin/perl\n", "#!/usr/bin/python3\n", "\x7fELF", ""])
def test_other_languages_are_not_covered(translate: Translate, shebang: str) -> None:
    (report,) = translate("x", shebang=shebang).reports
    assert [item.line for item in report.untranslated] == [1]


def test_both_scripts_share_one_scene(translate: Translate) -> None:
    result = translate("[ -e /etc/a ] && mkdir /etc/b", preinst='[ "$1" = install ] && mkdir /etc/a')
    assert [str(step) for step in result.steps] == ["directory etc/a 755", "directory etc/b 755"]


def test_defaults_of_questions(translate: Translate) -> None:
    templates = "Template: tool/mode\nType: select\nDefault: fast\n\nTemplate: tool/none\nType: string\n"
    script = '. /usr/share/debconf/confmodule\ndb_get tool/mode\n[ "$RET" = fast ] && mkdir /etc/a\ntrue'
    assert [str(step) for step in translate(script, templates=templates).steps] == ["directory etc/a 755"]
    unknown = translate(script.replace("mode", "none"), templates=templates)
    assert unknown.reports[0].treatment == "untranslated"


def test_declared_accounts_and_directories(translate: Translate) -> None:
    files = {
        "usr/lib/sysusers.d/t.conf": b'# c\ng grp 150\nu t - "A tool" /var/lib/t\nu v 200:www-data\nm t adm\nu bad "\n',
        "usr/lib/tmpfiles.d/t.conf": b"d /run/t 0750 t grp -\nD /tmp/t\nL /x - - - - /y\nd /var/lib/%m 755\nd /var/lib/u\n",
    }
    result = translate("", files=files)
    assert [str(step) for step in result.steps] == [
        "group grp 150", "group t", "user t '' t /var/lib/t /usr/sbin/nologin 'A tool'",
        "user v 200 www-data / /usr/sbin/nologin ''",
        "member t adm", "directory run/t 750", "owner run/t t grp", "directory var/lib/u 755",
    ]  # fmt: skip


def test_an_override_holds_for_the_text_it_was_made_for(translate: Translate) -> None:
    digest = hashlib.sha256(b"#!/bin/sh\nmystery\n").hexdigest()
    override = ScriptOverride("tool", "postinst", ("0" * 64, digest), "read", (Step("directory", ("etc/a", "755")),))
    overrides = {("tool", "postinst"): override}
    covered = translate("mystery\n", overrides=overrides)
    assert (covered.reports[0].treatment, covered.reports[0].reason) == ("override", "read")
    assert covered.steps == override.steps
    changed = translate("mystery 2\n", overrides=overrides)
    assert changed.reports[0].treatment == "changed" and changed.steps == ()
    assert translate("mkdir /etc/b\n", overrides=overrides).reports[0].treatment == "translated"


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("fly", ()),
        ("mode", ("x",)),
        ("mode", ("x", "rwx")),
        ("directory", ("x", "")),
        ("alternative", ("a", "b", "c", "d")),
        ("alternative", ("a", "b", "c", "1", "x")),
    ],
)
def test_steps_that_are_none(verb: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(FormatError) as caught:
        parse_step(verb, arguments)
    assert caught.value.reason == "step-syntax"
    assert set(VERBS)


WORDS = st.sampled_from(
    ["if", "then", "fi", "[", "]", "-e", "/usr/lib/other", "/etc/a", "mkdir", "true", "false", "||", "&&", ";", "\n", "x=1", "$x",
     "(", ")", "{", "}", "f", "f()", "exit", "return", "0", "1", "|", "grep", "echo", ">", "for", "i", "in", "do", "done", "$i"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=25))
def test_any_script_is_followed_or_refused(words: list[str]) -> None:
    """No script makes the walker fail or hang; following it twice gives the same."""
    from tests.unit.debian.maintainer.conftest import translation

    text = " ".join(words) + "\n"
    assert translation(text) == translation(text)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["mkdir /etc/a", "mystery", "exit 0", "exit 1", "x=1", "true"]), max_size=4), st.booleans())
def test_a_known_condition_is_as_if_the_other_way_were_not_there(body: list[str], value: bool) -> None:
    from tests.unit.debian.maintainer.conftest import translation

    inner = "\n".join(body) or "true"
    guarded = translation(f"if {'true' if value else 'false'}; then\n{inner}\nfi\n")
    plain = translation(f"\n{inner}\n" if value else "true\n")
    assert guarded.steps == plain.steps
    assert [item.text for item in guarded.reports[0].untranslated] == [item.text for item in plain.reports[0].untranslated]
