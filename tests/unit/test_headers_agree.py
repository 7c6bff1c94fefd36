"""config and nginx do not know each other, and must agree about the headers that the gateway keeps to itself."""

from __future__ import annotations

import pytest

from jwtgate.config.headers import identity_header
from jwtgate.config.problems import Fault
from jwtgate.nginx.render import CLEARED_HEADERS


@pytest.mark.parametrize("header", CLEARED_HEADERS)
def test_a_header_that_nginx_clears_cannot_be_an_identity_header(header: str) -> None:
    assert isinstance(identity_header(header), Fault)
