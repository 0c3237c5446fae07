"""What Prometheus reads (spec repository.md §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.web.application import Hosted


def metrics_text(hosted: Mapping[str, Hosted], responses: Mapping[int, int], now: int) -> str:
    """The text exposition format.  `now`: Unix milliseconds."""
    lines: list[str] = []
    for name, item in sorted(hosted.items()):
        with item.service.reading() as state:
            lines.append(f'repo_generation{{repo="{name}"}} {state.current}')
            expires = state.generations[state.current].expires if state.current else 0
            lines.append(f'repo_generation_expires_seconds{{repo="{name}"}} {expires}')
            steps = Counter(state.transactions[number].step.value for number in state.unfinished)
            waiting = [state.transactions[number] for number in state.unfinished]
            oldest = {step: max(now - item.changed for item in waiting if item.step.value == step) for step in steps}
        lines += [f'repo_transactions{{repo="{name}",state="{step}"}} {count}' for step, count in sorted(steps.items())]
        lines += [f'tx_state_seconds{{repo="{name}",state="{step}"}} {age // 1000}' for step, age in sorted(oldest.items())]
        kinds = Counter(incident.difference.kind for incident in item.incidents.open)
        for kind, count in sorted(kinds.items()):
            since = min(incident.since for incident in item.incidents.open if incident.difference.kind == kind)
            lines.append(f'repo_difference_total{{repo="{name}",class="{kind}"}} {count}')
            lines.append(f'repo_difference_oldest_seconds{{repo="{name}",class="{kind}"}} {(now - since) // 1000}')
    lines += [f'http_responses_total{{status="{status}"}} {count}' for status, count in sorted(responses.items())]
    return "\n".join(lines) + "\n"
