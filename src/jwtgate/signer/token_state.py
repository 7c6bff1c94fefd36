"""Introspection (RFC 7662) and revocation (RFC 7009): is this token of ours still good, and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jwtgate.signer.forms import Form, required
from jwtgate.signer.issue import TokenIssuer, status_index
from jwtgate.signer.oauth_errors import OAuthError
from jwtgate.signer.status import revoke

if TYPE_CHECKING:
    from jwtgate.signer.clients import Client


def introspect(issuer: TokenIssuer, client: Client, form: Form, now: float) -> dict[str, Any]:
    """The body of the answer. Raises OAuthError and StoreError."""
    if not client.may_introspect:
        raise OAuthError("unauthorized_client", "this client may not introspect tokens")
    claims = issuer.recognise(required(form, "token"), now)
    # RFC 7662, section 2.2: nothing about a token that is not active, not even why.
    if claims is None:
        return {"active": False}
    return {"active": True, "token_type": "Bearer", **{k: v for k, v in claims.items() if k != "status"}}


def revoke_token(issuer: TokenIssuer, client: Client, form: Form, now: float) -> None:
    """Revoke a token of this client. What is no valid token is no error (RFC 7009, section 2.2)."""
    claims = issuer.recognise(required(form, "token"), now)
    if claims is None:
        return
    # RFC 7009, section 2.1: the server "verifies whether the token was issued to the client making the revocation
    # request. If this validation fails, the request is refused".
    if claims.get("client_id") != client.id:
        raise OAuthError("unauthorized_client", "the token was issued to another client")
    index = status_index(claims)
    if index is None:
        raise OAuthError("invalid_request", "this token cannot be revoked: it has no status")
    with issuer.store.exclusive() as connection:
        revoke(connection, index, expires=claims["exp"], now=now)
