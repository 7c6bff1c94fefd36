"""Where a request may carry its token. Whatever is read stands whole in the decision cache's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class AuthorizationHeader:
    """`Authorization: Bearer …` (RFC 6750, section 2.1)."""


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """Another header: the token alone, or after `Bearer`."""

    name: str


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie; one that is there twice is refused."""

    name: str


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter of the query (RFC 6750, section 2.3, which advises against it): NGINX's error log prints it."""

    name: str


@dataclass(frozen=True, slots=True)
class WebsocketProtocol:
    """A sub-protocol that a browser offers (RFC 6455, section 11.3.4): `prefix.` and the token."""

    prefix: str


TokenSource = AuthorizationHeader | RequestHeader | Cookie | QueryParameter | WebsocketProtocol

AUTHORIZATION: Final = (AuthorizationHeader(),)

# required: no token, no entry. optional: without a token a request is anonymous; an invalid one is denied.
# unsafe_tolerate_invalid: with an invalid one it is anonymous too.
Presence = Literal["required", "optional", "unsafe_tolerate_invalid"]
