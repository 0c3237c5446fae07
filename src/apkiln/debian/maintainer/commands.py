"""The commands that maintainer scripts call, and what each means for a fresh image: the table of spec debian.md §8.1.

A command is built into the shell (kept here as structure), reads without an effect, has no effect in an image that is made
once and never upgraded, or is translated into steps (`effects`, `accounts`).  Anything else is not covered.
"""

from __future__ import annotations

from collections.abc import Callable

from apkiln.debian.maintainer.accounts_commands import ACCOUNT_COMMANDS
from apkiln.debian.maintainer.conditions import NotACondition, condition
from apkiln.debian.maintainer.effects import EFFECTS
from apkiln.debian.maintainer.machine import Leave, Machine, Status, Stop
from apkiln.debian.maintainer.questions import QUESTIONS
from apkiln.debian.maintainer.values import Value

_READERS_TEXT = """sed awk mawk gawk cut head tail sort uniq tr wc expr find stat cmp diff md5sum sha256sum sha1sum seq tty ls
    df du ps pidof pgrep who date hostname dpkg-query apt-config getconf nproc lsb_release runlevel ischroot mktemp tempfile
    file strings egrep fgrep zgrep sleep sync tput ss netstat systemd-detect-virt locale getcap aa-enabled aa-status ypwhich
    dpkg-realpath systemd-escape"""
_NO_EFFECT_TEXT = """dpkg-maintscript-helper dpkg-trigger deb-systemd-invoke invoke-rc.d service update-rc.d start-stop-daemon
    kill killall pkill telinit udevadm ucfr update-initramfs update-grub update-shells shadowconfig update-passwd pwconv
    grpconv db_input db_go db_title db_version db_beginblock db_endblock db_subst db_purge db_fset db_unregister db_settitle
    db_capb db_reset db_register db_stop db_set db_progress db_info db_data db_x_loadtemplatefile restorecon selinuxenabled"""
_CACHES_TEXT = """ldconfig py3compile py3clean pycompile pyclean pypycompile pypy3compile pypyclean pypy3clean apparmor_parser
    install-info update-mime-database update-desktop-database fc-cache gtk-update-icon-cache update-icon-caches
    update-icon-cache mandb glib-compile-schemas gio-querymodules gtk-query-immodules gtk-query-immodules-3.0
    gdk-pixbuf-query-loaders update-mime update-menus update-binfmts scrollkeeper-update update-fonts-scale update-fonts-dir
    update-fonts-alias update-gconf-defaults appstreamcli update-pciids update-usbids update-texmf mktexlsr update-language
    update-fmtutil"""
READERS = frozenset(_READERS_TEXT.split())
"""They only read: output and status are not known."""
NO_EFFECT = frozenset(_NO_EFFECT_TEXT.split())
"""They concern upgrades, running services and questions: nothing of it is in a fresh image."""
CACHES = frozenset(_CACHES_TEXT.split())
"""They make indexes that programs work without, or that the image build makes (`library-cache`)."""
_PYTHON_HOOKS = "/usr/share/python3/runtime.d/"
"""Programs that compile modules when Python's default version changes."""

Handler = Callable[[Machine, list[Value], Value], Status]


def run_command(machine: Machine, name: str, arguments: list[Value], given: Value) -> Status:
    """Account for one command.  `given`: its input, None when not known.  Raises Stop and Leave."""
    base = name.rpartition("/")[2]
    handler = _HANDLERS.get(name) or _HANDLERS.get(base)
    if handler is not None:
        return handler(machine, arguments, given)
    if base in NO_EFFECT or base in CACHES or name.startswith(_PYTHON_HOOKS):
        return True
    if base in READERS:
        return _reads(machine, base, arguments)
    if base.startswith("python3") and any(isinstance(item, str) and item.endswith("/py_compile.py") for item in arguments):
        return True
    return machine.give_up(f"`{name}` has no translation")


def _reads(machine: Machine, name: str, arguments: list[Value]) -> Status:
    machine.output(None)
    writes = {"sed": ("-i", "--in-place"), "find": ("-delete", "-exec", "-execdir", "-ok", "-fprint"), "sort": ("-o",)}
    marks = writes.get(name, ())
    if name == "find" and "-empty" in arguments and "-exec" not in arguments:
        return None  # deleting what is empty clears up after older versions
    for item in arguments:
        if isinstance(item, str) and item.startswith(marks) and marks and (name != "sort" or item == "-o"):
            return machine.give_up(f"`{name} {item}` changes files")
    return None


def _true(machine: Machine, arguments: list[Value], given: Value) -> Status:
    return True


def _false(machine: Machine, arguments: list[Value], given: Value) -> Status:
    return False


def _echo(machine: Machine, arguments: list[Value], given: Value) -> Status:
    words = list(arguments)
    end = "\n"
    if words and words[0] == "-n":
        words, end = words[1:], ""
    known = [item for item in words if isinstance(item, str)]
    special = len(known) != len(words) or any("\\" in item for item in known) or (words[:1] and known[0].startswith("-e"))
    machine.output(None if special else " ".join(known) + end)
    return True


