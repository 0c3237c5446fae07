"""What scripts of packages come to: replaced as a whole, harmless, or told of with the line that stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.memory_tree import MemoryTree, Shipped
from apkiln.image.scripts.effects import ScriptReport, State
from apkiln.image.scripts.replacing import replace_scripts, script_notices
from apkiln.rootfs.package_files import PackageFiles

PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"
GROUP = b"root:x:0:root\nnogroup:x:65533:\n"
FILES = {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/shadow": b"root:*::0:::::\n", "bin/busybox": b"elf", "bin/tool": b"t"}


def shipped(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> MemoryTree:
    folders = {"/".join(path.split("/")[:depth]) for path in (*files, *(links or {})) for depth in range(1, path.count("/") + 1)}
    items = [Shipped(Entry(path, EntryType.DIRECTORY, 0o755)) for path in folders]
    items += [Shipped(Entry(path, EntryType.FILE, 0o755, size=len(data)), content=data) for path, data in files.items()]
    items += [Shipped(Entry(path, EntryType.SYMLINK, 0o777, target=target)) for path, target in (links or {}).items()]
    return MemoryTree(items)


def draft_of(files: Mapping[str, bytes] = FILES) -> Draft:
    return Draft(shipped(files))


def package(name: str, scripts: Mapping[str, str], triggers: Sequence[str] = ()) -> PackageFiles:
    texts = tuple((kind, text.encode()) for kind, text in scripts.items())
    info = PackageInfo(name, "1.0-r0", "x86_64", triggers=tuple(triggers))
    return PackageFiles.of(PackageContents(info, bytes(20), bytes(32), 0, (), texts, (), ()))


def run(text: str, draft: Draft | None = None, kind: str = "post-install", mode: str = "") -> tuple[ScriptReport, Draft]:
    found = draft or draft_of()
    (report,) = replace_scripts(found, [package("p", {kind: f"#!/bin/sh\n{text}"})], mode)
    return report, found


def account_lines(draft: Draft, table: str = "passwd") -> list[str]:
    return draft.read(f"etc/{table}").decode().splitlines()


# --- users and groups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "users", "groups"),
    [
        ("addgroup -S web", [], ["web:x:100:"]),
        ("addgroup -g 82 -S www-data 2>/dev/null\nexit 0", [], ["www-data:x:82:"]),
        (
            "addgroup -S web\nadduser -S -D -H -h /var/www -s /sbin/nologin -G web -g web web\nexit 0",
            ["web:x:100:100:web:/var/www:/sbin/nologin"],
            ["web:x:100:"],
        ),
        ("adduser -S lone", ["lone:x:100:65533:Linux User,,,:/home/lone:/bin/false"], []),
        ("adduser -D -u 1234 human", ["human:x:1234:1234:Linux User,,,:/home/human:/bin/sh"], ["human:x:1234:"]),
        (
            "adduser --system --home=/srv/x --shell /bin/false --ingroup nogroup x",
            ["x:x:100:65533:Linux User,,,:/srv/x:/bin/false"],
            [],
        ),
        ("groupadd -r daemon\nuseradd -r -g daemon -d / -s /sbin/nologin -c D daemon", ["daemon:x:999:999:D:/:/sbin/nologin"],
         ["daemon:x:999:"]),
        ("addgroup root nogroup", [], []),
    ],
)  # fmt: skip
def test_accounts_are_made_as_the_programs_make_them(text: str, users: list[str], groups: list[str]) -> None:
    report, draft = run(text, kind="pre-install")
    assert report.state is State.REPLACED, report
    assert account_lines(draft)[1:] == users
    assert [line for line in account_lines(draft, "group") if not line.startswith(("root:", "nogroup:"))] == groups
    assert len(account_lines(draft, "shadow")) == 1 + len(users)


def test_membership_is_added_once() -> None:
    _, draft = run("addgroup root nogroup\naddgroup root nogroup")
    assert "nogroup:x:65533:root" in account_lines(draft, "group")


@pytest.mark.parametrize(
    "guard",
    [
        "getent passwd web >/dev/null || {}",
        "if ! id -u web >/dev/null 2>&1; then {}; fi",
        'if ! grep -q "^web:" /etc/passwd; then {}; fi',
        "getent passwd web && exit 0\n{}",
        "{} || true",
        "{} 2>/dev/null\nexit 0",
    ],
)
def test_questions_about_accounts_are_answered(guard: str) -> None:
    """Twice: the second package finds the user of the first."""
    draft = draft_of()
    text = "#!/bin/sh\n" + guard.format("adduser -S -D -H web") + "\n"
    reports = replace_scripts(draft, [package("a", {"pre-install": text}), package("b", {"pre-install": text})], "")
    assert [report.state for report in reports] == [State.REPLACED, State.HARMLESS]
    assert len(account_lines(draft)) == 2


def test_numbers_follow_the_order_of_packages_alone() -> None:
    scripts = [package(name, {"pre-install": f"#!/bin/sh\naddgroup -S {name}\nadduser -S -G {name} {name}\n"}) for name in "abc"]
    first, second = draft_of(), draft_of()
    replace_scripts(first, scripts, "")
    replace_scripts(second, scripts, "")
    assert account_lines(first) == account_lines(second)
    assert [line.split(":")[2] for line in account_lines(first)[1:]] == ["100", "101", "102"]


@pytest.mark.parametrize(
    "text", ["adduser -S 'a:b'", "addgroup -g 0 other", "adduser -u 0 -D toor", "adduser -G none -S x", "addgroup a none"]
)
def test_impossible_accounts_are_not_covered_and_change_nothing(text: str) -> None:
    report, draft = run(f"addgroup -S before\n{text}")
    assert (report.state, report.line) == (State.NOT_COVERED, 3)
    assert account_lines(draft, "group") == GROUP.decode().splitlines()
    assert not draft.nodes


def test_sysusers_are_made_when_a_script_asks() -> None:
    declared = b'# c\ng extra 77\nu web - "Web server" /srv/web\nu fixed 50:root "F" - /bin/sh\nm web extra\n'
    draft = draft_of(FILES | {"usr/lib/sysusers.d/web.conf": declared})
    report, draft = run("systemd-sysusers web.conf", draft)
    assert report.state is State.REPLACED, report
    assert account_lines(draft)[1:] == ["web:x:999:999:Web server:/srv/web:/usr/sbin/nologin", "fixed:x:50:0:F:/:/bin/sh"]
    assert {"extra:x:77:web", "web:x:999:"} <= set(account_lines(draft, "group"))


# --- trees ---------------------------------------------------------------------------------------------------------------


def test_directories_owners_modes_and_links() -> None:
    text = """
