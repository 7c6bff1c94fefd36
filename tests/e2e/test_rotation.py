"""Keys rotate while clients send: nobody is refused who should not be. The short form of bench/rotation.py."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from jwtgate.nginx import find_nginx
from support.gateway import Gateway
from support.rotation import Answers, RotatingIssuer, make_schedule, send

if TYPE_CHECKING:
    from support.backend import Backend

CLIENTS = 2


def test_rotation_under_load_gives_no_wrong_answer(backend: Backend) -> None:
    with RotatingIssuer() as issuer:
        configuration = f"""
issuers: {{rotating: {issuer.settings()}}}
policies: {{caller: {{issuer: rotating}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller}}]
workers: 2
"""
        issuer.schedule = make_schedule(time.time() + 3600, rotations=2)
        with Gateway(configuration, nginx=find_nginx().path) as gateway:
            schedule = issuer.schedule = issuer.schedule.starting_at(time.time())
            until = schedule.start + 2.5 * schedule.period
            issuer.fetches = 0

            def client(seed: int) -> Answers:
                return send(schedule, gateway.address, until, seed=seed)

            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = list(pool.map(client, range(CLIENTS)))
        assert [told for each in answers for _, told in each.wrong] == []
        assert all(each.by_kind.keys() == {"fresh", "old", "forged"} for each in answers)
        # About one a second for all workers, and one for each key that comes earlier than the next.
        assert issuer.fetches <= (time.time() - schedule.start) * 2 + 4
