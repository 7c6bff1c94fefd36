"""Before anything is measured: does each system check tokens, and what does it check beside that?"""

from __future__ import annotations

import http.client
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.systems import AUDIENCE, issuer_of
from jwtgate.keys import generate_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import SigningKey

WITHOUT_AUTHENTICATION: Final = ("nginx", "nginx-1.31")

_HOUR = 3600


def check(name: str, address: str, keys: Mapping[str, SigningKey]) -> None:
    """SystemExit with the system's name when it refuses a good token of an algorithm, or takes a bad one."""
    for algorithm, key in keys.items():
        good = mint(_claims(algorithm, int(time.time())), key)
        if (status := ask(address, algorithm, good)) != http.client.OK:
            raise SystemExit(f"{name} does not let a good {algorithm} token through: it answers {status}")
        for what, token in _must_not_pass(key).items():
            if ask(address, algorithm, token) == http.client.OK:
                raise SystemExit(f"{name} lets {what} through ({algorithm}): its figures would say nothing")


def differences(address: str, key: SigningKey) -> dict[str, bool]:
    """Which tokens pass that one may see either way; by what they are."""
    return {what: ask(address, key.algorithm, token) == http.client.OK for what, token in _may_pass(key).items()}


def ask(address: str, algorithm: str, token: str | None) -> int:
    """The status of a request with a token, or without."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"/{algorithm.lower()}/", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _claims(algorithm: str, now: int) -> dict[str, object]:
    return {
        "iss": issuer_of(algorithm),
        "aud": AUDIENCE,
        "iat": now - 2 * _HOUR,
        "exp": now + _HOUR,
        "sub": "user-preflight",
        "jti": f"preflight-{now}",
    }


def _must_not_pass(key: SigningKey) -> dict[str, str | None]:
    now = int(time.time())
    claims = _claims(key.algorithm, now)
    body = mint(claims, key).rpartition(".")[0]
    # Another key that calls itself as the right one does.
    other = mint(claims, replace(generate_signing_key(key.algorithm), kid=key.kid))
    return {
        "a request without a token": None,
        "a token with another's signature": f"{body}.{mint(claims | {'sub': 'else'}, key).rpartition('.')[2]}",
        "a token signed by another key": other,
        "a token of another issuer": mint(claims | {"iss": "https://elsewhere.example"}, key),
        "a token without iss": mint(_without(claims, "iss"), key),
        "a token for another audience": mint(claims | {"aud": "others"}, key),
        "a token without aud": mint(_without(claims, "aud"), key),
        "a token that expired an hour ago": mint(claims | {"exp": now - _HOUR}, key),
    }


def _may_pass(key: SigningKey) -> dict[str, str]:
    now = int(time.time())
    claims = _claims(key.algorithm, now)
    return {
        "no `exp`": mint(_without(claims, "exp"), key),
        "`exp` 5 s ago": mint(claims | {"exp": now - 5}, key),
        "`exp` 45 s ago": mint(claims | {"exp": now - 45}, key),
        "`nbf` in an hour": mint(claims | {"nbf": now + _HOUR}, key),
        "`aud` a list that holds ours": mint(claims | {"aud": ["others", AUDIENCE]}, key),
    }


def _without(claims: Mapping[str, object], name: str) -> dict[str, object]:
    return {each: value for each, value in claims.items() if each != name}
