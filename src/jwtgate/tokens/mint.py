"""Claims and a SigningKey become a token. The counterpart of parse, verify and check_claims."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jwtgate.keys.encoding import encode_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys.signing import SigningKey


def mint(claims: Mapping[str, Any], key: SigningKey, *, typ: str = "JWT") -> str:
    """The compact JWS (RFC 7515, section 7.1) over `claims` as they are: nothing is added.

    Raises TypeError or ValueError when the claims are not JSON values (NaN and Infinity are none).
    """
    header = _segment({"alg": key.algorithm, "typ": typ, "kid": key.kid})
    signing_input = header + b"." + _segment(dict(claims))
    return (signing_input + b"." + encode_base64url(key.sign(signing_input))).decode()


def _segment(value: dict[str, Any]) -> bytes:
    return encode_base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
