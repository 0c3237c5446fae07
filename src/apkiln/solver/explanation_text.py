"""An explanation in words and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apkiln.formats.apk.dependency import parse_dependency
from apkiln.solver.clauses import Fact
from apkiln.solver.explanation import Explanation, Suggestion
from apkiln.solver.hints import Hint


def headline(explanation: Explanation) -> str:
    """One sentence."""
    items = [f"`{item}`" for item in explanation.conflict]
    if len(items) == 1:
        return f"{items[0]} cannot be satisfied"
    return f"{', '.join(items[:-1])} and {items[-1]} cannot be satisfied together"


MOST_FACTS = 40
"""Lines of facts shown to people; JSON has all."""


def lines(explanation: Explanation) -> list[str]:
    """Because … and …, one line a fact, the conclusion, near misses, then what would help."""
    where = dict(explanation.places)
    shown = explanation.facts[:MOST_FACTS]
    text = [f"because {_fact(fact, where)}" if number == 0 else f"and {_fact(fact, where)}" for number, fact in enumerate(shown)]
    if len(shown) < len(explanation.facts):
        text.append(f"and {len(explanation.facts) - len(shown)} more facts")
    if text:
        text.append(f"so {headline(explanation)}")
    if not explanation.smallest:
        text.append("(a smaller conflicting set may exist)")
    if not explanation.irreducible:
        text.append("(not all of these facts may matter)")
    text += [line for line in map(_hint, explanation.hints) if line]
    text += [_suggestion(suggestion) for suggestion in explanation.suggestions]
    return text


def _hint(hint: Hint) -> str:
    """A near miss; empty for what the facts say already."""
    match hint.kind:
        case "similar-name":
            tagless = "@" not in hint.item
            close = " or ".join(f"`{name}`" for name in hint.found.split())
            return f"did you mean {close} instead of `{parse_dependency(hint.item, lenient=tagless).name}`?"
        case "masked-by-tag":
            return f"`{hint.found}` in {hint.where} would fit `{hint.item}`, but its tag is not asked for"
        case "other-architecture":
            return f"`{hint.found}` would fit `{hint.item}`, but is only there for {hint.where.partition(' ')[0]}"
    return ""


def _fact(fact: Fact, where: Mapping[str, str]) -> str:
    who = _named(fact.package, where) if fact.package else "the request"
    match fact.kind:
        case "no-such-package":
            return f"{who} needs `{fact.item}`, and no package has that name or provides it"
        case "version":
            return f"{who} needs `{fact.item}`, and there is only {_listed(fact.by, where)}"
        case "depends":
            return f"{who} needs `{fact.item}`, which {_listed(fact.by, where)} could satisfy"
        case "conflict":
            return f"{who} refuses `{fact.item.removeprefix('!')}`, which is {_listed(fact.by, where)}"
        case "exclusive-name" if fact.item:
            return f"{_listed(fact.by, where)} gives the name `{fact.package}` twice and conflicts with itself"
        case "exclusive-name":
            return f"only one package may own the name `{fact.package}`: {_listed(fact.by, where)}"
        case "tag":
            return f"`{fact.package}` is only in {fact.item}, and nothing allows that tag"
        case "virtual-unselectable":
            return f"{who} shares that name with others and is not chosen for it alone: ask for the package itself"
        case "arch":
            return f"{who} is made for `{fact.item}`"
        case "bad-record":
            return f"the record of {who} is malformed: {fact.item}"
        case "unavailable":
            return f"{who} cannot be fetched"
    raise AssertionError(fact.kind)


def _named(name: str, where: Mapping[str, str]) -> str:
    return f"`{name}` ({where[name]})" if name in where else f"`{name}`"


def _listed(names: str, where: Mapping[str, str], most: int = 6) -> str:
    """Names for people: some, and how many more."""
    items = [_named(name, where) for name in names.split()]
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def _suggestion(suggestion: Suggestion) -> str:
    match suggestion.kind:
        case "loosen-item":
            return f"`{suggestion.replacement}` instead of `{suggestion.item}` would work"
        case "allow-tag":
            return f"`{suggestion.replacement}` would work"
    return f"without `{suggestion.item}` the rest has a solution"


def value(explanation: Explanation) -> dict[str, Any]:
    """The JSON form."""
    return {
        "verdict": "unsatisfiable",
        "smallest": explanation.smallest,
        "irreducible": explanation.irreducible,
        "conflict": [str(item) for item in explanation.conflict],
        "facts": [fact._asdict() for fact in explanation.facts],
        "hints": [hint._asdict() for hint in explanation.hints],
        "places": dict(explanation.places),
        "suggestions": [
            {"kind": item.kind, "item": item.item, "replacement": item.replacement} for item in explanation.suggestions
        ],
    }
