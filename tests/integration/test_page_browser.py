"""The pages in a real browser, after a day in the life of a service: on a desk and on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from scripts.demo_repo import Day, day, running
from tests.integration.browser import DESKTOP, PHONE, Browser, Screen, browser, program

SCREENS = [Screen(*screen[:3], dark) for screen in (DESKTOP, PHONE) for dark in (False, True)]
UNREADABLE = """
(() => {
  const parse = (text) => { const m = text.match(/[0-9.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) found.push([walk.currentNode.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return found;
})()
"""
SMALL_TARGETS = """
[...document.querySelectorAll("button, input, select, nav a, a.button")]
  .filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < 24)
  .map((e) => e.outerHTML.slice(0, 80))
"""
TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((e) => !e.closest(".wide") && !e.closest(".skip") && !e.closest(".unseen"))
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((e) => e.outerHTML.slice(0, 80))
"""


NAMED = ("link", "button", "searchbox", "spinbutton", "textbox", "combobox", "table", "navigation", "region")


class Evening(NamedTuple):
    """A service at the end of its day, and a browser."""

    today: Day
    tab: Browser
    url: str


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    path = program()
    if path is None:
        pytest.skip("chromium not found: see docs/clients.md")
    home: Path = tmp_path_factory.mktemp("day") / "service"
    with browser(path) as tab, running(home) as service:
        yield Evening(day(service, lambda name, address: None), tab, service.url)


def addresses(evening: Evening) -> list[str]:
    """One of each page of the day, and some that the day does not visit."""
    more = ("", "-/packages/curl/8.16.0-r0/x86_64/files", "-/nothing", "-/transactions?state=rejected")
    return [evening.url + "/", *dict(evening.today.pages).values(), *(f"{evening.url}/os/musl/{path}" for path in more)]


def test_the_look_sees_what_is_wrong(evening: Evening) -> None:
    tab = evening.tab
    tab.look(PHONE)
    tab.visit(f"{evening.url}/os/musl/-/keys")
    tab.value("document.querySelector('h1').style.color = '#aaa'")
    assert [text for text, _ in tab.value(UNREADABLE)] == ["Keys"]
    tab.value("document.querySelector('h1').style.width = '900px'")
    tab.value("document.querySelector('.search button').style.cssText = 'min-height:0;height:20px'")
    assert len(tab.value(TOO_WIDE)) == 1 and len(tab.value(SMALL_TARGETS)) == 1


@pytest.mark.parametrize("screen", SCREENS, ids=["desk", "desk-dark", "phone", "phone-dark"])
def test_every_page_can_be_read_on_every_screen(evening: Evening, screen: Screen) -> None:
    tab = evening.tab
    tab.look(screen)
    grounds = set()
    for address in addresses(evening):
        tab.visit(address)
        assert tab.value(UNREADABLE) == [], address
        assert tab.value(SMALL_TARGETS) == [], address
        assert tab.value(TOO_WIDE) == [], address
        assert tab.value("document.documentElement.scrollWidth <= innerWidth"), f"{address} scrolls sideways"
        grounds.add(tab.value("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 1
    dark = sum(int(part) for part in grounds.pop().removeprefix("rgb(").removesuffix(")").split(",")) < 3 * 128
    assert dark is screen.dark


def test_nothing_is_fetched_from_elsewhere_and_the_policy_is_kept(evening: Evening) -> None:
    tab = evening.tab
    tab.requested.clear()
    tab.complaints.clear()
    for address in addresses(evening):
        tab.visit(address)
    assert {address for address in tab.requested if not address.startswith(evening.url)} == set()
    assert [text for text in tab.complaints if "404" not in text] == []
    assert tab.value("document.scripts.length") == 0
    tab.value("document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.2:9/x'}))")
    tab.visit(evening.url + "/")
    assert any("Content Security Policy" in text for text in tab.complaints), "a foreign picture is blocked"


def test_what_a_screen_reader_is_told(evening: Evening) -> None:
    tab = evening.tab
    tab.look(DESKTOP)
    for address in addresses(evening):
        tab.visit(address)
        told = tab.accessible()
        nameless = [role for role, name in told if role in NAMED and not name]
        assert nameless == [], address
        assert [name for role, name in told if role == "main"] == [""], address
        assert len([role for role, _ in told if role == "heading"]) >= 1, address


def test_by_keyboard_alone(evening: Evening) -> None:
    tab = evening.tab
    tab.look(DESKTOP)
    tab.visit(f"{evening.url}/os/musl/")
    tab.press("Tab")
    assert tab.value("document.activeElement.textContent") == "Skip to the content"
    assert tab.value("document.activeElement.getBoundingClientRect().left >= 0"), "it shows when it has the focus"
    tab.press("Enter")
    assert tab.value("document.activeElement.id") == "content"
    tab.press("Tab")
    assert tab.value("document.activeElement.closest('main') !== null")
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_searching_as_people_do(evening: Evening) -> None:
    tab = evening.tab
    tab.visit(f"{evening.url}/os/musl/")
    tab.value("document.getElementById('search').focus()")
    tab.call("Input.insertText", text="libz")
    tab.press("Enter")
    for _ in range(1000):
        if "q=libz" in tab.value("location.search + document.readyState") and tab.value("document.readyState") == "complete":
            break
    assert "zlib" in tab.value("document.querySelector('main').innerText")
    assert "1 package found for “libz”" in tab.value("document.querySelector('caption').innerText")
