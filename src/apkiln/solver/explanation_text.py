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


def lines(explanation: Explanation) -> list[str]:
    """Because …, one line a fact, then what would help."""
    text = [f"because {_fact(fact)}" if number == 0 else f"and {_fact(fact)}" for number, fact in enumerate(explanation.facts)]
    if not explanation.smallest:
        text.append("(this set is irreducible; a smaller one may exist)")
    text += [_suggestion(suggestion) for suggestion in explanation.suggestions]
    return text


def _fact(fact: Fact) -> str:
    match fact.kind:
        case "depends":
            return f"`{fact.package}` needs `{fact.item}`" + (f" ({fact.by})" if fact.by else "")
        case "conflict":
            return f"`{fact.package}` refuses `{fact.item.removeprefix('!')}`"
        case "exclusive-name":
            if fact.item:
                return f"`{fact.by}` gives the name `{fact.package}` twice and conflicts with itself"
            return f"only one package may own the name `{fact.package}`: {fact.by}"
        case "tag":
            return f"`{fact.package}` is only in {fact.item}, and no item allows that tag"
        case "virtual-unselectable":
            return f"`{fact.package}` shares that name with others and is not chosen for it alone: name the package itself"
        case "arch":
            return f"`{fact.package}` is made for `{fact.item}`"
        case "bad-record":
            return f"the record of `{fact.package}` is malformed: {fact.item}"
        case "unavailable":
            return f"`{fact.package}` cannot be fetched"
        case "no-such-package":
            return f"no package is called or provides `{fact.item}`" + (f", which {fact.package} needs" if fact.package else "")
        case "version":
            return f"no package fits `{fact.item}`: there is {fact.by}"
    return f"{fact.kind}: {fact.package} {fact.item} {fact.by}".rstrip()


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
        "conflict": [str(item) for item in explanation.conflict],
        "facts": [fact._asdict() for fact in explanation.facts],
        "suggestions": [
            {"kind": item.kind, "item": item.item, "replacement": item.replacement} for item in explanation.suggestions
        ],
    }
