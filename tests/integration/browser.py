"""A real browser for tests and screenshots: Chromium without a window, spoken to over the pipe of its debugging protocol.

No driver and no further library: messages are JSON with a zero byte behind each, on descriptors 3 and 4 of the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # inside containers; it visits nothing but pages of this machine
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)


class Screen(NamedTuple):
    """What pages are looked at on."""

    width: int
    height: int
    phone: bool = False
    dark: bool = False


DESKTOP, PHONE = Screen(1280, 800), Screen(390, 844, phone=True)


def program() -> str | None:
    """The browser of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab.  What it fetches and complains about is kept."""

    def __init__(self, writer: BinaryIO, reader: BinaryIO) -> None:
        self._writer = writer
        self._reader = reader
        self._number = 0
        self._rest = b""
        self._session = ""
        self.requested: list[str] = []
        """Addresses of all requests."""
        self.complaints: list[str] = []
        """Errors of the console and of the page, blocked loads among them."""

    def open(self) -> None:
        """A blank tab."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> Any:
        """A command of the protocol to the tab; its result."""
        return self._call(method, **values)

    def _call(self, method: str, **values: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            chunk = os.read(self._reader.fileno(), 1 << 20)
            if not chunk:
                raise AssertionError("the browser went away")
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, values: Any) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(values["request"]["url"])
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(values))
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning"):
            self.complaints.append(str(values["args"]))

    def look(self, screen: Screen) -> None:
        """From now on on this screen."""
        size = {"width": screen.width, "height": screen.height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=screen.phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def visit(self, address: str) -> None:
        """Until everything of the page is loaded."""
        self.call("Page.navigate", url=address)
        while True:
            if self._next().get("method") == "Page.loadEventFired":
                return

    def value(self, expression: str) -> Any:
        """What JavaScript says, asked from outside of the page's own policy."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """One key, down and up."""
        codes = {"Tab": 9, "Enter": 13}
        fields: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        if key == "Enter":
            fields["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **fields)
        self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    def accessible(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader is told."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        told = [node for node in nodes if not node["ignored"] and "role" in node]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in told]

    def picture(self) -> bytes:
        """WebP of the whole page."""
        shot = self.call("Page.captureScreenshot", format="webp", quality=80, captureBeyondViewport=True, clip=self._clip())
        return b64decode(shot["data"])

    def _clip(self) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}


@contextlib.contextmanager
def browser(path: str) -> Iterator[Browser]:
    """A browser with a profile of its own, ended with the context."""
    ours, theirs = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [path, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = _started(command, ours[0], theirs[1], Path(profile))
        try:
            with os.fdopen(ours[1], "wb") as writer, os.fdopen(theirs[0], "rb") as reader:
                found = Browser(writer, reader)
                found.open()
                yield found
        finally:
            process.terminate()
            process.wait(timeout=30)


def _started(command: list[str], reads: int, writes: int, home: Path) -> subprocess.Popen[bytes]:
    """The process with these descriptors as 3 and 4; they are closed here."""
    script = 'exec "$@" 3<&"$R" 4>&"$W"'
    environment = {**os.environ, "R": str(reads), "W": str(writes), "HOME": str(home)}
    try:
        return subprocess.Popen(
            ["bash", "-c", script, "browser", *command],
            pass_fds=(reads, writes),
            env=environment,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    finally:
        os.close(reads)
        os.close(writes)
