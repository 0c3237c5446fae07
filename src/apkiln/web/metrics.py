"""What Prometheus reads (spec repository.md §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from apkiln.repository.ledger.state import Step, Transaction

if TYPE_CHECKING:
    from apkiln.web.application import Hosted
    from apkiln.web.webhooks import Delivery

_HELP = {
    "repo_generation": ("gauge", "Number of the current generation."),
    "repo_generation_age_seconds": ("gauge", "Since the current generation is live."),
    "repo_generation_expires_seconds": ("gauge", "Unix time at which the document of the current generation expires."),
    "repo_packages": ("gauge", "Packages that were ever accepted."),
    "repo_transactions": ("gauge", "Transactions that have not ended, by state."),
    "tx_state_seconds": ("gauge", "Age of the oldest transaction in a state."),
    "publish_seconds": ("summary", "From opening to live, of the last hundred transactions."),
    "repo_difference_total": ("gauge", "Open incidents by class."),
    "repo_difference_oldest_seconds": ("gauge", "Age of the oldest incident of a class."),
    "webhook_failures_total": ("counter", "Posts that a receiver did not take."),
    "http_responses_total": ("counter", "Responses of public paths by status."),
}
_RECENT = 100


def metrics_text(
    hosted: Mapping[str, Hosted], responses: Mapping[int, int], now: int, deliveries: Sequence[Delivery] = ()
) -> str:
    """The text exposition format.  `now`: Unix milliseconds."""
    found: dict[str, list[str]] = {name: [] for name in _HELP}
    for repository, item in sorted(hosted.items()):
        for name, labels, value in _of_repository(item, now):
            found[name].append(f'{name}{{repo="{repository}"{labels}}} {value}')
    for delivery in deliveries:
        found["webhook_failures_total"].append(f'webhook_failures_total{{name="{delivery.hook.name}"}} {delivery.failures}')
    found["http_responses_total"] = [
        f'http_responses_total{{status="{status}"}} {count}' for status, count in sorted(responses.items())
    ]
    lines: list[str] = []
    for name, samples in found.items():
        if samples:
            kind, text = _HELP[name]
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples]
    return "\n".join(lines) + "\n"


_Sample = tuple[str, str, float]


def _of_repository(item: Hosted, now: int) -> Iterator[_Sample]:
    with item.service.reading() as state:
        generation = state.generations.get(state.current)
        waiting = [state.transactions[number] for number in state.unfinished]
        recent = _recent(state.transactions.values())
        packages, current = len(state.accepted), state.current
    yield "repo_generation", "", current
    yield "repo_packages", "", packages
    if generation is not None:
        yield "repo_generation_age_seconds", "", (now - generation.live_at) // 1000
        yield "repo_generation_expires_seconds", "", generation.expires
    for step, count in sorted(Counter(item.step.value for item in waiting).items()):
        oldest = max(now - item.changed for item in waiting if item.step.value == step)
        yield "repo_transactions", f',state="{step}"', count
        yield "tx_state_seconds", f',state="{step}"', oldest // 1000
    for quantile in (0.5, 0.95) if recent else ():
        place = min(len(recent) - 1, int(len(recent) * quantile))
        yield "publish_seconds", f',quantile="{quantile}"', recent[place] / 1000
    kinds = Counter(incident.difference.kind for incident in item.incidents.open)
    for kind, count in sorted(kinds.items()):
        since = min(incident.since for incident in item.incidents.open if incident.difference.kind == kind)
        yield "repo_difference_total", f',class="{kind}"', count
        yield "repo_difference_oldest_seconds", f',class="{kind}"', (now - since) // 1000


def _recent(transactions: Iterable[Transaction]) -> list[int]:
    """Milliseconds from opening to live of the newest ones with files that waited for nobody, ascending."""
    found: list[int] = []
    for transaction in reversed(list(transactions)[-10 * _RECENT :]):
        if transaction.step is Step.LIVE and transaction.manifest.files and not transaction.approvers:
            found.append(transaction.changed - transaction.opened)
            if len(found) == _RECENT:
                break
    return sorted(found)
