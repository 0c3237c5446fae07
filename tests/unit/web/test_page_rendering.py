"""What stands between values and HTML: nothing hidden gets through, links are of the web, colours can be told apart."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.repository.ledger.packages import Key
from apkiln.web.pages import addresses
from apkiln.web.pages.questions import excerpt, number_of, question_of
from apkiln.web.pages.rendering import asset, clock_text, day_text, machine_time, safe_link, size_text, visible

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
def test_what_is_hidden_is_written_out(text: str) -> None:
    shown = visible(text)
    assert isinstance(shown, str)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown)
    assert visible(shown) == shown
    assert {letter for letter in text if letter.isalnum()} <= {*shown}


def test_single_letters_and_other_values() -> None:
    assert visible("a\x1b[2J\u202eb") == "a<U+001B>[2J<U+202E>b"
    assert visible("\ud800") == "<U+D800>"
    assert visible(7) == 7
    with pytest.raises(TypeError):
        visible(None)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "data:text/html,x",
        "//host/x",
        "HTTP",
        "http:x",
        "vbscript:x",
        "https://[",
        "http://a\nb",
        "",
    ],
)
def test_what_is_no_address_of_the_web_is_no_link(url: str) -> None:
    assert safe_link(url) == ""


def test_addresses_of_the_web_are_links() -> None:
    assert safe_link("https://example.com/a?b=c#d") == "https://example.com/a?b=c#d"


@given(st.lists(texts.filter(lambda text: text not in ("", ".", "..") and "\0" not in text), min_size=1, max_size=4))
def test_an_address_leads_to_the_parts_it_was_made_of(parts: list[str]) -> None:
    place = addresses.page("os/musl", *parts)
    assert re.fullmatch(r"/os/musl/-/[!-~]+", place)
    assert addresses.parts(place.removeprefix("/os/musl/")) == tuple(parts)


def test_addresses() -> None:
    key = Key("x86_64", "lib++", "1.0_p1-r0")
    assert addresses.version("os", key) == "/os/-/packages/lib++/1.0_p1-r0/x86_64"
    assert addresses.page("os") == "/os/"
    assert addresses.page("os", "packages", query={"q": "a b&c", "arch": "", "page": 0}) == "/os/-/packages?q=a+b%26c"
    assert addresses.file("os/musl", "x86_64", "lib++-1-r0.apk", "@5") == "/os/musl@5/x86_64/lib++-1-r0.apk"
    for path in ("x/y", "-/..", "-/a//b", "-/%00", "-/a/", "--/a"):
        assert addresses.parts(path) is None, path


@given(st.binary(max_size=60))
def test_any_query_is_a_question_or_none(query: bytes) -> None:
    question = question_of(query)
    assert question is None or all(isinstance(value, str) for value in question.fields.values())


def test_questions() -> None:
    question = question_of(b"q=+a%20b+&page=3&q=second&empty=")
    assert question is not None
    assert (question.text("q"), question.number("page"), question.text("none"), question.number("none", 7)) == ("a b", 3, "", 7)
    assert question_of(b"a=1&" * 30) is None and question_of(b"q=" + b"a" * 5000) is None
    assert [number_of(text) for text in ("0", "12", "-1", "1.0", "", "²", "9" * 13)] == [0, 12, None, None, None, None, None]


@given(st.integers(0, 500), st.integers(1, 60))
def test_pages_of_a_list_are_the_list(total: int, size: int) -> None:
    items, page = list(range(total)), 1
    seen: list[int] = []
    while True:
        question = question_of(f"page={page}".encode())
        assert question is not None
        part = excerpt(question, total, size)
        if not part.is_there:
            break
        seen += part.of(items)
        page += 1
    assert seen == items and page - 1 == part.pages


def test_figures_for_people() -> None:
    assert [size_text(size) for size in (0, 999, 1000, 1_234_567, 5_000_000_000, 10**13)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.2 MB", "5.0 GB", "10000.0 GB"
    ]  # fmt: skip
    assert (day_text(1_700_000_000_123), clock_text(1_700_000_000_123)) == ("2023‑11‑14", "22:13:20 UTC")
    assert machine_time(1_700_000_000_123) == "2023-11-14T22:13:20Z"
    assert day_text(10**18).startswith("9999") and day_text(-5).startswith("1970")


def palettes() -> dict[str, dict[str, str]]:
    """Colours by name, from the style sheet itself."""
    style = asset("style.css").decode()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text)) for text in (light, dark)]
    return {"light": found[0], "dark": found[0] | found[1]}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode: str) -> None:
    colours = palettes()[mode]
    fields = ("page", "surface", "stripe")
    pairs = [*product(("text", "quiet", "link", "good", "bad"), fields)]
    pairs += [(word, f"{word}-field") for word in ("good", "warn", "bad")]
    pairs += [(word, field) for word in ("text", "link") for field in ("plain-field", "bad-field")] + [("quiet", "bad-field")]
    low = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_borders_of_fields_and_marks_of_place_can_be_seen(mode: str) -> None:
    colours = palettes()[mode]
    pairs = [
        ("edge", "surface"),
        ("edge", "page"),
        ("ember", "page"),
        ("link", "surface"),
        ("good", "surface"),
        ("bad", "surface"),
    ]
    assert {pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 3} == set()


def test_every_colour_has_a_name() -> None:
    style = asset("style.css").decode()
    rules = re.sub(r":root \{.*?\}", "", style, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl", rules) == []
    assert set(re.findall(r"var\(--([a-z-]+)\)", rules)) <= set(palettes()["light"])
    assert palettes()["light"].keys() == palettes()["dark"].keys()


def test_templates_trust_nothing() -> None:
    for template in (files("apkiln.web") / "templates").iterdir():
        text = template.read_text()
        for word in ("|safe", "| safe", "autoescape", "<script", " style=", "javascript:", "Markup"):
            assert word not in text, f"{template.name}: {word}"
        assert not re.search(r"\son[a-z]+=", text), template.name
        assert not re.search(r"(?:href|src|action|value|class|content)=\{\{", text), f"{template.name}: a value without quotes"
