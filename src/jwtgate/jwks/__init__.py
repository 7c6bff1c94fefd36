"""Issuers' keys and status lists, fetched in the background.

KeyStore         the key sets of all issuers, kept fresh: what the validator holds
fetch_once       one issuer's keys, now: what a command needs
StatusStore      the status lists of issuers that publish any, kept fresh alike
Clocks           the time, for tests; steady: the clock that nobody can set
IssuerView       where an issuer's keys stand, for `jwtgate keys` and the metrics
StatusListView   where a status list stands, for the same
merged           the views of several workers as one; merged_lists likewise
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.lazy import lazy_names

if TYPE_CHECKING:
    from jwtgate.jwks.clock import Clocks, steady
    from jwtgate.jwks.source import fetch_once
    from jwtgate.jwks.status import StatusStore, fetch_list_once
    from jwtgate.jwks.status_view import StatusListView, merged_lists
    from jwtgate.jwks.store import KeyStore
    from jwtgate.jwks.view import IssuerView, KeyView, merged
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "jwtgate.jwks.clock": ("Clocks", "steady"),
            "jwtgate.jwks.source": ("fetch_once",),
            "jwtgate.jwks.status": ("StatusStore", "fetch_list_once"),
            "jwtgate.jwks.status_view": ("StatusListView", "merged_lists"),
            "jwtgate.jwks.store": ("KeyStore",),
            "jwtgate.jwks.view": ("IssuerView", "KeyView", "merged"),
        },
    )

__all__ = [
    "Clocks",
    "IssuerView",
    "KeyStore",
    "KeyView",
    "StatusListView",
    "StatusStore",
    "fetch_list_once",
    "fetch_once",
    "merged",
    "merged_lists",
    "steady",
]
