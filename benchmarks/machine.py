"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

PEERS = {"apk": ("--version",), "apko": ("version",), "crane": ("version",), "skopeo": ("--version",), "syft": ("version",)}


def description(work: Path) -> list[str]:
    """Lines about processor, memory, load, Python and the file system of the work directory."""
    return [
        f"machine: {len(os.sched_getaffinity(0))} of {os.cpu_count()} processors, {_processor()}, {_memory()}",
        f"load before: {' '.join(f'{value:.2f}' for value in os.getloadavg())}",
        f"python {platform.python_version()}, Linux {platform.release()}, work directory on {_file_system(work)}",
    ]


def load() -> str:
    return f"load after: {' '.join(f'{value:.2f}' for value in os.getloadavg())}"


def peers() -> dict[str, str]:
    """Programs on PATH that are compared with, by name; path."""
    found = {name: shutil.which(name) for name in PEERS}
    return {name: path for name, path in found.items() if path is not None}


def peer_version(name: str, path: str) -> str:
    """The first line of its version text that holds a digit."""
    result = subprocess.run([path, *PEERS[name]], capture_output=True, text=True, check=False, timeout=30)
    lines = [line.strip() for line in result.stdout.splitlines() if any(char.isdigit() for char in line)]
    return lines[0] if lines else "version unknown"


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 1024 / 1024:.0f} GiB"
    return "memory unknown"


def _file_system(path: Path) -> str:
    best = ("", "unknown")
    for line in _lines("/proc/mounts"):
        _device, place, kind, *_rest = line.split()
        if path.is_relative_to(place) and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
