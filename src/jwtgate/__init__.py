"""jwtgate: JWT authentication for microservices, done once, in the NGINX gateway in front of them.

This module is the public API: the gateway's own verification, for services and test suites that want it in
process. Everything else is reached by the command `jwtgate`.

    keys = read_jwks(Path("jwks.json").read_bytes())
    rules = ClaimRules(issuer="https://issuer.example", audience=("orders",))
    match verify_token(token, keys, algorithms=("ES256",), rules=rules, now=time.time()):
        case VerifiedToken(claims=claims):
            print(claims["sub"])
        case Reason() as reason:
            print("denied:", reason)

And, for tests, tokens of one's own:

    key = generate_signing_key("ES256")
    keys = read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())
    token = mint({"iss": "https://issuer.example", "aud": "orders", "exp": 2_000_000_000}, key)
"""

from __future__ import annotations

from jwtgate.errors import JwtgateError, KeyRefusedError
from jwtgate.keys import Key, KeySet, SigningKey, generate_signing_key, import_jwk, read_jwks, secret_keyset
from jwtgate.reasons import Reason
from jwtgate.tokens import ClaimRules, VerifiedToken, mint, verify_token

__all__ = [
    "ClaimRules",
    "JwtgateError",
    "Key",
    "KeyRefusedError",
    "KeySet",
    "Reason",
    "SigningKey",
    "VerifiedToken",
    "generate_signing_key",
    "import_jwk",
    "mint",
    "read_jwks",
    "secret_keyset",
    "verify_token",
]
