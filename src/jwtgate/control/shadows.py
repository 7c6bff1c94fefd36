"""What shadow policies would have decided, as all workers have counted it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.control.parts import Said
from jwtgate.errors import ControlError
from jwtgate.validator import METRICS_PATH, Measurements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.control.commands import Running

_PATIENCE = 5.0  # seconds for a worker to answer


async def show_shadows(running: Running, _arguments: Mapping[str, Any]) -> Any:
    """Each policy with its shadow, and how often they decided what since the workers started.

    What is counted is called `requests` only where NGINX repeats no decision.
    """
    said = await running.parts.ask_validators(METRICS_PATH, patience=_PATIENCE)
    answering = [each for each in said.values() if isinstance(each, Said)]
    if not answering:
        raise ControlError("no validator answers: see the gateway's log")
    totals: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    repeated: set[tuple[str, str]] = set()
    for policy in running.plan.policies.values():
        if policy.shadow is not None:
            pair = policy.name, policy.shadow.name
            totals.setdefault(pair, Counter())
            if policy.staleness:
                repeated.add(pair)
    for answer in answering:
        for each in msgspec.json.decode(answer.body, type=Measurements).shadows:
            kinds = totals.setdefault((each.policy, each.shadow), Counter())
            kinds[each.enforced, each.would_be] += each.count
    return {
        "workers": len(said),
        "answering": len(answering),
        "shadows": [
            {
                "policy": policy,
                "shadow": shadow,
                "counted": "decisions" if (policy, shadow) in repeated else "requests",
                "seen": kinds.total(),
                "agreed": sum(count for (enforced, would_be), count in kinds.items() if enforced == would_be),
                "disagreements": [
                    {"enforced": enforced, "would_be": would_be, "count": count}
                    for (enforced, would_be), count in kinds.most_common()
                    if enforced != would_be
                ],
            }
            for (policy, shadow), kinds in totals.items()
        ],
    }
