"""The sandbox on bubblewrap: as root with real ids, as an ordinary user in a user namespace of one id."""

from __future__ import annotations

import json
import os
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apkiln.core.errors import EnvironmentFault, UnavailableError
from apkiln.core.origin import Origin
from apkiln.system import sandbox_launch
from apkiln.system.private_copy import private_copy
from apkiln.system.sandbox import RootAccess, SandboxResult, SandboxSpec, Stop, Streams, check_spec

KILLED = 137
"""128 + SIGKILL."""
KEPT_CAPABILITIES = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"),
    *("CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"),
)
"""What root may do inside: enough to install files and to drop to a service user, nothing that reaches out of the root."""
INSTALL_HINT = "install the package `bubblewrap`"
NAMESPACE_HINT = "allow unprivileged user namespaces (sysctl `kernel.unprivileged_userns_clone=1`), or run as root"


@dataclass(frozen=True, slots=True)
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


class BubblewrapSandbox:
    """One port object per process; safe for several threads.  `program` is a path or a name to look up in `search_path`."""

    def __init__(self, search_path: str, program: str = "bwrap", temporary_directory: str = "") -> None:
        self._search_path = search_path
        self._program = program
        self._temporary_directory = temporary_directory or None
        self._abilities: Abilities | None = None

    def probe(self) -> Abilities:
        """Find the program and try the namespaces and an overlay mount once (about 50 ms); the answer is remembered."""
        if self._abilities is None:
            path = self._find()
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            abilities = Abilities(path, version.rpartition(" ")[2].strip(), os.geteuid() != 0, overlay=True)
            self._abilities = Abilities(path, abilities.version, abilities.rootless, self._overlay_works(abilities))
        return self._abilities

    def run(self, spec: SandboxSpec) -> SandboxResult:
        """See `Sandbox.run`."""
        check_spec(spec)
        if not Path(spec.root).is_dir():
            raise EnvironmentFault("the root directory does not exist", reason="root-missing", origin=Origin(spec.root))
        path = self._find()
        # The overlay is tried first and the copy only after a refusal: a probe would cost more than the run.
        overlay = self._abilities is None or self._abilities.overlay
        abilities = Abilities(path, "", os.geteuid() != 0, overlay)
        try:
            return self._attempt(spec, abilities)
        except _OverlayRefused:
            self._abilities = Abilities(path, "", abilities.rootless, overlay=False)
            return self._attempt(spec, self._abilities)

    def _attempt(self, spec: SandboxSpec, abilities: Abilities) -> SandboxResult:
        with self._scratch() as scratch:
            if abilities.overlay or spec.access is RootAccess.READ_ONLY:
                return _execute(spec, spec.root, scratch, abilities)
            with private_copy(spec.root, f"{scratch}.copy", spec.limits.scratch) as copy:
                return _execute(spec, copy, scratch, abilities)

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
    for shown in spec.binds:
        arguments += ("--bind" if shown.writable else "--ro-bind", shown.source, shown.target)
    if abilities.overlay and spec.access is RootAccess.READ_ONLY:
        arguments += ("--remount-ro", "/")
    return (*arguments, "--chdir", spec.working_directory)


def _identity(spec: SandboxSpec, abilities: Abilities) -> tuple[str, ...]:
    """As root and for root no user namespace, so that ids stay real (spec platform.md §2); otherwise one mapped id."""
    if _keeps_real_ids(spec, abilities):
        return ("--cap-drop", "ALL", *(part for name in KEPT_CAPABILITIES for part in ("--cap-add", name)))
    return ("--unshare-user", "--uid", str(spec.user), "--gid", str(spec.group))


def _keeps_real_ids(spec: SandboxSpec, abilities: Abilities) -> bool:
    return not abilities.rootless and spec.user == 0 and spec.group == 0


def _execute(spec: SandboxSpec, root: str, scratch: str, abilities: Abilities) -> SandboxResult:
    with tempfile.TemporaryFile() as options, tempfile.TemporaryFile() as status:
        arguments = bubblewrap_arguments(spec, f"{scratch}/root", abilities)
        # Through a file: an environment must not show in the machine's process list, nor end at the argument limit.
        options.write(b"".join(os.fsencode(part) + b"\0" for part in arguments))
        options.seek(0)
        descriptors = (options.fileno(), status.fileno())
        started = time.monotonic()
        with _started(spec, _launch_plan(spec, root, scratch, abilities, descriptors), descriptors) as process:
            stop, stdout, stderr = _collect(process, spec, started)
        wall = time.monotonic() - started
        status.seek(0)
        if stop is Stop.EXITED:
            _check_started(spec, abilities, status.read(), stderr)
        code = process.returncode if stop is Stop.EXITED else KILLED
        return SandboxResult(code if code >= 0 else 128 - code, stop, stdout, stderr, wall)


def _launch_plan(
    spec: SandboxSpec, root: str, scratch: str, abilities: Abilities, descriptors: tuple[int, int]
) -> dict[str, object]:
    options, status = descriptors
    takes_ids = not abilities.rootless and not _keeps_real_ids(spec, abilities)
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
        "user_namespace": abilities.rootless,
        "user": spec.user if takes_ids else None,
        "group": spec.group,
        "limits": [*(pair for pair in limits if pair[1]), (resource.RLIMIT_CORE, 0)],
    }


def _mount_points(spec: SandboxSpec) -> tuple[str, ...]:
    """Directories directly below the root that something is mounted on."""
    shown = (bind.target.strip("/") for bind in spec.binds if Path(bind.source).is_dir())
    return ("proc", "dev", "tmp", *(name for name in shown if name and "/" not in name))


@contextmanager
def _started(spec: SandboxSpec, plan: dict[str, object], descriptors: tuple[int, int]) -> Iterator[subprocess.Popen[bytes]]:
    captured = spec.streams is Streams.CAPTURE
    process = subprocess.Popen(
        (sys.executable, "-I", "-S", sandbox_launch.__file__, json.dumps(plan)),
        stdin=subprocess.DEVNULL if captured else None,
        stdout=subprocess.PIPE if captured else None,
        stderr=subprocess.PIPE if captured else None,
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


def _collect(process: subprocess.Popen[bytes], spec: SandboxSpec, started: float) -> tuple[Stop, bytes, bytes]:
    deadline = started + spec.limits.seconds if spec.limits.seconds else None
    gathered = (bytearray(), bytearray())
    with selectors.DefaultSelector() as selector:
        for stream, buffer in zip((process.stdout, process.stderr), gathered, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, buffer)
        stop = _drain(selector, spec.limits.output, deadline)
    if stop is Stop.EXITED:
        try:
            process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            stop = Stop.TIMED_OUT
    return stop, bytes(gathered[0]), bytes(gathered[1])


def _drain(selector: selectors.DefaultSelector, limit: int, deadline: float | None) -> Stop:
    """Read the streams until both end, one holds more than `limit` bytes (the rest is dropped), or time is over."""
    while selector.get_map():
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            return Stop.TIMED_OUT
        for key, _events in selector.select(remaining):
            chunk = os.read(key.fd, 65536)
            if not chunk:
                selector.unregister(key.fileobj)
            key.data.extend(chunk)
            if limit and len(key.data) > limit:
                del key.data[limit:]
                return Stop.OUTPUT_LIMIT
    return Stop.EXITED


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
    raise EnvironmentFault(message, reason="sandbox-refused", hint=NAMESPACE_HINT, details=details)
