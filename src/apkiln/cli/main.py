"""Entry point: finds the command, reads argv and environment into settings, maps errors to exit codes.

Only what the called command needs is imported: `apkiln --version` imports nothing beyond this module.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"], ["version"]):
        from apkiln import __version__

        print(f"apkiln {__version__}")
        return 0
    from apkiln.cli import dispatch

    return dispatch.dispatch(words)


if __name__ == "__main__":
    sys.exit(main())
