"""A system that does not check tokens is not measured. The system is a server that checks with PyJWT."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from bench import preflight
from bench.systems import AUDIENCE, issuer_of

from jwtgate.keys import generate_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {algorithm: generate_signing_key(algorithm) for algorithm in ("ES256", "RS256")}


@contextlib.contextmanager
def system(**checks: Any) -> Iterator[str]:
    """A server's address. `checks`: options of PyJWT, on top of all checks; `anonymous`: no token is needed."""
    anonymous = checks.pop("anonymous", False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            algorithm = self.path.strip("/").upper()
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                if token or not anonymous:
                    jwt.decode(
                        token,
                        jwt.PyJWK(KEYS[algorithm].public_jwk()),
                        algorithms=[algorithm],
                        issuer=issuer_of(algorithm),
                        audience=AUDIENCE,
                        options={"require": ["iss", "aud"], **checks},  # type: ignore[arg-type]  # any of them
                    )
                self.send_response(200)
            except jwt.InvalidTokenError:
                self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_system_that_checks_everything_is_measured() -> None:
    with system() as address:
        preflight.check("pyjwt", address, KEYS)


CARELESS = [
    ({"verify_signature": False}, "another's signature"),
    ({"verify_iss": False}, "of another issuer"),
    ({"require": ["aud"], "verify_iss": False}, "of another issuer"),
    ({"verify_aud": False}, "for another audience"),
    ({"verify_exp": False}, "expired an hour ago"),
    ({"anonymous": True}, "a request without a token"),
]


@pytest.mark.parametrize(("checks", "what"), CARELESS, ids=[str(checks) for checks, _ in CARELESS])
def test_a_system_that_takes_a_bad_token_is_named(checks: dict[str, Any], what: str) -> None:
    with system(**checks) as address, pytest.raises(SystemExit, match=f"pyjwt lets .*{what}"):
        preflight.check("pyjwt", address, KEYS)


def test_a_system_that_refuses_good_tokens_is_named() -> None:
    with system(require=["acr"]) as address, pytest.raises(SystemExit, match="pyjwt does not let a good ES256"):
        preflight.check("pyjwt", address, KEYS)


def test_what_systems_do_with_other_tokens_is_found_by_asking() -> None:
    with system(verify_nbf=False) as address:
        assert preflight.differences(address, KEYS["ES256"]) == {
            "no `exp`": True,
            "`exp` 5 s ago": False,
            "`exp` 45 s ago": False,
            "`nbf` in an hour": True,
            "`aud` a list that holds ours": True,
        }
    with system(require=["exp"]) as address:
        found = preflight.differences(address, KEYS["RS256"])
        assert not found["no `exp`"]
        assert not found["`nbf` in an hour"]
