"""The sandbox on bubblewrap: as root with real ids, as an ordinary user in a user namespace of one id."""

from __future__ import annotations

import binascii
import json
import marshal
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.value import replace, value
from apkiln.system import owner_script, sandbox_launch
from apkiln.system.control_groups import ControlGroup, TreeLimits, bounded
from apkiln.system.id_ranges import IdMapping, machine_mapping
from apkiln.system.namespace_advice import namespace_advice
from apkiln.system.private_copy import private_copy
from apkiln.system.sandbox import Ids, Listener, RootAccess, SandboxResult, SandboxSpec, Stop, Streams, check_spec
from apkiln.system.sandbox_output import collect
from apkiln.system.system_call_filter import system_call_filter

KILLED = 137
"""128 + SIGKILL."""
KEPT_CAPABILITIES = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"),
    *("CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"),
)
"""What root may do inside: enough to install files and to drop to a service user, nothing that reaches out of the root."""
INSTALL_HINT = "install the package `bubblewrap`"
OVERLAY_HINT = "assemble the root from hard links (`--root hardlinks`)"


@value
class Abilities:
    """What this machine allows."""

    bubblewrap: str
    """Path of the program."""
    version: str
    rootless: bool
    """True when runs use a user namespace because the caller is not root."""
    overlay: bool
    """False: a PRIVATE root is a copy, and a READ_ONLY root must already have `/proc`, `/dev` and `/tmp`.  A root that
    holds other mounts (the machine's `/`) is refused an overlay in a user namespace."""
    mapping: IdMapping | None = None
    """Of `Ids.MANY`, once it was asked for."""


class BubblewrapSandbox:
    """One port object per process; safe for several threads.  `program` is a path or a name to look up in `search_path`."""

    def __init__(self, search_path: str, program: str = "bwrap", temporary_directory: str = "") -> None:
        self._search_path = search_path
        self._program = program
        self._temporary_directory = temporary_directory or None
        self._abilities: Abilities | None = None
        self._mapping: IdMapping | None = None

    def probe(self) -> Abilities:
        """Find the program and try the namespaces and an overlay mount once (about 50 ms); the answer is remembered."""
        if self._abilities is None:
            path = self._find()
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            abilities = Abilities(path, version.rpartition(" ")[2].strip(), os.geteuid() != 0, overlay=True)
            self._abilities = Abilities(path, abilities.version, abilities.rootless, self._overlay_works(abilities))
        return self._abilities

    def mapping(self) -> IdMapping:
        """Which ids `Ids.MANY` gives on this machine."""
        if self._mapping is None:
            self._mapping = machine_mapping(self._search_path)
        return self._mapping

    def change_owners(self, words: Sequence[str]) -> bytes:
        """Run `owner_script` with these words in a namespace that has the ids of `Ids.MANY`; what it prints.

        Raises EnvironmentFault `sandbox-refused`.
        """
        mapping = self.mapping()
        with tempfile.TemporaryFile() as status:
            plan = {
                "only": (sys.executable, "-I", "-S", owner_script.__file__, *words),
                "status": status.fileno(),
                "join": (),
                "mapping": None if mapping.is_single else _mapping_plan(mapping),
                "user_namespace": True,
            }
            command = (sys.executable, "-I", "-S", sandbox_launch.__file__, _argument(plan))
            done = subprocess.run(command, capture_output=True, check=False, env={}, pass_fds=(status.fileno(),))
        if done.returncode:
            message = "files of the sandbox could not be taken over"
            details = tuple(done.stderr.decode(errors="replace").splitlines()[-3:])
            raise EnvironmentFault(message, reason="sandbox-refused", hint=namespace_advice(), details=details)
        return done.stdout

    def run(self, spec: SandboxSpec, listener: Listener | None = None) -> SandboxResult:
        """See `Sandbox.run`."""
        check_spec(spec)
        if not Path(spec.root).is_dir():
            raise EnvironmentFault("the root directory does not exist", reason="root-missing", origin=Origin(spec.root))
        path = self._find()
        # The overlay is tried first and the copy only after a refusal: a probe would cost more than the run.
        overlay = self._abilities is None or self._abilities.overlay
        abilities = Abilities(path, "", os.geteuid() != 0, overlay, self.mapping() if spec.ids is Ids.MANY else None)
        try:
            return self._attempt(spec, abilities, listener)
        except _OverlayRefused as refused:
            if spec.layers or spec.kept or spec.covered:
                message = "the kernel refuses overlay mounts here"
                raise EnvironmentFault(message, reason="overlay-refused", hint=OVERLAY_HINT) from refused
            self._abilities = Abilities(path, "", abilities.rootless, overlay=False)
            return self._attempt(spec, replace(abilities, overlay=False), listener)

    def _attempt(self, spec: SandboxSpec, abilities: Abilities, listener: Listener | None = None) -> SandboxResult:
        with self._scratch() as scratch:
            if abilities.overlay or spec.access is RootAccess.READ_ONLY:
                return _execute(spec, spec.root, scratch, abilities, listener)
            with private_copy(spec.root, f"{scratch}.copy", spec.limits.scratch) as copy:
                return _execute(spec, copy, scratch, abilities, listener)

    def _overlay_works(self, abilities: Abilities) -> bool:
        with tempfile.TemporaryDirectory(dir=self._temporary_directory) as empty:
            spec = SandboxSpec(empty, ("/none",))
            try:
                self._attempt(spec, abilities)
            except _OverlayRefused:
                return False
            except UnavailableError:
                return True  # everything was set up, and only then the program was not there
        raise AssertionError("a program ran out of an empty directory")

    def _find(self) -> str:
        path = shutil.which(self._program, path=self._search_path)
        if path is None:
            message = f"`{self._program}` was not found on the search path"
            raise EnvironmentFault(message, reason="sandbox-missing", hint=INSTALL_HINT)
        return path

    @contextmanager
    def _scratch(self) -> Iterator[str]:
        directory = tempfile.mkdtemp(prefix="apkiln-sandbox-", dir=self._temporary_directory)
        Path(directory).chmod(0o755)  # the ids of the command must be able to pass through
        try:
            yield directory
        finally:
            Path(directory).rmdir()  # the tmpfs over it lived in a namespace that is gone


