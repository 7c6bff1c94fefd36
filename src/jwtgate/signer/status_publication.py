"""The status list as everybody may read it: signed, compressed, and kept in memory (Token Status List, section 8).

It is made anew when a token was revoked, and served from memory in between, also while the database is gone:
nothing can be revoked then either. It is longer than the indexes that were handed out, so that a verifier which
fetched it a moment ago has a place for the token that is issued now.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sqlalchemy import func, select
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwtgate.revocation import StatusList, status_claims
from jwtgate.revocation.status_token import MEDIA_TYPE, TYP
from jwtgate.signer.answers import NO_STORE, is_known
from jwtgate.signer.status import status_bits
from jwtgate.signer.tables import revocations, status_blocks
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from starlette.requests import Request

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.ring import KeyRing
    from jwtgate.signer.store import Store

PATH: Final = "/status-list"

_LEAST: Final = 1 << 14  # bytes: 131,072 tokens, which take some 150 bytes while none is revoked
_LIFETIME: Final = 3600  # seconds until a list ends; verifiers that cannot have a newer one give it up before
_SIGNED_ANEW: Final = 300.0  # seconds after which a list that has not changed gets a newer date


class StatusPublication:
    """Answers it. `refresh` in a thread, everything else anywhere. `clock` gives Unix time."""

    def __init__(self, settings: SignerSettings, store: Store, ring: KeyRing, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._ring = ring
        self._clock = clock
        self._version: tuple[object, ...] = ()
        self._signed_at = 0.0
        self._document = b""
        self._entity_tag = ""

    def routes(self) -> list[Route]:
        """Where it is: under its own path, and under the whole path of its URL, prefix included."""
        paths = dict.fromkeys((PATH, urlsplit(self._settings.status_list_uri).path or PATH))
        return [Route(path, self.publish) for path in paths]

    def refresh(self, now: float) -> None:
        """Make the list anew when it has changed or is old. Raises StoreError; the old one stays."""
        key = self._ring.signing(now)
        with self._store.read() as connection:
            version = (*_version(connection), key.kid)
            if version == self._version and now < self._signed_at + _SIGNED_ANEW:
                return
            bits = status_bits(connection)
        claims = status_claims(
            self._settings.status_list_uri,
            self._settings.issuer,
            StatusList(1, bits.ljust(_size(len(bits)), b"\0")),
            issued_at=int(now),
            lifetime=_LIFETIME,
            ttl=self._settings.status_list_max_age,
        )
        document = mint(claims, key, typ=TYP).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(document).digest()).rstrip(b"=").decode()
        self._document, self._entity_tag = document, f'"{digest}"'
        self._version, self._signed_at = version, now

    async def publish(self, request: Request) -> Response:
        """The list. 503 when there is none, or the last one has ended."""
        document, entity_tag = self._document, self._entity_tag
        if not document or self._clock() >= self._signed_at + _LIFETIME:
            status = "the database cannot be reached"
            return JSONResponse({"status": status}, status_code=503, headers={**NO_STORE, "Retry-After": "2"})
        headers = {
            "Cache-Control": f"public, max-age={self._settings.status_list_max_age}",
            "ETag": entity_tag,
            # NGINX as a cache sends no Age, and who fetches from it would count the max-age anew.
            "X-Accel-Expires": "1",
        }
        if is_known(request.headers.getlist("if-none-match"), entity_tag):
            return Response(status_code=304, headers=headers)
        return Response(document, media_type=MEDIA_TYPE, headers=headers)


def _version(connection: Connection) -> tuple[object, ...]:
    """What differs when the list does."""
    count, last = connection.execute(select(func.count(), func.max(revocations.c.revoked))).one()
    return count, last, connection.execute(select(func.max(status_blocks.c.number))).scalar()


def _size(used: int) -> int:
    """Bytes of a list of which so many are handed out: at least as many again, a power of two."""
    return max(_LEAST, 1 << (2 * used - 1).bit_length())
