"""`jwtgate verify --batch`: JSON lines in, a verdict for each out, so that any corpus of tokens can be run.

Rules: a line that cannot be judged stops no other. Key sets repeat in a corpus, so those that were read are kept.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import KeySet, public_half, read_jwks
from jwtgate.keys.encoding import read_json_object
from jwtgate.reasons import Reason
from jwtgate.tokens import MAX_TOKEN_BYTES, ClaimRules, check_signature, parse, verify_token

if TYPE_CHECKING:
    from collections.abc import Collection

INPUT_INVALID: Final = "input_invalid"
_KEY_SETS_KEPT: Final = 256


class Case(msgspec.Struct, frozen=True):
    """A line: a token, and what it is judged by. Other members are not looked at."""

    token: str
    jwks: msgspec.Raw  # a JWK Set or one JWK: the object, or its text as a string
    algs: list[str]
    name: Any = None
    now: float | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    claims: bool = True
    decryption_key: dict[str, Any] | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer. `error` says why a line could not be judged."""

    name: Any
    verdict: str
    reason: str | None
    error: str = ""


_read_case: Final = msgspec.json.Decoder(Case).decode
_write: Final = msgspec.json.Encoder().encode


def run_batch(source: BinaryIO, sink: BinaryIO, now: float) -> bool:
    """Answers each line of `source` that is not blank. False when one of them could not be judged."""
    judged_all = True
    for number, line in enumerate(source, start=1):
        if line.strip():
            verdict = judge_line(line, now)
            if verdict.error:
                judged_all = False
                verdict = msgspec.structs.replace(verdict, error=f"line {number}: {verdict.error}")
            sink.write(_write(verdict) + b"\n")
    sink.flush()
    return judged_all


def judge_line(line: bytes, now: float) -> Verdict:
    """What a line gets. `now` is Unix time in seconds, for lines that do not say when."""
    members = read_json_object(line)
    if members is None:
        error = "not a JSON object, or it has a member twice, or it is nested too deep"
        return Verdict(None, "deny", INPUT_INVALID, error)
    name = members.get("name")
    try:
        reason = judge(_read_case(line), now)
    except msgspec.ValidationError as error:
        return Verdict(name, "deny", INPUT_INVALID, str(error))
    except KeyRefusedError as error:
        return Verdict(name, "deny", INPUT_INVALID, f"decryption_key: {error}")
    return Verdict(name, "allow" if reason is None else "deny", reason)


def judge(case: Case, now: float) -> Reason | None:
    """Why the token is denied, or None. A key set that is refused as a whole is an issuer without keys.

    Raises ValidationError for a `jwks` of another type, KeyRefusedError for a bad `decryption_key`.
    """
    keys = _key_set(bytes(case.jwks))
    token = case.token
    if case.decryption_key is not None:
        from jwtgate.tokens.nested import decrypt, import_decryption_key  # slow to import, and seldom needed

        opened = decrypt(token, import_decryption_key(case.decryption_key))
        if isinstance(opened, Reason):
            return opened
        token = opened
    if keys is None:
        return Reason.ISSUER_UNAVAILABLE
    audience = (case.aud,) if isinstance(case.aud, str) else case.aud
    rules = ClaimRules(case.iss, None if audience is None else tuple(audience)) if case.claims else None
    return decide(token, keys, case.algs, rules, now if case.now is None else case.now)


@lru_cache(maxsize=_KEY_SETS_KEPT)
def _key_set(raw: bytes) -> KeySet | None:
    document = msgspec.json.decode(raw)
    if not isinstance(document, str | dict):
        raise msgspec.ValidationError("Expected a JWK Set or a JWK - at `$.jwks`")
    try:
        return read_own_keys(document.encode() if isinstance(document, str) else raw)
    except KeyRefusedError:
        return None


def decide(
    token: str, keys: KeySet, algorithms: Collection[str], rules: ClaimRules | None, now: float
) -> Reason | None:
    """Why `token` is denied, or None. Without `rules` its signature is checked and its payload may be anything."""
    if rules is not None:
        found = verify_token(token, keys, algorithms=algorithms, rules=rules, now=now)
        return found if isinstance(found, Reason) else None
    parsed = parse(token, max_bytes=MAX_TOKEN_BYTES)
    if isinstance(parsed, Reason):
        return parsed
    if parsed.algorithm not in algorithms:
        return Reason.ALGORITHM_NOT_ALLOWED
    key = keys.select(algorithm=parsed.algorithm, kid=parsed.kid, x5t_s256=parsed.x5t_s256)
    return key if isinstance(key, Reason) else check_signature(parsed, key)


def read_own_keys(data: bytes) -> KeySet:
    """The keys of a JWK Set, or of a single JWK, that the person at the keyboard gave.

    Unlike a set from an issuer it may hold key pairs; of those the public half is used. Raises KeyRefusedError.
    """
    document = read_json_object(data)
    if document is None:
        return read_jwks(data)  # which says what is wrong
    entries = [document] if "kty" in document else document.get("keys")
    if isinstance(entries, list):
        entries = [public_half(entry) if isinstance(entry, dict) else entry for entry in entries]
    return read_jwks(json.dumps({"keys": entries}).encode())