class _OverlayRefused(Exception):
    """The kernel does not allow an overlay mount here."""


def bubblewrap_arguments(spec: SandboxSpec, root: str, abilities: Abilities) -> tuple[str, ...]:
    """Options for one run, without the program and the command, in the order bubblewrap applies them."""
    bind = "--bind" if abilities.overlay or spec.access is RootAccess.PRIVATE else "--ro-bind"
    size = ("--size", str(spec.limits.scratch)) if spec.limits.scratch else ()
    arguments = [
        *("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"),
        *(() if spec.network else ("--unshare-net",)),
        *_identity(spec, abilities),
        *(("--new-session",) if spec.streams is not Streams.TERMINAL else ()),
        *("--hostname", spec.hostname, "--clearenv"),
        *(part for name, value in spec.environment for part in ("--setenv", name, value)),
        *(bind, root, "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777", *size, "--tmpfs", "/tmp"),
    ]
    for number, shown in enumerate(spec.binds):
        source = f"{root.removesuffix('/root')}/shown{number}" if _takes_ids(spec, abilities) else shown.source
        arguments += ("--bind" if shown.writable else "--ro-bind", source, shown.target)
    for number, covered in enumerate(spec.covered):
        arguments += ("--bind", f"{root.removesuffix('/root')}/covered{number}", covered.target)
    if abilities.overlay and spec.access is RootAccess.READ_ONLY:
        arguments += ("--remount-ro", "/")
    return (*arguments, "--chdir", spec.working_directory)


def _identity(spec: SandboxSpec, abilities: Abilities) -> tuple[str, ...]:
    """As root and for root no user namespace, so that ids stay real (spec platform.md §2); otherwise one mapped id.  Where the
    launch has made a user namespace with all ids, root needs no further one."""
    if _keeps_real_ids(spec, abilities) or (abilities.mapping is not None and spec.user == 0):
        names = KEPT_CAPABILITIES if spec.capabilities is None else spec.capabilities
        return ("--cap-drop", "ALL", *(part for name in names for part in ("--cap-add", name)))
    return ("--unshare-user", "--uid", str(spec.user), "--gid", str(spec.group))


def _takes_ids(spec: SandboxSpec, abilities: Abilities) -> bool:
    """Whether bubblewrap itself runs as the user of the command."""
    if abilities.mapping is not None:
        return not abilities.mapping.is_single and spec.user != 0
    return not abilities.rootless and not _keeps_real_ids(spec, abilities)


def _keeps_real_ids(spec: SandboxSpec, abilities: Abilities) -> bool:
    return not abilities.rootless and spec.user == 0 and spec.group == 0


def _execute(spec: SandboxSpec, root: str, scratch: str, abilities: Abilities, listener: Listener | None) -> SandboxResult:
    limits = TreeLimits(spec.limits.tree_memory, spec.limits.tree_processes, spec.limits.cpus)
    with ExitStack() as stack:
        options, status, rules = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        group = stack.enter_context(bounded(limits))
        arguments = bubblewrap_arguments(spec, f"{scratch}/root", abilities)
        if spec.filtered and _fill(rules, system_call_filter(os.uname().machine)):
            arguments = ("--seccomp", str(rules.fileno()), *arguments)
        # Through a file: an environment must not show in the machine's process list, nor end at the argument limit.
        _fill(options, b"".join(os.fsencode(part) + b"\0" for part in arguments))
        descriptors = (options.fileno(), status.fileno(), rules.fileno())
        started = time.monotonic()
        with _started(spec, _launch_plan(spec, root, scratch, abilities, descriptors, group), descriptors) as process:
            stop, stdout, stderr = collect(process, spec, started, listener)
        wall = time.monotonic() - started
        status.seek(0)
        if stop is Stop.EXITED:
            _check_started(spec, abilities, status.read(), stderr or stdout)
        code = process.returncode if stop is Stop.EXITED else KILLED
        if stop is Stop.EXITED and code and group.out_of_memory():
            stop = Stop.OUT_OF_MEMORY
        exit_code = code if code >= 0 else 128 - code
        return SandboxResult(exit_code, stop, stdout, stderr, wall, group.peak_memory(), group.unbounded)


