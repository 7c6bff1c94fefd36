"""The two grants: client_credentials (RFC 6749, section 4.4) and token exchange (RFC 8693).

Both only narrow. A token's audience and scope are among those registered for the client. An exchanged token's are
among its subject token's too, and it ends with it. What widens one is registered as such: `exchange_to`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jwtgate.signer.forms import Form, optional, required
from jwtgate.signer.issue import Grant, TokenIssuer
from jwtgate.signer.oauth_errors import OAuthError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwtgate.signer.clients import Client
    from jwtgate.signer.issue import Issued

CLIENT_CREDENTIALS: Final = "client_credentials"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693, section 2.1
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # RFC 8693, section 3
_TOKEN_TYPES: Final = (ACCESS_TOKEN_TYPE, "urn:ietf:params:oauth:token-type:jwt")
_MAX_ACTORS: Final = 8  # services that hand a token on in turn


def grant_token(issuer: TokenIssuer, client: Client, form: Form, now: float) -> dict[str, Any]:
    """The body of the token endpoint's answer. Raises OAuthError and StoreError."""
    grant_type = required(form, "grant_type")
    if grant_type == CLIENT_CREDENTIALS:
        return _answer(issuer.issue(client_credentials(issuer, client, form), now))
    if grant_type == TOKEN_EXCHANGE:
        answer = _answer(issuer.issue(token_exchange(issuer, client, form, now), now))
        # RFC 8693, section 2.2.1
        return {**answer, "issued_token_type": ACCESS_TOKEN_TYPE}
    raise OAuthError("unsupported_grant_type", f"expected {CLIENT_CREDENTIALS} or {TOKEN_EXCHANGE}")


def client_credentials(issuer: TokenIssuer, client: Client, form: Form) -> Grant:
    """A token for the client itself. RFC 9068, section 2.2: `sub` is then the client."""
    allowed = client.audience or issuer.settings.audience
    return Grant(
        client=client,
        subject=client.id,
        audience=_targets(form, allowed) or allowed,
        scopes=_scopes(form, client.scopes) or client.scopes,
    )


def token_exchange(issuer: TokenIssuer, client: Client, form: Form, now: float) -> Grant:
    """A token for whom a token was issued to, with which the client acts for them."""
    if not client.may_exchange:
        raise OAuthError("unauthorized_client", "this client may not exchange tokens")
    if optional(form, "actor_token") is not None:
        raise OAuthError("invalid_request", "actor_token is not supported: the client itself is the actor")
    for name in ("subject_token_type", "requested_token_type"):
        given = required(form, name) if name == "subject_token_type" else optional(form, name)
        if given is not None and given not in _TOKEN_TYPES:
            raise OAuthError("invalid_request", f"{name} must be one of {', '.join(_TOKEN_TYPES)}")
    subject = issuer.recognise(required(form, "subject_token"), now)
    # RFC 8693, section 2.2.2: "If the request itself is not valid or if either the subject_token or actor_token
    # are invalid for any reason […] the value of the error parameter MUST be the invalid_request error code."
    if subject is None:
        raise OAuthError("invalid_request", "the subject_token is not a valid token of this issuer")
    if not may_act(subject, client):
        raise OAuthError("invalid_request", "the subject_token names another party that may act")
    had = _texts(subject.get("aud"))
    kept = tuple(name for name in client.audience or issuer.settings.audience if name in had)
    audience = _targets(form, (*kept, *client.exchange_to)) or kept
    if not audience:
        raise OAuthError("invalid_target", "name the target: resource or audience")
    held = [scope for scope in str(subject.get("scope", "")).split() if scope in client.scopes]
    return Grant(
        client=client,
        subject=str(subject["sub"]),
        audience=audience,
        scopes=_scopes(form, held) or tuple(held),
        expires=subject["exp"],
        act=_act(subject, client),
    )


def may_act(subject: Mapping[str, Any], client: Client) -> bool:
    """RFC 8693, section 4.4: a token that says who may act for its subject is exchanged by nobody else."""
    allowed = subject.get("may_act")
    return allowed is None or (isinstance(allowed, dict) and allowed.get("sub") == client.id)


def _act(subject: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """RFC 8693, section 4.1: the actor; who acted before it is nested in it."""
    before = subject.get("act")
    depth, inner = 1, before
    while isinstance(inner, dict):
        depth, inner = depth + 1, inner.get("act")
    if depth > _MAX_ACTORS:
        raise OAuthError("invalid_request", f"more than {_MAX_ACTORS} parties have acted in turn")
    return {"sub": client.id} if before is None else {"sub": client.id, "act": before}


def _targets(form: Form, allowed: Sequence[str]) -> tuple[str, ...]:
    """The audience that is asked for (RFC 8707, section 2; RFC 8693, section 2.1). Empty: none was."""
    for resource in form.get("resource", ()):
        # RFC 8707, section 2: "Its value MUST be an absolute URI […] The URI MUST NOT include a fragment
        # component."
        if not _is_absolute(resource) or "#" in resource:
            raise OAuthError("invalid_target", "resource must be an absolute URI without a fragment")
    wanted = tuple(dict.fromkeys((*form.get("resource", ()), *form.get("audience", ()))))
    if not set(wanted) <= set(allowed):
        raise OAuthError("invalid_target", "a target that this client may not have")
    return wanted


def _is_absolute(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).scheme)
    except ValueError:  # http://[
        return False


def _scopes(form: Form, allowed: Sequence[str]) -> tuple[str, ...]:
    """The scope that is asked for. Empty: none was."""
    wanted = tuple(dict.fromkeys((optional(form, "scope") or "").split()))
    if not set(wanted) <= set(allowed):
        raise OAuthError("invalid_scope", "a scope that this client may not have")
    return wanted


def _answer(issued: Issued) -> dict[str, Any]:
    """RFC 6749, section 5.1."""
    answer: dict[str, Any] = {
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.lifetime,
    }
    return {**answer, "scope": " ".join(issued.scopes)} if issued.scopes else answer


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else ()