def _printf(machine: Machine, arguments: list[Value], given: Value) -> Status:
    known = [item for item in arguments if isinstance(item, str)]
    if len(known) != len(arguments) or not known:
        machine.output(None)
        return True
    form, *values = known
    text = form.replace("\\n", "\n").replace("\\t", "\t")
    simple = text.count("%s") == len(values) and text.replace("%s", "").find("%") < 0 and "\\" not in text
    machine.output(text.replace("%s", "\0").replace("\0", "{}").format(*values) if simple and "{" not in text else None)
    return True


def _test(machine: Machine, arguments: list[Value], given: Value) -> Status:
    try:
        return condition(arguments, machine.scene)
    except NotACondition:
        return machine.give_up("the condition is not understood")


def _bracket(machine: Machine, arguments: list[Value], given: Value) -> Status:
    return _test(machine, arguments[:-1] if arguments and arguments[-1] == "]" else arguments, given)


def _exit(machine: Machine, arguments: list[Value], given: Value) -> Status:
    value = arguments[0] if arguments else machine.variables.status
    raise Stop(value != "0" if isinstance(value, str) else None)


def _return(machine: Machine, arguments: list[Value], given: Value) -> Status:
    value = arguments[0] if arguments else machine.variables.status
    raise Leave("return", value == "0" if isinstance(value, str) else None)


def _break(machine: Machine, arguments: list[Value], given: Value) -> Status:
    raise Leave("break", True)


def _continue(machine: Machine, arguments: list[Value], given: Value) -> Status:
    raise Leave("continue", True)


def _set(machine: Machine, arguments: list[Value], given: Value) -> Status:
    if "--" in arguments:
        machine.variables.positional = tuple(arguments[arguments.index("--") + 1 :])
    elif arguments and not (isinstance(arguments[0], str) and arguments[0][:1] in "-+"):
        machine.variables.positional = tuple(arguments)
    return True


def _shift(machine: Machine, arguments: list[Value], given: Value) -> Status:
    count = arguments[0] if arguments else "1"
    if not isinstance(count, str) or not count.isdecimal():
        return machine.give_up("it cannot be known how far to shift")
    machine.variables.positional = machine.variables.positional[int(count) :]
    return True


def _declare(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """`export`, `local`, `readonly`: only the values count; what is local to a function is not given back, so a script that
    uses a name for two things gets the later value."""
    for item in arguments:
        name, equals, text = item.partition("=") if isinstance(item, str) else ("", "", "")
        if equals:
            machine.variables.values[name] = text
    return True


def _unset(machine: Machine, arguments: list[Value], given: Value) -> Status:
    for item in arguments:
        if isinstance(item, str):
            machine.variables.values.pop(item, None)
    return True


def _read(machine: Machine, arguments: list[Value], given: Value) -> Status:
    for item in arguments:
        if isinstance(item, str) and not item.startswith("-"):
            machine.variables.values[item] = None
    return None


def _umask(machine: Machine, arguments: list[Value], given: Value) -> Status:
    mask = arguments[0] if arguments else ""
    if not isinstance(mask, str) or not mask or mask.strip("01234567"):
        return machine.give_up("the mask is not known")
    machine.umask = int(mask, 8)
    return True


def _source(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Only debconf's library, whose functions are in the tables here, may be read in."""
    if arguments and arguments[0] == "/usr/share/debconf/confmodule":
        return True
    return machine.give_up("commands are read from another file")


def _prefix(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """`exec`, `env`, `nice` and so on before a command."""
    words = list(arguments)
    while words and isinstance(words[0], str) and (words[0].startswith("-") or "=" in words[0]):
        words.pop(0)
    if not words:
        return True
    if not isinstance(words[0], str):
        return machine.give_up("it cannot be known what is called")
    return run_command(machine, words[0], words[1:], given)


def _perl(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """The empty program only tells whether there is a perl."""
    return None if arguments == ["-e", ""] else machine.give_up("a program in another language is run")


def _cd(machine: Machine, arguments: list[Value], given: Value) -> Status:
    """Relative paths are never followed, so a directory changes nothing."""
    return True


_HANDLERS: dict[str, Handler] = {
    "true": _true, ":": _true, "false": _false, "echo": _echo, "printf": _printf, "test": _test, "[": _bracket,
    "exit": _exit, "return": _return, "break": _break, "continue": _continue, "set": _set, "shift": _shift,
    "export": _declare, "local": _declare, "readonly": _declare, "unset": _unset, "read": _read, "umask": _umask,
    ".": _source, "exec": _prefix, "env": _prefix, "nice": _prefix, "ionice": _prefix, "cd": _cd, "trap": _true,
    "wait": _true, "getopts": _read, "hash": _true, "perl": _perl, "ulimit": _true,
    **QUESTIONS, **EFFECTS, **ACCOUNT_COMMANDS,
}  # fmt: skip