dir=/var/lib/app
addgroup -S app && adduser -S -G app app
mkdir -p $dir/data "${dir}/log"
chown -R app:app $dir
chmod 2750 $dir/log
install -d -m 0700 -o app -g root /srv/app
ln -sf /bin/tool /usr/bin/other
"""
    report, draft = run(text)
    assert report.state is State.REPLACED, report
    found = {path: draft.entry(path) for path in ("var/lib/app/data", "var/lib/app/log", "srv/app", "usr/bin/other")}
    described = {path: (entry.mode, entry.uid, entry.gid, entry.target) for path, entry in found.items() if entry}
    assert described == {
        "var/lib/app/data": (0o755, 100, 100, ""),
        "var/lib/app/log": (0o2750, 100, 100, ""),
        "srv/app": (0o700, 100, 0, ""),
        "usr/bin/other": (0o777, 0, 0, "/bin/tool"),
    }
    assert {node.rule for path, node in draft.nodes.items() if path.startswith(("var", "srv", "usr"))} == {"package-scripts"}


def test_a_new_owner_takes_setuid_away_as_the_kernel_does() -> None:
    _, draft = run("chmod 4755 /bin/tool\nchown 5:6 /bin/tool")
    entry = draft.entry("bin/tool")
    assert entry is not None
    assert (entry.mode, entry.uid, entry.gid) == (0o755, 5, 6)


def test_temporary_files_are_made_but_for_volatile_places() -> None:
    lines = b"d /var/lib/x 0750 root 7 -\nd /run/x 0755 - - -\nL /etc/x - - - - ../bin/tool\nf /etc/y 0600 - - - text\nr /etc/z\n"
    draft = draft_of(FILES | {"usr/lib/tmpfiles.d/x.conf": lines})
    report, draft = run("systemd-tmpfiles --create x.conf", draft)
    assert report.state is State.REPLACED, report
    folder = draft.entry("var/lib/x")
    assert folder is not None and (folder.mode, folder.gid) == (0o750, 7)
    assert draft.read("etc/y") == b"text"
    assert draft.entry("run/x") is None


def test_presets_decide_which_units_are_enabled() -> None:
    unit = b"[Unit]\nWantedBy=no\n[Install]\nWantedBy=multi-user.target\nAlias=other.service\n"
    files = {
        "usr/lib/systemd/system/on.service": unit,
        "usr/lib/systemd/system/off.service": unit,
        "usr/lib/systemd/system-preset/90.preset": b"disable off.*\nenable *\n",
    }
    report, draft = run("systemctl preset on.service off || :\nsystemctl daemon-reload", draft_of(FILES | files))
    assert report.state is State.REPLACED, report
    links = sorted(path for path, node in draft.nodes.items() if node.entry.type is EntryType.SYMLINK)
    assert links == ["etc/systemd/system/multi-user.target.wants/on.service", "etc/systemd/system/other.service"]


def test_the_certificate_bundle_is_made_of_listed_and_local_ones() -> None:
    files = {
        "etc/ca-certificates.conf": b"# c\nm/a.crt\n!m/b.crt\n",
        "usr/share/ca-certificates/m/a.crt": b"A\n",
        "usr/share/ca-certificates/m/b.crt": b"B\n",
        "usr/local/share/ca-certificates/own.crt": b"OWN",
    }
    _, draft = run("update-ca-certificates", draft_of(FILES | files))
    assert draft.read("etc/ssl/certs/ca-certificates.crt") == b"A\nOWN\n"
    _, draft = run("update-ca-certificates", draft_of(FILES | files | {"etc/ssl/certs/ca-certificates.crt": b"A\nZ"}))
    assert draft.read("etc/ssl/certs/ca-certificates.crt") == b"A\nZ\nOWN\n"


# --- what is understood and what is not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "exit 0",
        "echo done",
        "echo done >&2\nprintf '%s' \"$1\"",
        "set -e\ntrue",
        "rc-service app restart || true",
        "if [ -d /nowhere ]; then rm -rf /nowhere; fi",
        "[ -x /usr/bin/nothing ] && /usr/bin/nothing\nexit 0",
        "if command -v missing >/dev/null 2>&1; then missing; fi",
        'if [ "$1" = 0.9-r0 ]; then rm -rf /old; fi',
        "ldconfig",
        "for x in; do rm -rf /; done",
        "cat <<EOF\nhello\nEOF",
        "case $1 in 2.*) rm -rf /;; *) echo fine;; esac",
        "f() { rm -rf /; }\ntrue",
        "while read x; do echo $x; done </etc/passwd",
        "exit 0\nrm -rf /",
        'if [ -n "$(cat /x)" ]; then echo a; else echo b; fi',
        "/sbin/depmod 1.2",
        "return",
        "f() { return; rm /x; }\nf",
        '(x=bad; exit 1)\n[ -z "$x" ] || rm /x',
        'set -e -u\nshift\n[ -z "$1" ] || rm /x',
    ],
)
def test_harmless(text: str) -> None:
    report, draft = run(text)
    assert report.state is State.HARMLESS, report
    assert not draft.nodes


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rm -rf /etc/x", 2),
        ("true\n/usr/lib/app/setup", 3),
        ("echo x > /etc/x", 2),
        ('if [ -n "$(cat /x)" ]; then\nadduser -S x\nfi', 3),
        ('[ -n "$(cat /x)" ] && exit 0\nadduser -S x', 3),
        ("for x in $(ls /etc); do\nadduser -S $x\ndone", 3),
        ("$1 x", 2),
        ("echo a | tee /etc/x", 2),
        ("x=$(adduser -S y)", 2),
        ("chmod g+s /bin/tool", 2),
        ("chown nobody /bin/tool", 2),
        ("mkdir relative", 2),
        ("mkdir -p /a/../b", 2),
        ("sed -i s/a/b/ /etc/passwd", 2),
        ("find / -delete", 2),
        ("glib-compile-schemas /usr/share/glib-2.0/schemas", 2),
        ("if", 2),
        ("systemctl enable absent.service", 2),
        ("(adduser -S x; rm /y)", 2),
        ("cd /tmp && touch x", 2),
        ("umask 077\nmkdir /x", 2),
        ("set -- a b", 2),
        ("trap 'rm /x' EXIT", 2),
        ("eval adduser -S x", 2),
        (". /etc/x", 2),
    ],
)
def test_not_covered_with_its_line(text: str, line: int) -> None:
    report, draft = run(text)
    assert report.state is State.NOT_COVERED
    assert report.line == line or text == "if"
    assert report.why
    assert not draft.nodes, "nothing of it counts"


def test_other_interpreters_are_not_read() -> None:
    for text in (b"#!/usr/bin/python3\nimport os\n", b"\x7fELF", b"echo no shebang\n", b"#!/bin/sh\n\xff\n"):
        item = PackageFiles.of(
            PackageContents(PackageInfo("p", "1", "x86_64"), bytes(20), bytes(32), 0, (), (("pre-install", text),), (), ())
        )
        (report,) = replace_scripts(draft_of(), [item], "")
        assert report.state is State.NOT_COVERED


def test_what_an_installation_would_not_run_is_not_told_of() -> None:
    scripts = dict.fromkeys(("pre-upgrade", "post-upgrade", "pre-deinstall", "post-deinstall"), "#!/bin/sh\nrm -rf /\n")
    assert replace_scripts(draft_of(), [package("p", scripts)], "fail") == ()


def test_triggers_are_given_the_directories_of_the_image_that_match() -> None:
    text = '#!/bin/sh\nfor i in "$@"; do case "$i" in */modules) depmod;; *) run=yes;; esac; done\n'
    text += 'if [ -n "$run" ]; then [ -e /bin/busybox ] && /bin/busybox --install -s; fi\n'
    busybox = package("busybox", {"trigger": text}, ["/bin", "/usr/bin", "/lib/modules/*"])
    (report,) = replace_scripts(draft_of(), [busybox], "")
    assert report.state is State.REPLACED
    (report,) = replace_scripts(draft_of({"etc/passwd": PASSWD}), [busybox], "")
    assert (report.state, report.why) == (State.HARMLESS, "no directory of the image triggers it")
    with_modules = FILES | {"usr/lib/modules/1/x": b"", "lib/modules/x": b""}
    (report,) = replace_scripts(draft_of(with_modules), [package("k", {"trigger": "#!/bin/sh\ndepmod\n"}, ["/lib/*"])], "")
    assert report.state is State.NOT_COVERED


def test_modes() -> None:
    bad = [package("p", {"post-install": "#!/bin/sh\nrm /x\n"}), package("q", {"post-install": "#!/bin/sh\nrm /y\n"})]
    reports = replace_scripts(draft_of(), bad, "report")
    (first, _) = script_notices(reports)
    assert first == "the post-install script of p-1.0-r0 is not covered: nothing replaces `rm` (line 2)"
    assert replace_scripts(draft_of(), bad, "ignore") == ()
    with pytest.raises(ApkilnError) as caught:
        replace_scripts(draft_of(), bad, "fail")
    assert isinstance(caught.value, FaultGroup)
    assert [(fault.reason, fault.origin.package, fault.origin.line) for fault in caught.value.faults] == [
        ("install-script", "p-1.0-r0", 2), ("install-script", "q-1.0-r0", 2),
    ]  # fmt: skip
    good = [package("p", {"post-install": "#!/bin/sh\nadduser -S x\n"})]
    assert [report.state for report in replace_scripts(draft_of(), good, "fail")] == [State.REPLACED]


def test_ignoring_changes_nothing() -> None:
    draft = draft_of()
    assert replace_scripts(draft, [package("p", {"pre-install": "#!/bin/sh\nadduser -S x\n"})], "ignore") == ()
    assert not draft.nodes


COMMANDS = st.sampled_from(
    [
        "adduser -S a",
        "addgroup -S b",
        "rm /x",
        "exit 0",
        "[ -e /bin/tool ]",
        "[ -e $(x) ]",
        "true",
        "false",
        "echo $1",
        "mkdir -p /q",
    ]
)
JOINED = st.recursive(
    COMMANDS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||", ";", "|", "\n"]), inner).map(" ".join),
        inner.map("if {}; then true; fi".format) if False else inner.map(lambda text: f"if {text}; then echo; fi"),
        inner.map(lambda text: f"{{ {text}; }}"),
        inner.map(lambda text: f"! {text}" if "\n" not in text and not text.startswith("!") else text),
        inner.map(lambda text: f"for i in a b; do {text}; done"),
    ),
    max_leaves=6,
)


@given(JOINED)
@settings(max_examples=300)
def test_a_script_counts_whole_or_not_at_all(text: str) -> None:
    report, draft = run(text)
    if report.state is not State.REPLACED:
        assert not draft.nodes
    again, other = run(text)
    assert again == report
    assert dict(other.nodes) == dict(draft.nodes)


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_no_text_breaks_the_reader(text: str) -> None:
    report, _ = run(text)
    assert report.kind == "post-install"
