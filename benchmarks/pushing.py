"""Pushing the benchmark's image to a registry on loopback: all of it, and again when it is there; beside crane."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import workload
from benchmarks.measuring import Sample, Summary, Variant, command, interleaved
from benchmarks.workload import APKILN

BASELINE = "cp of the layout"
FIRST, AGAIN = "push, nothing there", "push, all there"


class PushBench:
    """`layout`: an image as an OCI layout."""

    def __init__(self, work: Path, layout: Path, cache: Path, peers: dict[str, str]) -> None:
        self._work = work
        self._layout = layout
        self._environment = workload.clean_environment(cache)
        self._pushers: dict[str, Callable[[str], list[object]]] = {
            "apkiln": lambda target: [APKILN, "image", "publish", layout, target, "-q"]
        }
        if "crane" in peers:
            self._pushers["crane"] = lambda target: [peers["crane"], "push", layout, target]

    def run(self, rounds: int) -> dict[str, Summary]:
        """Figures by name; nothing where no registry is installed."""
        program = shutil.which("docker-registry")
        if program is None:
            print("docker-registry not found: pushing is not measured")
            return {}
        with _registry(program, self._work) as address:
            variants = [Variant(BASELINE, lambda number: self._copy(), lambda number: self._remove("copied"))]
            for name in self._pushers:
                variants.append(Variant(f"{name} {FIRST}", self._pushing(name, address, "new"), optional=name != "apkiln"))
                variants.append(Variant(f"{name} {AGAIN}", self._pushing(name, address, "same"), optional=name != "apkiln"))
            return interleaved(variants, rounds)

    def _pushing(self, name: str, address: str, kind: str) -> Callable[[int], Sample]:
        def push(number: int) -> Sample:
            repository = f"{name}-{number}" if kind == "new" else f"{name}-0"
            return command(self._pushers[name](f"{address}/bench/{repository}:latest"), self._environment, self._work)

        return push

    def _copy(self) -> Sample:
        return command(["cp", "-r", self._layout, self._work / "copied"], self._environment, self._work)

    def _remove(self, name: str) -> None:
        shutil.rmtree(self._work / name, ignore_errors=True)


@contextmanager
def _registry(program: str, work: Path) -> Iterator[str]:
    """A registry with an empty store; its address."""
    shutil.rmtree(work / "registry", ignore_errors=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (work / "registry.yml").write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {work / 'registry'}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "serve", str(work / "registry.yml")], stdout=quiet, stderr=quiet)
    try:
        _wait(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the registry does not answer")
