"""The stores that a signer can have: each test that takes `place` runs with both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.plan import SignerPlace
from support.postgresql import PostgreSQL, binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server, for all tests of this process. script/test installs it where it may."""
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    with PostgreSQL(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SignerPlace:
    """A place that no signer has used."""
    if request.param == "sqlite":
        return SignerPlace(tmp_path / "keys")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return SignerPlace(None, server.new_database())
