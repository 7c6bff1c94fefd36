"""Every token that a client received verifies, whatever rotates and dies; `python -m bench.signer` is longer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from jwtgate.plan import SignerPlace
from support.postgresql import PostgreSQL, binaries
from support.signer_chaos import Plan, play

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(tokens=400, rotate_every=1, kill_every=4.0, threads=2, again_after=4.0)


def check(place: SignerPlace, work: Path, nginx: Path) -> None:
    outcome = play(PLAN, place, work, nginx, os.environ | {"DATABASE": place.database or ""})
    assert outcome.refused == []
    assert (outcome.received, outcome.verified, outcome.repeated) == (400, 800, 0)
    assert len(outcome.keys) > 1
    assert outcome.kills > 0


def test_every_token_verifies_with_sqlite(nginx: Path, tmp_path: Path) -> None:
    check(SignerPlace(tmp_path / "keys"), tmp_path, nginx)


def test_every_token_verifies_with_postgresql(nginx: Path, tmp_path: Path) -> None:
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    with PostgreSQL(programs) as server:
        check(SignerPlace(None, server.new_database()), tmp_path, nginx)
