"""An explanation in words and as JSON."""

from __future__ import annotations

from typing import Any

from apkiln.solver.clauses import Fact
from apkiln.solver.explanation import Explanation, Suggestion


def headline(explanation: Explanation) -> str:
    """One sentence."""
    items = [f"`{item}`" for item in explanation.conflict]
    if len(items) == 1:
        return f"{items[0]} cannot be satisfied"
    return f"{', '.join(items[:-1])} and {items[-1]} cannot be satisfied together"


MOST_FACTS = 40
"""Lines of facts shown to people; JSON has all."""


def lines(explanation: Explanation) -> list[str]:
    """Because …, one line a fact, then what would help."""
    shown = explanation.facts[:MOST_FACTS]
    text = [f"because {_fact(fact)}" if number == 0 else f"and {_fact(fact)}" for number, fact in enumerate(shown)]
    if len(shown) < len(explanation.facts):
        text.append(f"and {len(explanation.facts) - len(shown)} more facts")
    if not explanation.smallest:
        text.append("(a smaller conflicting set may exist)")
    text += [_suggestion(suggestion) for suggestion in explanation.suggestions]
    return text


def _fact(fact: Fact) -> str:
    who = f"`{fact.package}`" if fact.package else "the request"
    match fact.kind:
        case "no-such-package":
            return f"{who} needs `{fact.item}`, and no package has that name or provides it"
        case "version":
            return f"{who} needs `{fact.item}`, and there is only {_listed(fact.by)}"
        case "depends":
            return f"{who} needs `{fact.item}`, which {_listed(fact.by)} could satisfy"
        case "conflict":
            return f"{who} refuses `{fact.item.removeprefix('!')}`, which is {_listed(fact.by)}"
        case "exclusive-name" if fact.item:
            return f"{_listed(fact.by)} gives the name `{fact.package}` twice and conflicts with itself"
        case "exclusive-name":
            return f"only one package may own the name `{fact.package}`: {_listed(fact.by)}"
        case "tag":
            return f"{who} is only in {fact.item}, and nothing allows that tag"
        case "virtual-unselectable":
            return f"{who} shares that name with others and is not chosen for it alone: ask for the package itself"
        case "arch":
            return f"{who} is made for `{fact.item}`"
        case "bad-record":
            return f"the record of {who} is malformed: {fact.item}"
        case "unavailable":
            return f"{who} cannot be fetched"
    raise AssertionError(fact.kind)


def _listed(names: str, most: int = 6) -> str:
    """Names for people: some, and how many more."""
    items = [f"`{name}`" for name in names.split()]
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
        "suggestions": [
            {"kind": item.kind, "item": item.item, "replacement": item.replacement} for item in explanation.suggestions
        ],
    }
