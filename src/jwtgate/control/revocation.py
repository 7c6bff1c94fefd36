"""Status lists and the deny-list, as all workers see them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from jwtgate.control.parts import Said
from jwtgate.jwks import merged_lists
from jwtgate.validator import REVOCATION_PATH, DeniedAnswer, RevocationAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwtgate.control.parts import Parts

_read = msgspec.json.Decoder(RevocationAnswer).decode


async def revocation_view(parts: Parts, patience: float) -> RevocationAnswer:
    """Where they stand, of those workers that answer. `patience`: seconds for each."""
    said = (await parts.ask_validators(REVOCATION_PATH, patience=patience)).values()
    return merged_answers(
        [_read(each.body) for each in said if isinstance(each, Said) and each.status == HTTPStatus.OK]
    )


def merged_answers(workers: Sequence[RevocationAnswer]) -> RevocationAnswer:
    """What several workers see, as one: the fewest entries that one has, and what is wrong with one."""
    denied = [worker.deny_list for worker in workers]
    return RevocationAnswer(
        merged_lists(worker.status_lists for worker in workers),
        DeniedAnswer(
            next((each.file for each in denied if each.file is not None), None),
            min((each.entries for each in denied), default=0),
            next((each.error for each in denied if each.error is not None), None),
        ),
    )
