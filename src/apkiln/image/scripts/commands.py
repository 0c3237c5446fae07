"""What single commands of package scripts mean for an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.image.scripts.accounts import account_command
from apkiln.image.scripts.conditions import Answer, query, test
from apkiln.image.scripts.effects import (
    AddGroup,
    AddMember,
    Built,
    ChangeMode,
    ChangeOwner,
    Effect,
    EnableUnits,
    MakeDirectory,
    MakeLink,
)
from apkiln.image.scripts.options import NotUnderstood, parse
from apkiln.image.scripts.scene import Scene


class Meaning(NamedTuple):
    """What a command does and how it ends."""

    effects: tuple[Effect, ...] = ()
    answer: Answer = True
    """Whether it succeeds."""


HARMLESS = Meaning()
_SILENT = frozenset({"echo", "printf", "true", ":", "sleep", "sync", "cd", "logger", "wait"})
"""Say something, or change nothing but the shell: no relative path is understood, so it does not matter where it is."""
_RUNNING = frozenset(
    {"rc-update", "rc-service", "service", "killall", "pkill", "kill", "initctl", "udevadm", "invoke-rc.d", "update-rc.d"}
)
"""Speak to a system that is running; an image is not."""
_RUNNING_VERBS = frozenset(
    {"daemon-reload", "daemon-reexec", "start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "is-active",
     "is-enabled", "kill", "isolate", "condrestart", "try-reload-or-restart"}
)  # fmt: skip
_QUESTIONS = frozenset({"getent", "id", "which", "command", "type", "grep"})
_READERS = frozenset({"cat", "grep", "sed", "awk", "head", "tail", "cut", "sort", "uniq", "wc", "tr", "ls", "basename", "dirname",
                      "readlink", "realpath", "uname", "stat", "find", "read", "local", "export", "unset", "return", "xargs"})  # fmt: skip  # noqa: E501
"""Only read, unless told to write (see `_reader`)."""
_CACHES = {
    "glib-compile-schemas": "settings schemas", "fc-cache": "fonts", "update-mime-database": "file types",
    "update-desktop-database": "desktop files", "gtk-update-icon-cache": "icons", "gtk4-update-icon-cache": "icons",
    "gdk-pixbuf-query-loaders": "image loaders", "gio-querymodules": "GIO modules", "install-info": "info pages",
    "mandb": "manual pages", "makewhatis": "manual pages", "depmod": "kernel modules", "locale-gen": "locales",
}  # fmt: skip


def meaning(words: Sequence[str | None], scene: Scene) -> Meaning:
    """The meaning of one command; unknown words are None.  Raises NotUnderstood with the reason in words."""
    program = (words[0] or "").rpartition("/")[2]
    rest = words[1:]
    if program in ("test", "["):
        return Meaning(answer=test(rest[:-1] if program == "[" else rest, scene))
    if program in _QUESTIONS and program != "grep":
        return Meaning(answer=query(program, rest, scene))
    if program == "false":
        return Meaning(answer=False)
    if program in _SILENT or program in _RUNNING:
        return HARMLESS
    if program == "umask" and rest in (["022"], ["0022"], []):
        return HARMLESS
    if program in _READERS:
        return _reader(program, rest, scene)
    if program in _CACHES:
        return _cache(program, scene)
    if program in _MEANINGS:
        known = [word for word in rest if word is not None]
        if len(known) != len(rest):
            raise NotUnderstood(f"`{program}` is given something that cannot be known")
        return _MEANINGS[program](program, known, scene)
    raise NotUnderstood(f"nothing replaces `{program or '…'}`")


def _reader(program: str, words: Sequence[str | None], scene: Scene) -> Meaning:
    texts = [word or "" for word in words]
    if program == "sed" and any(text.startswith(("-i", "--in-place")) for text in texts):
        raise NotUnderstood("`sed -i` changes a file")
    if program in ("find", "xargs") and {"-delete", "-exec", "-execdir", "-ok", "rm"} & set(texts):
        raise NotUnderstood(f"`{program}` changes files")
    if program == "xargs" and texts and texts[0] not in ("echo",):
        raise NotUnderstood("`xargs` runs another program")
    answer = query(program, words, scene) if program == "grep" else (True if program in ("local", "export", "unset") else None)
    return Meaning(answer=answer)


def _cache(program: str, scene: Scene) -> Meaning:
    if program == "depmod" and scene.kind("/lib/modules") is None and scene.kind("/usr/lib/modules") is None:
        return HARMLESS
    raise NotUnderstood(f"`{program}` would make the cache of {_CACHES[program]}")


def _accounts(program: str, words: list[str], scene: Scene) -> Meaning:
    effect = account_command(program, words)
    if isinstance(effect, AddMember):
        return Meaning((effect,))
    table = "group" if isinstance(effect, AddGroup) else "passwd"
    # The programs refuse a name that exists; nothing is changed then.
    return Meaning((), False) if scene.has_account(table, effect.name) else Meaning((effect,))


def _mkdir(program: str, words: list[str], scene: Scene) -> Meaning:
    found = parse(program, words, flags="pv", values="m")
    return Meaning(tuple(MakeDirectory(_path(path), _mode(found.value("m"))) for path in found.operands))


def _install(program: str, words: list[str], scene: Scene) -> Meaning:
    found = parse(program, words, flags="dDpv", values="mog")
    if "d" not in found.flags:
        raise NotUnderstood("`install` copies files")
    owner = f"{found.value('o')}:{found.value('g')}" if found.value("o") or found.value("g") else ""
    mode = _mode(found.value("m"))
    return Meaning(tuple(MakeDirectory(_path(path), 0o755 if mode is None else mode, owner) for path in found.operands))


def _chown(program: str, words: list[str], scene: Scene) -> Meaning:
    found = parse(program, words, flags="RhfcvLPH")
    if len(found.operands) < 2:
        raise NotUnderstood(f"`{program}` without a path")
    owner = f":{found.operands[0]}" if program == "chgrp" else found.operands[0].replace(".", ":", 1)
    return Meaning(tuple(ChangeOwner(_path(path), owner, "R" in found.flags) for path in found.operands[1:]))


def _chmod(program: str, words: list[str], scene: Scene) -> Meaning:
    found = parse(program, words, flags="Rfcv")
    mode = _mode(found.operands[0]) if found.operands else None
    if mode is None or len(found.operands) < 2:
        raise NotUnderstood("`chmod` with a mode that depends on the one before")
    return Meaning(tuple(ChangeMode(_path(path), mode, "R" in found.flags) for path in found.operands[1:]))


def _ln(program: str, words: list[str], scene: Scene) -> Meaning:
    found = parse(program, words, flags="sfnTv")
    if "s" not in found.flags or len(found.operands) != 2:
        raise NotUnderstood("`ln` in a form that is no single symbolic link")
    target, path = found.operands
    if scene.kind(_path(path)) is not None and "n" not in found.flags and "T" not in found.flags and path.endswith("/"):
        raise NotUnderstood("`ln` into a directory")
    if "f" not in found.flags and scene.kind(_path(path), follow=False) is not None:
        return Meaning((), False)
    return Meaning((MakeLink(_path(path), target, "f" in found.flags),))


def _busybox(program: str, words: list[str], scene: Scene) -> Meaning:
    if program == "busybox" and words[:1] == ["--install"] and scene.is_program("/bin/busybox"):
        return Meaning((Built.BUSYBOX_LINKS,))
    raise NotUnderstood(f"nothing replaces `{' '.join((program, *words))}`")


def _ldconfig(program: str, words: list[str], scene: Scene) -> Meaning:
    # musl keeps no cache: where its loader looks is fixed, or a file of a package says it.
    return Meaning((Built.LIBRARY_CACHE,)) if scene.kind("/etc/ld.so.conf") is not None else HARMLESS


def _systemctl(program: str, words: list[str], scene: Scene) -> Meaning:
    names = [word for word in words if not word.startswith("-")]
    if not names or names[0] in _RUNNING_VERBS or "--user" in words:
        return HARMLESS
    if names[0] in ("preset", "preset-all", "enable"):
        return Meaning((EnableUnits(tuple(names[1:]), names[0] != "enable"),))
    raise NotUnderstood(f"nothing replaces `systemctl {names[0]}`")


def _certificates(program: str, words: list[str], scene: Scene) -> Meaning:
    return Meaning((Built.CERTIFICATE_BUNDLE,))


def _sysusers(program: str, words: list[str], scene: Scene) -> Meaning:
    return Meaning((Built.SYSTEM_USERS,))


def _tmpfiles(program: str, words: list[str], scene: Scene) -> Meaning:
    if {"--remove", "--clean", "--purge"} & set(words) and "--create" not in words:
        return HARMLESS
    return Meaning((Built.TEMPORARY_FILES,))


def _path(text: str) -> str:
    if not text.startswith("/") or "/../" in f"{text}/" or "/./" in f"{text}/":
        raise NotUnderstood(f"`{text}` is no plain absolute path")
    return text


def _mode(text: str) -> int | None:
    """Octal modes only; "" = none."""
    if not text:
        return None
    if not 1 <= len(text) <= 5 or set(text) - set("01234567"):
        raise NotUnderstood(f"`{text}` is a mode that depends on the one before")
    return int(text, 8) & 0o7777


_MEANINGS: dict[str, Callable[[str, list[str], Scene], Meaning]] = {
    **dict.fromkeys(("addgroup", "adduser", "groupadd", "useradd", "usermod", "gpasswd"), _accounts),
    "mkdir": _mkdir,
    "install": _install,
    **dict.fromkeys(("chown", "chgrp"), _chown),
    "chmod": _chmod,
    "ln": _ln,
    **dict.fromkeys(("busybox", "bbsuid"), _busybox),
    "ldconfig": _ldconfig,
    "systemctl": _systemctl,
    "update-ca-certificates": _certificates,
    "systemd-sysusers": _sysusers,
    "systemd-tmpfiles": _tmpfiles,
}
