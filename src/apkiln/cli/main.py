"""Entry point: finds the command, reads argv and environment into settings, maps errors to exit codes.

Only what the called command needs is imported: `apkiln --version` imports nothing beyond this module.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

COLLECTED_OBJECTS = 50_000
"""New objects after which the collector of cycles looks at them; values here form none, and its usual 700 slow every start."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"], ["version"]):
        from apkiln import __version__

        print(f"apkiln {__version__}")
        return 0
    from apkiln.cli import dispatch

    return dispatch.dispatch(words)


def run() -> NoReturn:
    """The program: `main`, then the end of the process.

    The interpreter is not taken apart: that takes as long as a small command, and what it would free the system takes back
    by itself.  Everything was closed and flushed by whoever opened it.
    """
    import gc
    import os

    gc.set_threshold(COLLECTED_OBJECTS, 20, 20)
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    run()
