"""Small definitions whose builds show one rule of analysis, checks or packing each (spec package.md §10, §13, §14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HEAD = """package:
  name: NAME
  version: 1.2.3
  epoch: 0
  description: x
  copyright: [{license: MIT}]
environment:
  contents:
    packages: [busybox]
"""
OUT = "${{targets.destdir}}"
LENIENT = ("--lint-require", "varempty")
_CHECKS = (
    "binaryarch,cudaruntimelib,dev,dll,documentation,duplicate,dylib,empty,infodir,lddcheck,libtool/la-files,maninfo,nonlinux,"
    "object,opt,pkgconf,python/docs,python/multiple,python/test,sbom,setuidgid,srv,staticarchive,strip,tempdir,unsupportedarch,"
    "usrlocal,usrmerge,worldwrite"
)
ALL_CHECKS = (*LENIENT, "--lint-warn", _CHECKS)


@dataclass(frozen=True)
class BuildCase:
    """One definition and what lies in its source directory."""

    name: str
    script: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    flags: tuple[str, ...] = ALL_CHECKS
    package: str = ""
    """Lines of `package` beside the usual ones."""
    after: str = ""
    """What follows the first step."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        head = HEAD.replace("NAME", self.name)
        if self.package:
            key = self.package.partition(":")[0]
            kept = "".join(line for line in head.splitlines(keepends=True) if not line.startswith(f"  {key}:"))
            head = kept.replace("environment:\n", f"  {self.package}\nenvironment:\n", 1)
        return head + "pipeline:\n  - runs: |\n" + "".join(f"      {line}\n" for line in self.script.splitlines()) + self.after


def made(*paths: str) -> str:
    """A script that makes files; `PATH/` is a directory, `PATH->TARGET` a link, `*MODE PATH` a file with a mode."""
    lines = []
    for path in paths:
        mode, _, rest = path[1:].partition(" ") if path.startswith("*") else ("", "", path)
        name, arrow, target = rest.partition("->")
        if rest.endswith("/"):
            lines.append(f'mkdir -p "{OUT}/{rest}"')
            continue
        lines.append(f'mkdir -p "$(dirname "{OUT}/{name}")"')
        lines.append(f'ln -s "{target}" "{OUT}/{name}"' if arrow else f'echo x > "{OUT}/{name}"')
        if mode:
            lines.append(f'chmod {mode} "{OUT}/{name}"')
    return "\n".join(lines)


_FIRST_LINES = (
    "/bin/bash",
    "/usr/bin/env bash",
    " /usr/bin/env -S perl -w",
    "/usr/bin/env python3",
    "/usr/bin/python3.12",
    "/usr/bin/awk -f",
    "lua",
    "/usr/bin/env",
    "",
    "/usr/bin/perl\t-w",
    "/usr/bin/env   tclsh",
    "/opt/x y",
    "/bin/sh -e",
    "/usr/bin/env bash -x",
    "/usr/bin/luajit",
    "/bin/dash\r",
    "/" + "a/" * 45 + "x",
)
_SCRIPTS = {f"s{number}": f"#!{line}\necho\n".encode() for number, line in enumerate(_FIRST_LINES)}
_MODULES = {
    "a.pc": b"prefix=/usr\nName: a\nVersion: 3.4\nDescription: d\nRequires: b >= 1.0, c\nRequires.private: d e > 2\n"
    b"Requires.internal: f\nLibs: -L${prefix}/lib -la\n",
    "b.pc": b"Name: b\n",
    "c.pc": b"Name: c\nVersion: 1\nConflicts: z < 1\nRequires:\nProvides: q = 3\nRequires.private: q1 q2,q3\n",
}
_PYTHON = "usr/lib/python3.12/site-packages"

