"""Every token that a client received verifies, whatever rotates and dies; `python -m bench.signer` is longer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from jwtgate.nginx import find_nginx
from jwtgate.plan import SignerPlace
from support.postgresql import PostgreSQL, binaries
from support.signer_chaos import Plan, play

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(tokens=200, rotate_every=1, kill_every=3.0, threads=2, pause=0.08, again_after=4.0)


def check(place: SignerPlace, work: Path) -> None:
    environment = os.environ | {"DATABASE": place.database or ""}
    outcome = play(PLAN, place, work, find_nginx().path, environment)
    assert outcome.refused == []
    assert (outcome.received, outcome.verified, outcome.repeated) == (PLAN.tokens, 2 * PLAN.tokens, 0)
    assert len(outcome.keys) > 1
    assert outcome.kills > 0


def test_every_token_verifies_with_sqlite(tmp_path: Path) -> None:
    check(SignerPlace(tmp_path / "keys"), tmp_path)


def test_every_token_verifies_with_postgresql(tmp_path: Path) -> None:
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    with PostgreSQL(programs) as server:
        check(SignerPlace(None, server.new_database()), tmp_path)
