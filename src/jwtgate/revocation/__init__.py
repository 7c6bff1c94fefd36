"""Whether a token that was issued still stands, the pure part.

    status_list.py   the byte array of statuses, packed and compressed
    status_token.py  the signed JWT that carries it, read and written
    deny_list.py     what the operator denies: tokens, subjects, clients, and what was issued before a moment
    standing.py      both, as a request asks them

The status list is the IETF's Token Status List, by which an issuer publishes one entry for each of its tokens
(draft-ietf-oauth-status-list-21). It is fetched by `jwtgate.jwks.status`, never here.
"""

from __future__ import annotations

from jwtgate.revocation.deny_list import Denied, DenyList, read_denied, read_deny_list, write_denied
from jwtgate.revocation.standing import HeldList, NeedList, Standing
from jwtgate.revocation.status_list import StatusList, pack, read_status_list
from jwtgate.revocation.status_token import StatusListToken, read_status_token, status_claims

__all__ = [
    "Denied",
    "DenyList",
    "HeldList",
    "NeedList",
    "Standing",
    "StatusList",
    "StatusListToken",
    "pack",
    "read_denied",
    "read_deny_list",
    "read_status_list",
    "read_status_token",
    "status_claims",
    "write_denied",
]