def _fill(file: IO[bytes], content: bytes) -> int:
    file.write(content)
    file.seek(0)
    return len(content)


def _launch_plan(
    spec: SandboxSpec, root: str, scratch: str, abilities: Abilities, descriptors: tuple[int, int, int], group: ControlGroup
) -> dict[str, object]:
    options, status, _rules = descriptors
    mapping = abilities.mapping
    many = mapping is not None and not mapping.is_single
    takes_ids = _takes_ids(spec, abilities)
    limits = ((resource.RLIMIT_NOFILE, spec.limits.open_files), (resource.RLIMIT_AS, spec.limits.memory))
    wrapper = (abilities.bubblewrap, "--args", str(options), "--json-status-fd", str(status))
    return {
        "bubblewrap": (*wrapper, "--", *spec.command),
        "status": status,
        "root": root,
        "scratch": scratch,
        "overlay": abilities.overlay,
        "scratch_size": spec.limits.scratch,
        "mount_points": _mount_points(spec),
        "layers": spec.layers,
        "shown": [shown.source for shown in spec.binds] if takes_ids else [],
        "kept": spec.kept,
        "emulator": spec.emulator,
        "covered": [(shown.source, shown.kept) for shown in spec.covered],
        "user_namespace": many or abilities.rootless,
        "mapping": _mapping_plan(mapping) if mapping is not None and many else None,
        "join": group.joining,
        "user": spec.user if takes_ids else None,
        "group": spec.group,
        "limits": [*(pair for pair in limits if pair[1]), (resource.RLIMIT_CORE, 0)],
    }


def _argument(plan: Mapping[str, Any]) -> str:
    """The one argument of `sandbox_launch`; by way of JSON, which leaves plain values."""
    return binascii.b2a_base64(marshal.dumps(json.loads(json.dumps(plan))), newline=False).decode()


def _mapping_plan(mapping: IdMapping) -> dict[str, object]:
    programs = list(mapping.programs) if all(mapping.programs) else []
    return {"uid_map": mapping.users, "gid_map": mapping.groups, "programs": programs}


def _mount_points(spec: SandboxSpec) -> tuple[str, ...]:
    """Directories directly below the root that something is mounted on."""
    shown = (bind.target.strip("/") for bind in spec.binds if Path(bind.source).is_dir())
    return ("proc", "dev", "tmp", *(name for name in shown if name and "/" not in name))


@contextmanager
def _started(spec: SandboxSpec, plan: dict[str, object], descriptors: tuple[int, int, int]) -> Iterator[subprocess.Popen[bytes]]:
    captured = spec.streams in (Streams.CAPTURE, Streams.LINES)
    joined = subprocess.STDOUT if spec.streams is Streams.LINES else subprocess.PIPE
    process = subprocess.Popen(
        (sys.executable, "-I", "-S", sandbox_launch.__file__, _argument(plan)),
        stdin=subprocess.DEVNULL if captured else None,
        stdout=subprocess.PIPE if captured else None,
        stderr=joined if captured else None,
        pass_fds=descriptors,
        env={},
    )
    try:
        yield process
    finally:
        # Process 1 of the sandbox is bound to this process's life, so that nothing survives.
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _check_started(spec: SandboxSpec, abilities: Abilities, status: bytes, stderr: bytes) -> None:
    """Raise unless bubblewrap says that the command itself ended: exit codes alone cannot tell it from a failed set-up."""
    reports = [json.loads(line) for line in status.splitlines()]
    if any("exit-code" in report for report in reports):
        return
    refused = next((str(report["launch-error"]) for report in reports if "launch-error" in report), "")
    if refused.startswith("mount overlay") and abilities.overlay:
        raise _OverlayRefused
    said = tuple(stderr.decode(errors="replace").splitlines()[-3:])
    if not refused and (spec.streams is not Streams.CAPTURE or any(line.startswith("bwrap: execvp ") for line in said)):
        message = f"`{spec.command[0]}` could not be started inside the root"
        raise UnavailableError(message, reason="command-not-found", origin=Origin(spec.root), details=said)
    details = (refused,) if refused else said
    message = "the sandbox could not be set up on this machine"
    raise EnvironmentFault(message, reason="sandbox-refused", hint=namespace_advice(), details=details)
