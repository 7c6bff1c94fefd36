"""What is fuzzed: each target takes bytes and must return; any exception that escapes is a finding.

Some rules are checked on the way: one token has one spelling, no object has a member twice, and nothing is allowed
that was not signed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from joserfc import jwe
from joserfc.jwk import OctKey

from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.errors import KeyRefusedError
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.keys.encoding import encode_base64url, read_json_object
from jwtgate.reasons import Reason
from jwtgate.tokens import (
    ClaimRules,
    UnverifiedToken,
    VerifiedToken,
    VerifiedTokens,
    check_claims,
    mint,
    parse,
    unverified_issuer,
    verify_token,
)
from jwtgate.tokens.nested import decrypt, import_decryption_key

if TYPE_CHECKING:
    from jwtgate.keys import KeySet

Target = Callable[[bytes], None]

NOW: Final = 1_900_000_000.0
ISSUER: Final = "https://issuer.example"
SIGNER: Final = generate_signing_key("Ed25519")
KEYS: Final = read_jwks(json.dumps({"keys": [SIGNER.public_jwk()]}).encode())
GENUINE: Final = mint({"iss": ISSUER, "sub": "u", "aud": "a", "exp": 2_000_000_000}, SIGNER)

_PLAN: Final = load_text(
    """
version: 1
issuers:
  issuer:
    {issuer: "https://issuer.example", jwks: "https://issuer.example/jwks", audience: a, algorithms: [Ed25519]}
upstreams: {service: ["http://127.0.0.1:9"]}
policies: {caller: {issuer: issuer}}
routes: [{path: /, upstream: service, policy: caller, identity: {X-User: sub}}]
""",
    "fuzz.yaml",
    {},
).plan
_AUTHENTICATE: Final = Authenticator(_PLAN, VerifiedTokens(100_000))
_POLICY: Final = next(iter(_PLAN.policies))
_KEYSETS: Final[dict[str, KeySet]] = {"issuer": KEYS}


class FindingError(AssertionError):
    """A rule that did not hold."""


def fuzz_parse(data: bytes) -> None:
    """A string from outside. What is accepted is spelled in the one way."""
    text = data.decode("latin-1")
    token = parse(text, max_bytes=8192)
    if isinstance(token, UnverifiedToken):
        spelled = b".".join((token.signing_input, encode_base64url(token.signature))).decode()
        if spelled != text or encode_base64url(token.payload) != token.signing_input.split(b".")[1]:
            raise FindingError("a second spelling was accepted")
        unverified_issuer(token)


def fuzz_header(data: bytes) -> None:
    """A header's JSON, and a JSON object in general: whatever is read, a second reader reads the same."""
    parse(f"{encode_base64url(data).decode()}.e30.AAAA", max_bytes=8192)
    value = read_json_object(data)
    if value is not None and _without_repeats(data) != value:
        raise FindingError("another reader reads something else, or sees a member twice")


def _without_repeats(data: bytes) -> object:
    def one_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FindingError("a duplicate member was accepted")
        return found

    return json.loads(data, object_pairs_hook=one_each)


def fuzz_jwks(data: bytes) -> None:
    """A JWKS document: a KeySet, or KeyRefusedError."""
    try:
        keys = read_jwks(data)
    except KeyRefusedError:
        return
    for key in keys.keys:
        for algorithm, verifier in key.verifiers.items():
            if verifier(b"\0" * 64, b"data") or algorithm not in key.algorithms:
                raise FindingError("an empty signature was accepted")
    keys.select(algorithm="ES256", kid="a", x5t_s256=None)


def fuzz_claims(data: bytes) -> None:
    """Claims that are really signed: they hold or they do not."""
    signing_input = encode_base64url(b'{"alg":"Ed25519"}') + b"." + encode_base64url(data)
    text = (signing_input + b"." + encode_base64url(SIGNER.sign(signing_input))).decode()
    rules = ClaimRules(ISSUER, ("a",), leeway=30, required=("sub",), max_lifetime=3600)
    found = verify_token(text, KEYS, algorithms=("Ed25519",), rules=rules, now=NOW, max_bytes=1_000_000)
    if isinstance(found, VerifiedToken) and check_claims(found, rules, NOW) is not None:
        raise FindingError("verify_token and check_claims disagree")


def fuzz_authenticate(data: bytes) -> None:
    """A request's token: nothing that this process did not sign is allowed."""
    text = data.decode("utf-8", "surrogateescape")
    outcome = _AUTHENTICATE(_KEYSETS, _POLICY, Credential(text), NOW)
    if isinstance(outcome, Allow) and text != GENUINE:
        raise FindingError("a token that nobody signed was allowed")
    # The genuine token, touched: one octet of it replaced, and a piece inserted.
    if len(data) >= 3:
        place = (data[0] << 8 | data[1]) % len(GENUINE)
        touched = GENUINE[:place] + data[2:].decode("latin-1") + GENUINE[place + data[2] % 3 :]
        outcome = _AUTHENTICATE(_KEYSETS, _POLICY, Credential(touched), NOW)
        if isinstance(outcome, Allow) != (touched == GENUINE):
            raise FindingError("a touched token was allowed, or the genuine one was not")
    if isinstance(_AUTHENTICATE(_KEYSETS, _POLICY, Reason.TOKEN_MISSING, NOW), Allow):
        raise FindingError("no token was allowed")


_SEALER: Final = OctKey.generate_key(256)
_OPENER: Final = import_decryption_key({**_SEALER.as_dict(private=True), "alg": "dir"})
SEALED: Final = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}, GENUINE, _SEALER)


def fuzz_nested(data: bytes) -> None:
    """A decryption key's JSON; an encrypted token: whole, as the header of a genuine one, and as its contents."""
    jwk = read_json_object(data)
    if jwk is not None:
        with contextlib.suppress(KeyRefusedError):
            import_decryption_key(jwk)
    _, *rest = SEALED.split(".")
    for text in (data.decode("latin-1"), ".".join((encode_base64url(data).decode(), *rest))):
        found = decrypt(text, _OPENER)
        if not isinstance(found, Reason) and text != SEALED:
            raise FindingError("a token that nobody encrypted was opened")
    inside = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}, data, _SEALER)
    found = decrypt(inside, _OPENER, max_bytes=100_000)
    if not isinstance(found, Reason) and not isinstance(parse(found, max_bytes=100_000), UnverifiedToken):
        raise FindingError("what came out is no signed token")


TARGETS: Final[dict[str, Target]] = {
    "parse": fuzz_parse,
    "header": fuzz_header,
    "jwks": fuzz_jwks,
    "claims": fuzz_claims,
    "authenticate": fuzz_authenticate,
    "nested": fuzz_nested,
}
