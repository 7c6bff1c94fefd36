"""A grant becomes an access token, by RFC 9068."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jwtgate.reasons import Reason
from jwtgate.signer.status import StatusIndexes, is_revoked
from jwtgate.tokens import ClaimRules, mint, verify_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.clients import Client
    from jwtgate.signer.ring import KeyRing
    from jwtgate.signer.store import Store

TYP: Final = "at+jwt"  # RFC 9068, section 2.1


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client gets. `expires` bounds the token beyond its lifetime; `act` is RFC 8693's."""

    client: Client
    subject: str
    audience: tuple[str, ...]
    scopes: tuple[str, ...]
    expires: float | None = None
    act: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and what its answer says about it."""

    token: str
    lifetime: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Issues tokens, and knows its own again."""

    settings: SignerSettings
    store: Store
    ring: KeyRing
    indexes: StatusIndexes

    def issue(self, grant: Grant, now: float) -> Issued:
        """Sign an access token. Raises StoreError when it cannot be given an index, or no key signs."""
        issued = int(now)
        lifetime = min(self.settings.token_lifetime, grant.client.token_lifetime or self.settings.token_lifetime)
        expires = issued + lifetime if grant.expires is None else min(issued + lifetime, int(grant.expires))
        claims: dict[str, Any] = {
            "iss": self.settings.issuer,
            "sub": grant.subject,
            # RFC 7519, section 4.1.3: one audience may be a string, several are an array.
            "aud": grant.audience[0] if len(grant.audience) == 1 else list(grant.audience),
            "client_id": grant.client.id,
            "iat": issued,
            "exp": expires,
            "jti": str(uuid.uuid4()),
            # Token Status List, section 6.1
            "status": {"status_list": {"idx": self.indexes.allocate(now), "uri": self.settings.status_list_uri}},
        }
        if grant.scopes:
            claims["scope"] = " ".join(grant.scopes)
        if grant.act is not None:
            claims["act"] = grant.act
        token = mint(claims, self.ring.signing(now, grant.client.algorithm), typ=TYP)
        return Issued(token, expires - issued, grant.scopes)

    def recognise(self, token: str, now: float) -> Mapping[str, Any] | None:
        """The claims of a token of ours that holds at `now` and was not revoked; else None."""
        keys = self.ring.published(now).keys
        # RFC 8725, section 3.11: the status list is a JWT of ours too, and everybody can have it.
        rules = ClaimRules(issuer=self.settings.issuer, audience=None, types=(TYP,))
        algorithms = {algorithm for key in keys.keys for algorithm in key.algorithms}
        verified = verify_token(token, keys, algorithms=algorithms, rules=rules, now=now)
        if isinstance(verified, Reason):
            return None
        index = status_index(verified.claims)
        if index is not None:
            with self.store.read() as connection:
                if is_revoked(connection, index):
                    return None
        return verified.claims


def status_index(claims: Mapping[str, Any]) -> int | None:
    """The index of a token of ours in the status list; None for one that has none."""
    match claims.get("status"):
        case {"status_list": {"idx": int(index)}}:
            return index
        case _:
            return None
