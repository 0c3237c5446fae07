"""The sandbox on podman, for machines where it is what may be used: one container for each kept root, a process in it for
each run (spec package.md §9.3).

The root is one directory (`--rootfs`, overlaid by podman); what runs change in it lasts as long as the container.  Ids are
those of podman: as root the machine's, otherwise the caller's subordinate ones, the same as `Ids.MANY` of bubblewrap.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping

from apkiln.core.errors import EnvironmentFault
from apkiln.core.origin import Origin
from apkiln.system.sandbox import Listener, SandboxResult, SandboxSpec, Stop, Streams, check_spec
from apkiln.system.sandbox_output import collect

KILLED = 137
_IDLE = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"
_CLEAN = "rm -rf /tmp/* /tmp/.[!.]* /tmp/..?*"
_PASSED_ON = ("HOME", "PATH", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "TMPDIR")


class ContainerSandbox:
    """See `Sandbox`.  `layers` and `emulator` of a spec are not supported; `filtered` is podman's own profile."""

    def __init__(self, environment: Mapping[str, str], program: str = "podman") -> None:
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment}
        self._program = program
        self._containers: dict[str, tuple[str, bool]] = {}
        """Kept directory → name of the container, and whether it has the network."""

    def run(self, spec: SandboxSpec, listener: Listener | None = None) -> SandboxResult:
        """See `Sandbox.run`.  EnvironmentFault `sandbox-missing`, `sandbox-refused`, `root-missing`."""
        check_spec(spec)
        assert not spec.layers and not spec.emulator, "a container has one directory, and programs of its own machine"
        if not os.path.isdir(spec.root):
            raise EnvironmentFault("the root directory does not exist", reason="root-missing", origin=Origin(spec.root))
        name = self._container(spec)
        try:
            return self._execute(name, spec, listener)
        finally:
            if not spec.kept:
                self._remove(name)

    def forget(self, kept: str) -> None:
        """End the container of a kept root, with every process in it."""
        found = self._containers.pop(kept, None)
        if found is not None:
            self._remove(found[0])

    def _container(self, spec: SandboxSpec) -> str:
        name, network = self._containers.get(spec.kept, ("", False))
        if name and network == spec.network:
            self._podman("exec", "--user", "0", name, "/bin/sh", "-c", _CLEAN)
            return name
        if name:
            # A container keeps its network for life: the root's changes go over to a new one as its lower part.
            message = "steps with and without network cannot share a container"
            raise EnvironmentFault(message, reason="sandbox-refused", hint="use `--runner bubblewrap`, or `--network on`")
        name = f"apkiln-{secrets.token_hex(8)}"
        self._podman("run", "--detach", "--name", name, *_options(spec), "--rootfs", f"{spec.root}:O", "/bin/sh", "-c", _IDLE)
        if spec.kept:
            self._containers[spec.kept] = (name, spec.network)
        return name

    def _execute(self, name: str, spec: SandboxSpec, listener: Listener | None) -> SandboxResult:
        variables = [f"{key}={text}" for key, text in spec.environment]
        terminal = ("--interactive", "--tty") if spec.streams is Streams.TERMINAL else ()
        words = ("exec", *terminal, "--user", f"{spec.user}:{spec.group}", "--workdir", spec.working_directory)
        command = (self._path(), *words, name, "env", "-i", *variables, *spec.command)
        captured = spec.streams in (Streams.CAPTURE, Streams.LINES)
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if captured else None,
            stdout=subprocess.PIPE if captured else None,
            stderr=(subprocess.STDOUT if spec.streams is Streams.LINES else subprocess.PIPE) if captured else None,
            env=self._environment,
        )
        try:
            stop, stdout, stderr = collect(process, spec, started, listener)
            if stop is not Stop.EXITED:
                self._podman("kill", "--signal", "KILL", name)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        code = process.returncode if stop is Stop.EXITED else KILLED
        return SandboxResult(code if code >= 0 else 128 - code, stop, stdout, stderr, time.monotonic() - started)

    def _podman(self, *words: str) -> None:
        done = subprocess.run((self._path(), *words), capture_output=True, check=False, env=self._environment)
        if done.returncode:
            details = tuple(done.stderr.decode(errors="replace").splitlines()[-3:])
            message = f"`podman {words[0]}` failed"
            raise EnvironmentFault(message, reason="sandbox-refused", hint="try `podman info`", details=details)

    def _remove(self, name: str) -> None:
        subprocess.run(
            (self._path(), "rm", "--force", "--time", "0", name), capture_output=True, check=False, env=self._environment
        )

    def _path(self) -> str:
        path = shutil.which(self._program, path=self._environment.get("PATH", os.defpath))
        if path is None:
            message = f"`{self._program}` was not found on the search path"
            raise EnvironmentFault(message, reason="sandbox-missing", hint="install the package `podman`")
        return path


def _options(spec: SandboxSpec) -> tuple[str, ...]:
    """Of the container, in podman's words."""
    limits = spec.limits
    bounds = (
        *(("--memory", str(limits.tree_memory)) if limits.tree_memory else ()),
        *(("--pids-limit", str(limits.tree_processes)) if limits.tree_processes else ()),
        *(("--cpus", str(limits.cpus)) if limits.cpus else ()),
    )
    capabilities = spec.capabilities or ()
    shown = [
        part
        for bind in spec.binds
        if bind.target != "/sys"
        for part in ("--volume", _volume(bind.source, bind.target, bind.writable))
    ]
    covered = [part for item in spec.covered for part in ("--volume", f"{item.source}:{item.target}:O")]
    return (
        *("--network", "host" if spec.network else "none", "--hostname", spec.hostname, "--tmpfs", "/tmp:mode=1777,exec"),
        *("--cap-drop", "ALL", *(part for name in capabilities for part in ("--cap-add", name))),
        *("--security-opt", "label=disable", "--user", "0", "--no-hosts", "--passwd=false", *bounds, *shown, *covered),
    )


def _volume(source: str, target: str, writable: bool) -> str:
    return f"{source}:{target}:{'rw' if writable else 'ro'}"
