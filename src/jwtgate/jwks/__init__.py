"""Issuers' keys, fetched in the background.

KeyStore         the key sets of all issuers, kept fresh: what the validator holds
fetch_once       one issuer's keys, now: what a command needs
Clocks           the time, for tests
IssuerView       where an issuer's keys stand, for `jwtgate keys`
"""

from __future__ import annotations

from jwtgate.jwks.clock import Clocks
from jwtgate.jwks.store import KeyStore, fetch_once
from jwtgate.jwks.view import IssuerView, KeyView

__all__ = ["Clocks", "IssuerView", "KeyStore", "KeyView", "fetch_once"]
