"""What one read of a `.deb` tells about its files: libraries, interpreters, words and paths that the prune proof and the
licence mapping need (spec debian.md §6, §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apkiln.debian.file_tree import FileTree, merged_path
from apkiln.debian.maintainer.translating import NOTHING, Translation
from apkiln.debian.shell_words import quoted_commands, shell_commands
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import resolve_target
from apkiln.formats.deb.copyright import spdx_expression
from apkiln.formats.deb.deb822 import decode
from apkiln.formats.deb.package import DebControl
from apkiln.formats.elf import read_elf

FACTS_VERSION = 3
"""Raise it when facts of the same `.deb` change: cached ones are then not used."""
MAXIMUM_SCRIPT = 4 << 20
"""Bytes of a script that are looked at."""

DOCUMENTATION = (
    "usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/doc-base/",
    "usr/share/bug/", "usr/share/gtk-doc/", "usr/share/help/", "usr/share/bash-completion/", "usr/share/zsh/",
)  # fmt: skip
"""Places whose files are read by people, bug reporters or shells, never by the package's programs."""
SYSTEM_HOOKS = ("etc/init.d/", "etc/cron", "etc/logrotate.d/", "etc/apt/", "etc/kernel/", "usr/share/initramfs-tools/")
"""Files that only a full system's init, cron, log rotation or package manager runs."""

_ABSOLUTE = re.compile(rb"/(?:usr|bin|sbin|lib|lib64|etc|opt)/[A-Za-z0-9_.+/@-]{2,200}")
_SONAME = re.compile(rb"lib[A-Za-z0-9_.+-]{1,80}\.so(?:\.[0-9]+)*")
_SHEBANG = re.compile(rb"#![ \t]*(?P<path>\S+)[ \t]*(?P<argument>\S*)")
_CODE_SUFFIXES = {".py": "python3", ".pl": "perl", ".pm": "perl", ".sh": "sh"}
_CONFIGURATION = re.compile(r"etc/|usr/lib/systemd/|usr/share/applications/|usr/share/dbus-1/|usr/lib/(?:tmpfiles|sysusers)\.d/")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file reaches for."""

    path: str
    """After usr-merge."""
    kind: str
    """`elf`, `script`, `module` (code without a `#!` line), `configuration` or `link`."""
    interpreter: str = ""
    """Absolute path, or a bare name to be looked up in PATH."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    """Words in command position, sorted."""
    paths: tuple[str, ...] = ()
    """Absolute paths in the content, after usr-merge and without the leading slash, sorted."""
    sonames: tuple[str, ...] = ()
    """Library names in the content that are not in `needed`: candidates of `dlopen`, sorted."""


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """Facts of one `.deb`."""

    name: str
    paths: tuple[str, ...]
    """Everything but directories, after usr-merge, sorted."""
    files: tuple[FileFacts, ...]
    """Files with something to tell, by path."""
    licence: str
    """SPDX expression of the copyright file; empty when there is none that can be read."""
    licence_package: str
    """Package whose documentation directory this one's is a link to; empty otherwise."""
    translation: Translation
    """What the maintainer scripts do, as steps, and what became of each script."""
    privileged: tuple[str, ...]
    """Paths with setuid or setgid, or with another owner than root."""


def package_facts(control: DebControl, tree: FileTree, translation: Translation = NOTHING) -> PackageFacts:
    """Read the facts of a package.  Pure; some 10 ms per MB of programs and scripts."""
    name = control.fields.get("Package")
    files = [facts for entry in _leaves(tree) if (facts := _file_facts(entry, tree.contents.get(entry.path))) is not None]
    licence, licence_package = _licence(name, tree)
    return PackageFacts(
        name,
        tuple(sorted(entry.path for entry in _leaves(tree))),
        tuple(sorted(files, key=lambda facts: facts.path)),
        licence,
        licence_package,
        translation,
        tuple(entry.path for entry in tree.entries if _is_privileged(entry)),
    )


def _leaves(tree: FileTree) -> list[Entry]:
    return [entry for entry in tree.entries if entry.type is not EntryType.DIRECTORY]


def _is_privileged(entry: Entry) -> bool:
    return entry.type is EntryType.FILE and bool(entry.mode & 0o6000 or entry.uid or entry.gid)


def _file_facts(entry: Entry, content: bytes | None) -> FileFacts | None:
    path = entry.path
    if path.startswith(DOCUMENTATION) or path.startswith(SYSTEM_HOOKS):
        return None
    if content is None:
        return _link_facts(entry)
    if content.startswith(b"\x7fELF"):
        return _elf_facts(path, content)
    if len(content) > MAXIMUM_SCRIPT:
        return None
    shebang = _SHEBANG.match(content)
    suffix = path[path.rfind(".") :] if "." in path.rpartition("/")[2] else ""
    if shebang is not None:
        return _code_facts(path, content, "script", _interpreter(shebang))
    if suffix in _CODE_SUFFIXES:
        return _code_facts(path, content, "module", _CODE_SUFFIXES[suffix])
    if _CONFIGURATION.match(path):
        return FileFacts(path, "configuration", paths=_absolute_paths(content))
    return None


def _link_facts(entry: Entry) -> FileFacts | None:
    resolved = resolve_target(entry.path, entry.target) if entry.type is EntryType.SYMLINK else None
    return FileFacts(entry.path, "link", paths=(merged_path(resolved),)) if resolved else None


def _elf_facts(path: str, content: bytes) -> FileFacts | None:
    elf = read_elf(content)
    if elf is None:
        return None
    named = {item.decode("ascii") for item in _SONAME.findall(content)} - set(elf.needed) - {elf.soname}
    return FileFacts(path, "elf", elf.interpreter, elf.soname, elf.needed, (), _absolute_paths(content), tuple(sorted(named)))


def _code_facts(path: str, content: bytes, kind: str, interpreter: str) -> FileFacts:
    text = decode(content)
    program = interpreter.rpartition("/")[2]
    commands = shell_commands(text) if program in ("sh", "bash", "dash", "ksh", "zsh") else quoted_commands(text)
    return FileFacts(path, kind, interpreter, commands=commands, paths=_absolute_paths(content))


def _interpreter(shebang: re.Match[bytes]) -> str:
    path = decode(shebang["path"])
    return decode(shebang["argument"]) if path.endswith("/env") else path


def _absolute_paths(content: bytes) -> tuple[str, ...]:
    found = {item.decode("ascii").rstrip("./").lstrip("/") for item in _ABSOLUTE.findall(content)}
    return tuple(sorted(map(merged_path, found)))


def _licence(name: str, tree: FileTree) -> tuple[str, str]:
    content = tree.contents.get(f"usr/share/doc/{name}/copyright")
    if content is not None:
        return spdx_expression(content), ""
    for path in (f"usr/share/doc/{name}", f"usr/share/doc/{name}/copyright"):
        target = next((entry.target for entry in tree.entries if entry.path == path and entry.type is EntryType.SYMLINK), "")
        resolved = resolve_target(path, target) if target else None
        if resolved and resolved.startswith("usr/share/doc/"):
            return "", resolved.split("/")[3]
    return "", ""
