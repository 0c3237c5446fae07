"""A child process in its own group: fed, drained within limits, and killed with all its children when time is up."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time

from apkiln.system.process import Command, Completed, missing_program, stopped

_CHUNK = 1 << 16


def run_bounded(command: Command) -> Completed:
    """See `Runner.run`."""
    environment = dict(command.environment)
    program = shutil.which(command.arguments[0], path=environment.get("PATH", os.defpath))
    if program is None:
        raise missing_program(command)
    deadline = time.monotonic() + command.timeout
    try:
        process = subprocess.Popen(
            command.arguments,
            executable=program,
            env=environment,
            cwd=command.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise missing_program(command) from error
    with process:
        try:
            stdout, stderr = _Exchange(process, command, deadline).complete()
            code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise _too_late(command) from error
        finally:
            _kill_group(process)
    return Completed(code if code >= 0 else 128 - code, stdout, stderr)


class _Exchange:
    """Writes the input and reads both outputs as the pipes allow."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command, deadline: float) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._command = command
        self._deadline = deadline
        self._pending = memoryview(command.stdin)
        self._more = iter(command.feed()) if command.feed is not None else iter(())

    def complete(self) -> tuple[bytes, bytes]:
        """Until both outputs are closed; what came out of them."""
        outputs = {self._stdout: bytearray(), self._stderr: bytearray()}
        os.set_blocking(self._stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE, None)
            for stream, buffer in outputs.items():
                selector.register(stream, selectors.EVENT_READ, buffer)
            while selector.get_map():
                for key in self._ready(selector):
                    if self._feed() if key.data is None else self._drain(key.fd, key.data):
                        selector.unregister(key.fileobj)
                        if key.data is None:
                            self._stdin.close()
        return bytes(outputs[self._stdout]), bytes(outputs[self._stderr])

    def _ready(self, selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise _too_late(self._command)
        return [key for key, _ in selector.select(remaining)]

    def _feed(self) -> bool:
        """Write some input; True when all is written or the program does not want it."""
        while not self._pending and (piece := next(self._more, None)) is not None:
            self._pending = memoryview(piece)
        if not self._pending:
            return True
        try:
            written = os.write(self._stdin.fileno(), self._pending[:_CHUNK])
        except BrokenPipeError:
            return True
        self._pending = self._pending[written:]
        return not self._pending and self._command.feed is None

    def _drain(self, descriptor: int, buffer: bytearray) -> bool:
        """Read some output; True at its end."""
        data = os.read(descriptor, _CHUNK)
        buffer += data
        if len(buffer) > self._command.output_limit:
            why = f"wrote more than {self._command.output_limit} bytes"
            raise stopped(self._command, "program-output-too-large", why)
        return not data


def _too_late(command: Command) -> Exception:
    return stopped(command, "program-timeout", f"did not end within {command.timeout:g} s")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