CASES: tuple[BuildCase, ...] = (
    BuildCase("one", made("*755 usr/bin/hi", "usr/share/x/data")),
    BuildCase("nothing", ":"),
    BuildCase(
        "commands",
        made(
            "*755 usr/bin/a",
            "*555 usr/sbin/b",
            "*755 bin/c",
            "*755 usr/local/bin/d",
            "*744 usr/bin/e",
            "usr/bin/f",
            "usr/bin/g->a",
            "*755 usr/libexec/h",
            "*755 usr/bin/sub/i",
            "*4755 usr/bin/j",
        ),
    ),
    BuildCase("scripts-bin", f"mkdir -p {OUT}/usr/bin; cp s* {OUT}/usr/bin/; chmod 755 {OUT}/usr/bin/*", _SCRIPTS),
    BuildCase("scripts-deep", f"mkdir -p {OUT}/usr/local/bin/x; cp s* {OUT}/usr/local/bin/x/", _SCRIPTS),
    BuildCase(
        "scripts-elsewhere", f"mkdir -p {OUT}/usr/libexec; cp s* {OUT}/usr/libexec/; chmod 755 {OUT}/usr/libexec/*", _SCRIPTS
    ),
    BuildCase("modules", f"mkdir -p {OUT}/usr/lib/pkgconfig; cp *.pc {OUT}/usr/lib/pkgconfig/", _MODULES),
    BuildCase("modules-share", f"mkdir -p {OUT}/usr/share/pkgconfig; cp *.pc {OUT}/usr/share/pkgconfig/", _MODULES),
    BuildCase("modules-vendored", f"mkdir -p {OUT}/opt/pkgconfig; cp *.pc {OUT}/opt/pkgconfig/", _MODULES),
    BuildCase("python", made(f"{_PYTHON}/foo/__init__.py", f"{_PYTHON}/foo-1.dist-info/METADATA", f"{_PYTHON}/tests/x")),
    BuildCase("python-two", made(f"{_PYTHON}/foo/x", "usr/lib/python3.9/site-packages/bar/x")),
    BuildCase("python-declared", made(f"{_PYTHON}/foo.py"), package="dependencies: {runtime: [python-3.12]}"),
    BuildCase("perl", made("usr/lib/perl5/vendor_perl/X/a.pm")),
    BuildCase("perl-declared", made("usr/lib/perl5/site_perl/a"), package="dependencies: {runtime: [perl]}"),
    BuildCase("ruby", made("usr/lib/ruby/gems/3.2.0/gems/foo-1/x")),
    BuildCase("manual-doc", made("usr/share/man/man1/a.1", "usr/share/info/a.info")),
    BuildCase(
        "manual",
        made(
            "usr/share/man/man1/a.1.gz",
            "usr/man/man3p/b.3pm",
            "usr/local/share/man/man5/c.5",
            "usr/share/man/de/man1/d.1",
            "usr/share/info/e.info-2.xz",
            "usr/share/man/man1/README",
            "opt/share/man/man1/f.1",
        ),
    ),
    BuildCase(
        "relations",
        f"echo > {OUT}/x",
        package="dependencies: {runtime: [b, a, a, 'c>=1', '!d', 'so:x.so.1'],"
        " provides: [p=2, o, 'cmd:q=1'], replaces: [z, y<3], provider-priority: 10, replaces-priority: 5}",
    ),
    BuildCase(
        "self-provided",
        made("*755 usr/bin/x"),
        package="dependencies: {runtime: ['cmd:x', self-provided, p, 'q=1', q], provides: [p=1, 'q=1']}",
    ),
    BuildCase(
        "scriptlets",
        f"echo > {OUT}/x",
        package='scriptlets: {trigger: {script: "#!/bin/sh\\necho t", paths: [/usr/lib, /c]},'
        ' post-install: "#!/bin/sh\\nx\\n", pre-deinstall: "y"}',
    ),
    BuildCase("licences", f"echo > {OUT}/x", package='copyright: [{license: "MIT OR Apache-2.0"}, {license: GPL-2.0-only}]'),
    BuildCase(
        "modes",
        f"mkdir -p {OUT}/d1 {OUT}/d2; chmod 700 {OUT}/d1; chmod 511 {OUT}/d2; for m in 000 400 755 4711 2711 1644; do"
        f" echo $m > {OUT}/f$m; chmod $m {OUT}/f$m; done; chmod 1777 {OUT}/d2",
    ),
    BuildCase(
        "owners",
        f"mkdir -p {OUT}/d; echo x > {OUT}/f; chown 1000:1000 {OUT}/f; echo y > {OUT}/g; chown 12:34 {OUT}/g; chown 5:0 {OUT}/d",
    ),
    BuildCase("attributes", f"mkdir -p {OUT}/d; echo x > {OUT}/f; mkx {OUT}/f user.foo bar; mkx {OUT}/d user.dir x"),
    BuildCase(
        "links",
        f"echo x > {OUT}/a; ln {OUT}/a {OUT}/b; mkdir {OUT}/d; ln {OUT}/a {OUT}/d/c; ln -s a {OUT}/s; ln -s /etc/passwd {OUT}/t",
    ),
    BuildCase("long-names", f"mkdir -p {OUT}/{'a' * 120}; echo x > {OUT}/{'a' * 120}/{'b' * 150}; ln -s {'d' * 180} {OUT}/link"),
    BuildCase("unicode", f"mkdir -p {OUT}/ünï; echo x > {OUT}/ünï/日本; ln -s 日本 {OUT}/ünï/l"),
    BuildCase("fifo", f"mkfifo {OUT}/f"),
    BuildCase("description", f"echo > {OUT}/x", package='description: "two\\nlines = x"'),
    BuildCase(
        "capabilities",
        f"echo z > {OUT}/z",
        package='setcap: [{path: /z, add: {cap_net_raw: "+ep", "cap_net_admin,cap_ipc_lock": "+i"}, reason: r}]',
    ),
    BuildCase("dates", f"echo z > {OUT}/z; echo $SOURCE_DATE_EPOCH > {OUT}/e", environment={"SOURCE_DATE_EPOCH": "1600000000"}),
    BuildCase(
        "steps",
        f"echo a > {OUT}/z",
        after="  - working-directory: sub/dir\n    environment: {FOO: bar baz}\n"
        '    runs: "echo $FOO $PWD >> ${{targets.destdir}}/z"\n    pipeline:\n'
        '      - runs: "echo $FOO $PWD >> ${{targets.destdir}}/z"\n'
        "  - assertions: {required-steps: 1}\n    pipeline:\n"
        '      - if: "\'a\' == \'b\'"\n        runs: "false"\n      - runs: "true"\n',
    ),
    BuildCase("shell", f'cat <<EOF > {OUT}/z\n# kept $HOME\nEOF\necho "a  # b" >> {OUT}/z # gone\n[ -n "" ] && echo never'),
    BuildCase("pipe-fails", f"false | true; echo b > {OUT}/z"),
    BuildCase(
        "subpackages",
        made(
            "usr/include/a.h",
            "usr/lib/x.a",
            "usr/share/doc/y",
            "usr/share/man/man1/x.1",
            "usr/bin/x-config",
            "usr/lib/liba.so->liba.so.1",
            "usr/lib/liba.so.1",
            "usr/share/locale/de/x.mo",
        ),
        after="subpackages:\n"
        + "".join(
            f"  - name: subpackages-{one}\n    pipeline: [{{uses: split/{one}}}]\n"
            for one in ("dev", "static", "manpages", "alldocs", "locales")
        ),
    ),
    BuildCase(
        "places",
        made(
            "dev/null",
            "opt/x",
            "srv/y",
            "usr/local/z",
            "tmp/a",
            "run/b",
            "var/run/c",
            "lib/d",
            "usr/sbin/e",
            "usr/share/info/dir",
            "usr/lib/a.la",
            "usr/lib/b.dll",
            "usr/lib/c.dylib",
            "usr/lib/d.a",
            "usr/lib/e.o",
        ),
    ),
    BuildCase("permissions", made("*4755 usr/bin/a", "*2755 usr/bin/b", "*666 usr/share/c", "*777 usr/bin/d", "*6777 usr/bin/e")),
    BuildCase(
        "names",
        made(
            "usr/share/darwin/a",
            "usr/share/win32.txt",
            "usr/share/i386/b",
            "usr/share/foo-s390x.txt",
            "README",
            "usr/share/x.md",
            "usr/share/y.3p",
            "usr/lib/libcuda.so.1",
            "usr/lib/libcuda.sox",
        ),
    ),
    BuildCase(
        "copies",
        f"mkdir -p {OUT}/a {OUT}/b; head -c 9960 /dev/zero > {OUT}/a/x; cp {OUT}/a/x {OUT}/b/x;"
        f" head -c 1023 /dev/zero > {OUT}/a/y; cp {OUT}/a/y {OUT}/b/y;"
        f" for n in LICENSE NOTICE; do cp {OUT}/a/x {OUT}/a/$n; cp {OUT}/a/x {OUT}/b/$n; done",
    ),
    BuildCase("world-refused", made("*666 usr/share/a"), flags=()),
    BuildCase("merged-refused", made("lib/a"), flags=()),
)
