"""`apkiln key install`: the keys that the repositories of a system offer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apkiln.acquire.key_installing import InstalledKey
    from apkiln.cli.context import Context
    from apkiln.core.digest import Digest

NAME = "key install"
HELP = """Read `etc/apk/repositories` of a system, ask each https repository for its keys, and write them to `etc/apk/keys`.

Whoever controls the host of a repository decides which keys these are: give their fingerprints with `--pin` where they are
known.  A key that is there is left as it is, and never replaced by another one of its name."""
EPILOG = """examples:
  apkiln key install
  apkiln key install --root rootfs --arch aarch64
  apkiln key install --pin sha256:0f0c…
  apkiln apko install-keys
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", default="/", help="where the system lies (default: %(default)s)")
    parser.add_argument("--arch", metavar="ARCH", default="host", help="apk or OCI name, or `host` (default: %(default)s)")
    parser.add_argument(
        "--pin",
        metavar="sha256:HEX",
        action="append",
        default=[],
        help="write only keys with this fingerprint, the SHA-256 of the key's DER form; may be repeated; each must be offered",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    from os import uname
    from pathlib import Path

    from apkiln.acquire.key_discovery import discover_keys
    from apkiln.acquire.key_installing import KEYS, install_keys, installed_repositories, pinned_keys
    from apkiln.cli.access import open_access
    from apkiln.core.arch import Arch
    from apkiln.system.files import DiskFiles

    pins = _pins(arguments.pin)
    root = Path(context.settings.working_directory, arguments.root)
    directory = root / KEYS
    _check_inside(root, directory)
    files, access = DiskFiles(), open_access(context)
    arch = Arch.parse(uname().machine if arguments.arch == "host" else arguments.arch).apk
    discovery = discover_keys(installed_repositories(root, arch, files), (arch,), access)
    for remark in discovery.remarks:
        context.reporter.note(remark)
    installed = install_keys(pinned_keys(discovery.keys, pins), directory, files)
    _print(installed, context)
    return 0


def _pins(texts: Sequence[str]) -> frozenset[Digest]:
    from apkiln.core.digest import Digest
    from apkiln.core.errors import UsageError

    found = set()
    for text in texts:
        pin = Digest.parse(text.lower())
        if pin.algorithm != "sha256":
            raise UsageError(f"`{text}` is no fingerprint", reason="bad-digest", hint="write `sha256:` and 64 hex digits")
        found.add(pin)
    return frozenset(found)


def _check_inside(root: Path, directory: Path) -> None:
    """A link in a foreign tree must not lead to the keys of this machine."""
    from apkiln.core.errors import ConflictError
    from apkiln.core.origin import Origin

    if not directory.resolve().is_relative_to(root.resolve()):
        message = f"`{directory}` lies outside of `{root}`"
        raise ConflictError(message, reason="outside-root", origin=Origin(source=str(directory)))


def _print(installed: Sequence[InstalledKey], context: Context) -> None:
    if context.settings.json:
        context.output.json([
            {
                "path": str(item.path),
                "fingerprint": str(item.found.key.fingerprint),
                "url": item.found.url,
                "repository": item.found.repository,
                "written": item.written,
            }
            for item in installed
        ])  # fmt: skip
        return
    for item in installed:
        state = "written" if item.written else "present"
        context.output.print(f"{state}  {item.path}  {item.found.key.fingerprint}  {item.found.repository}")
