"""Pictures of pages for the documentation: `python -m scripts.page_screenshots docs/images` tells a day and looks at its pages.

Needs Chromium.  `--all` takes every page of the day on a desk and on a phone, light and dark.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.demo_repo import day, running
from tests.integration.browser import DESKTOP, PHONE, Browser, Screen, browser, program

SHOWN = (
    "overview", "dependencies", "half-a-build-dark", "retry", "withdrawn", "waiting-phone", "restored", "keys", "back",
    "incident-dark", "generations-phone-dark", "packages-phone",
)  # fmt: skip
"""In the documentation."""


def main() -> int:
    parser = argparse.ArgumentParser(description="pictures of pages")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    path = program()
    if path is None:
        sys.exit("no chromium on PATH")
    arguments.directory.mkdir(parents=True, exist_ok=True)

    def look(tab: Browser, name: str, address: str) -> None:
        for words, screen in screens():
            picture = "-".join((name, *words))
            if arguments.all or picture in SHOWN:
                tab.look(screen)
                tab.visit(address)
                (arguments.directory / f"{picture}.webp").write_bytes(tab.picture())

    with browser(path) as tab, running(Path("build/demo-repo-pictures")) as service:
        day(service, lambda name, address: look(tab, name, address))
    return 0


def screens() -> Iterable[tuple[tuple[str, ...], Screen]]:
    """What a page is looked at on, and the words for it."""
    for screen in (DESKTOP, PHONE):
        for dark in (False, True):
            yield (("phone",) if screen.phone else ()) + (("dark",) if dark else ()), Screen(*screen[:3], dark)


if __name__ == "__main__":
    sys.exit(main())
