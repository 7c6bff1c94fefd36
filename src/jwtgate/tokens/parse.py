"""A string from a stranger becomes an UnverifiedToken, or a Reason. Nothing in it is believed yet.

Rules: the compact form of RFC 7515 and nothing else. The size is limited before anything is decoded. The
header is read for `alg`, `kid`, `x5t#S256` and `typ`; keys and URLs in it (`jwk`, `jku`, `x5c`, `x5u`) are
ignored, always. Of the payload only the issuer's name leaves this package, to choose the key set by.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from jwtgate.keys.algorithms import ALGORITHMS
from jwtgate.keys.encoding import decode_base64url, read_json_object
from jwtgate.keys.jwk import is_name, is_sha256
from jwtgate.reasons import Reason

# Issuers have one header per key. The memory of headers is bounded by both: 256 KiB of text.
_HEADERS_REMEMBERED: Final = 256
_LONGEST_REMEMBERED: Final = 1024


# Structs of msgspec instead of dataclasses, here and in verify.py: made for every request, and a frozen
# dataclass takes ten times as long to make. `gc=False`: they hold JSON values and cannot be part of a cycle.
class Header(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What is read of a JOSE header (RFC 7515, section 4.1). `media_type` is `typ` in its comparable form."""

    algorithm: str
    kid: str | None
    x5t_s256: str | None
    typ: str | None
    media_type: str | None


class UnverifiedToken(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A well-formed token. What it says may be a lie: `verify` makes a VerifiedToken of it, or denies."""

    header: Header
    signing_input: bytes
    payload: bytes
    signature: bytes
    claims: dict[str, Any] | None  # None: the payload is not a JSON object

    @property
    def algorithm(self) -> str:
        """`alg`, one of the algorithms of the table."""
        return self.header.algorithm

    @property
    def kid(self) -> str | None:
        """`kid`, at most 256 printable characters."""
        return self.header.kid

    @property
    def x5t_s256(self) -> str | None:
        """`x5t#S256`, a base64url SHA-256 digest."""
        return self.header.x5t_s256

    @property
    def typ(self) -> str | None:
        """`typ` as it was sent."""
        return self.header.typ

    def __repr__(self) -> str:
        """The header only: payload and signature are the bearer's."""
        return f"UnverifiedToken({self.header!r})"


def parse(token: str, *, max_bytes: int) -> UnverifiedToken | Reason:
    """The compact JWS that `token` is, or why it is none.

    TOKEN_TOO_LARGE, TOKEN_MALFORMED, HEADER_INVALID, CRIT_UNSUPPORTED, or ALGORITHM_NOT_ALLOWED when `alg` is
    none that exists here. Source: RFC 7515, sections 3.1, 4.1 and 5.2; RFC 8725.
    """
    if len(token) > max_bytes:
        return Reason.TOKEN_TOO_LARGE
    if not token.isascii():
        return Reason.TOKEN_MALFORMED
    # RFC 7515, section 7.1: BASE64URL(header) || '.' || BASE64URL(payload) || '.' || BASE64URL(signature).
    # A dot too many is left in the payload's segment, which is then not base64url.
    signing_input, _, signature_segment = token.encode().rpartition(b".")
    header_segment, dot, payload_segment = signing_input.partition(b".")
    payload = decode_base64url(payload_segment)
    signature = decode_base64url(signature_segment)
    # RFC 7515, appendix A.5, has an empty signature: an unsecured token, which is none here.
    if payload is None or not signature or not header_segment or not dot:
        return Reason.TOKEN_MALFORMED
    if len(header_segment) <= _LONGEST_REMEMBERED:
        header = _remembered_header(header_segment)
    else:
        header = read_header(header_segment)
    if not isinstance(header, Header):
        return header
    return UnverifiedToken(header, signing_input, payload, signature, read_json_object(payload))


def unverified_issuer(token: UnverifiedToken) -> str | Reason:
    """The issuer that the token names, to choose the key set by, and for nothing else.

    TOKEN_MALFORMED when the payload is not a JSON object, ISSUER_UNKNOWN when its `iss` is not a string. Reasons
    that speak of claims are kept for signed tokens, so that they say something about an issuer, never about
    whoever wrote to us.
    """
    if token.claims is None:
        return Reason.TOKEN_MALFORMED
    issuer = token.claims.get("iss")
    return issuer if isinstance(issuer, str) else Reason.ISSUER_UNKNOWN


def read_header(segment: bytes) -> Header | Reason:
    """The JOSE header that a token's first segment spells, or why it is not accepted."""
    octets = decode_base64url(segment)
    if octets is None:
        return Reason.TOKEN_MALFORMED
    # RFC 7515, section 4: "The Header Parameter names within the JOSE Header MUST be unique".
    members = read_json_object(octets)
    if members is None:
        return Reason.HEADER_INVALID
    # RFC 7515, section 4.1.11: extensions that are listed and not understood make the JWS invalid. We
    # implement none. RFC 7797, section 6, wants `b64: false` listed; where it is not, the payload would be
    # read wrongly.
    if "crit" in members or members.get("b64", True) is not True:
        return Reason.CRIT_UNSUPPORTED
    # RFC 7516, section 4.1.3, has compression; a JWS has none.
    if "zip" in members:
        return Reason.HEADER_INVALID
    algorithm = members.get("alg")
    kid = members.get("kid")
    x5t_s256 = members.get("x5t#S256")
    typ = members.get("typ")
    if (
        not isinstance(algorithm, str)
        # A kid is an opaque name: never a path, a query or a URL.
        or ("kid" in members and not is_name(kid))
        or ("x5t#S256" in members and not is_sha256(x5t_s256))
        or ("typ" in members and not is_name(typ))
    ):
        return Reason.HEADER_INVALID
    # RFC 8725, section 3.1: only algorithms that are asked for. `none` is not in the table.
    if algorithm not in ALGORITHMS:
        return Reason.ALGORITHM_NOT_ALLOWED
    return Header(algorithm, kid, x5t_s256, typ, _media_type(typ))


_remembered_header = lru_cache(maxsize=_HEADERS_REMEMBERED)(read_header)


def _media_type(typ: str | None) -> str | None:
    # RFC 7515, section 4.1.9: the "application/" prefix is left out when no other "/" follows; it is as if it
    # were there. RFC 6838, section 4.2: media type names are case-insensitive.
    return None if typ is None else typ.lower().removeprefix("application/")
