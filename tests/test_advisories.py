"""What went wrong elsewhere: a test for each published class of mistake about tokens and keys, named after it.

Each is attacked as the advisory describes, through the front door: `verify_token`, `read_jwks`, or a route's whole
`Authenticator`. What happens between NGINX and a validator is attacked in tests/e2e, what an issuer does in
tests/unit/jwks and tests/chaos.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from math import factorial, gcd, prod
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from joserfc import jwe
from joserfc.jwk import OctKey

from jwtgate import (
    ClaimRules,
    KeyRefusedError,
    Reason,
    SigningKey,
    VerifiedToken,
    decrypt,
    generate_signing_key,
    import_decryption_key,
    mint,
    read_jwks,
    secret_keyset,
    verify_token,
)
from jwtgate.authenticate import Allow, Authenticator, Credential, Deny
from jwtgate.config import load_text
from jwtgate.errors import ConfigError
from jwtgate.keys import serialise_signing_key
from jwtgate.keys.algorithms import CURVES
from jwtgate.keys.encoding import decode_base64url, encode_base64url
from jwtgate.tokens import VerifiedTokens, token_digest
from jwtgate.validator.extract import extract

if TYPE_CHECKING:
    from jwtgate import KeySet

NOW = 1_800_000_000
ISSUER, AUDIENCE = "https://issuer.example", "services"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 300}
RULES = ClaimRules(issuer=ISSUER, audience=(AUDIENCE,))

EC = generate_signing_key("ES256")
RSA = generate_signing_key("RS256")
STRANGER = generate_signing_key("ES256")


def keyset(*keys: SigningKey) -> KeySet:
    return read_jwks(json.dumps({"keys": [key.public_jwk() for key in keys]}).encode())


KEYS = keyset(EC, RSA)


def segment(value: object) -> bytes:
    return encode_base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


def signed(header: dict[str, Any], payload: object = CLAIMS, key: SigningKey = EC) -> str:
    """A token whose header says what it is told, signed by `key` all the same."""
    signing_input = segment(header) + b"." + segment(payload)
    return (signing_input + b"." + encode_base64url(key.sign(signing_input))).decode()


def judged(token: str, keys: KeySet = KEYS, algorithms: tuple[str, ...] = ("ES256", "RS256")) -> object:
    outcome = verify_token(token, keys, algorithms=algorithms, rules=RULES, now=NOW)
    return "allowed" if isinstance(outcome, VerifiedToken) else outcome


def configured(issuer: str) -> str:
    """What loading a gateway.yaml with this issuer says; empty when it is taken."""
    text = (
        f"version: 1\nissuers: {{main: {issuer}}}\npolicies: {{caller: {{issuer: main}}}}\n"
        "upstreams: {app: http://127.0.0.1:1}\nroutes: [{path: /, upstream: app, policy: caller}]\n"
    )
    try:
        load_text(text, "gateway.yaml", {"SECRET": "s" * 64})
    except ConfigError as error:
        return str(error)
    return ""


ISSUER_YAML = f"issuer: '{ISSUER}', jwks: '{ISSUER}/jwks'"


def test_the_token_of_these_tests_is_good_before_it_is_attacked() -> None:
    assert judged(mint(CLAIMS, EC)) == "allowed"
    assert judged(mint(CLAIMS, RSA)) == "allowed"
    assert configured(f"{{{ISSUER_YAML}, audience: a, algorithms: [ES256]}}") == ""


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS1", "ES256 "])
def test_alg_none_and_unknown_algorithms_are_denied(algorithm: str) -> None:
    unsecured = (segment({"alg": algorithm}) + b"." + segment(CLAIMS) + b".").decode()
    assert isinstance(judged(unsecured), Reason)
    assert judged(signed({"alg": algorithm, "kid": EC.kid})) is Reason.ALGORITHM_NOT_ALLOWED


def test_alg_none_cannot_be_written_in_the_configuration() -> None:
    assert "none" in configured(f"{{{ISSUER_YAML}, audience: a, algorithms: [none]}}")


def test_an_empty_signature_is_refused_before_any_crypto() -> None:
    head, payload, _ = mint(CLAIMS, EC).split(".")
    assert judged(f"{head}.{payload}.") is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_cve_2022_29217_a_public_key_is_never_an_hmac_secret(key: SigningKey) -> None:
    # Also CVE-2026-48526, CVE-2024-33663, CVE-2026-39999, CVE-2026-22817.
    spellings = [json.dumps(key.public_jwk()).encode(), *(value.encode() for value in key.public_jwk().values())]
    for secret in spellings:
        signing_input = segment({"alg": "HS256", "kid": key.kid}) + b"." + segment(CLAIMS)
        signature = encode_base64url(hmac.digest(secret, signing_input, hashlib.sha256))
        forged = (signing_input + b"." + signature).decode()
        assert judged(forged, algorithms=("HS256", "ES256", "RS256")) in {
            Reason.ALGORITHM_NOT_ALLOWED,
            Reason.KEY_UNKNOWN,
        }


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_cve_2024_33663_a_public_key_in_whatever_form_is_no_secret(key: SigningKey) -> None:
    public = load_pem_private_key(serialise_signing_key(key, None), None).public_key()
    pem, der = (
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for encoding in (Encoding.PEM, Encoding.DER)
    )
    ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    jwk = json.dumps(key.public_jwk()).encode()
    for secret in (pem, der, b64encode(der), ssh, jwk, b'{"keys":[' + jwk + b"]}"):
        with pytest.raises(KeyRefusedError):
            secret_keyset(secret, ["HS256"])


def test_symmetric_and_asymmetric_algorithms_are_never_configured_together() -> None:
    assert configured(f"{{{ISSUER_YAML}, audience: a, algorithms: [HS256, ES256]}}")
    assert configured(f"{{{ISSUER_YAML}, audience: a, algorithms: [HS256]}}")
    assert configured(f"{{issuer: '{ISSUER}', secret_env: SECRET, audience: a, algorithms: [RS256]}}")


@pytest.mark.parametrize(
    "pointer",
    [
        {"jwk": STRANGER.public_jwk()},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/cert"},
        {"x5c": ["MIIB"]},
    ],
    ids=["jwk", "jku", "x5u", "x5c"],
)
def test_cve_2018_0114_a_key_in_the_token_is_ignored(pointer: dict[str, Any]) -> None:
    header = {"alg": "ES256", "kid": EC.kid} | pointer
    assert judged(signed(header, key=STRANGER)) is Reason.SIGNATURE_INVALID
    assert judged(signed(header, key=EC)) == "allowed"


@pytest.mark.parametrize(
    "kid",
    ["../../../../dev/null", "' OR '1'='1", "https://attacker.example/key", "a" * 257, "a\nb", "\u202e", 7, ""],
)
def test_a_kid_is_an_opaque_name_and_no_path_query_or_url(kid: object) -> None:
    assert judged(signed({"alg": "ES256", "kid": kid}, key=STRANGER)) in {
        Reason.KEY_UNKNOWN,
        Reason.HEADER_INVALID,
    }


@pytest.mark.parametrize("r", [0, 1])
@pytest.mark.parametrize("s", [0, 1])
def test_cve_2022_21449_zero_is_no_part_of_an_ecdsa_signature(r: int, s: int) -> None:
    signing_input = segment({"alg": "ES256", "kid": EC.kid}) + b"." + segment(CLAIMS)
    blank = encode_base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    assert judged((signing_input + b"." + blank).decode()) is Reason.SIGNATURE_INVALID


def test_an_ecdsa_signature_is_raw_and_of_exact_length() -> None:
    head, payload, signature = mint(CLAIMS, EC).split(".")
    der = encode_base64url(b"\x30\x06\x02\x01\x01\x02\x01\x01").decode()
    for changed in (der, signature[:-2], signature + "AAAA"):
        assert judged(f"{head}.{payload}.{changed}") in {Reason.SIGNATURE_INVALID, Reason.TOKEN_MALFORMED}


def test_malleable_encodings_one_token_has_one_spelling() -> None:
    token = mint(CLAIMS, EC)
    head, payload, signature = token.split(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    trailing_bits = signature[:-1] + alphabet[alphabet.index(last) ^ 1]
    assert judged(token + "A") is Reason.SIGNATURE_INVALID  # well-formed: 65 octets
    for spelling in (
        token + "AAA",
        token + "=",
        token + "==",
        token + " ",
        " " + token,
        token + "\n",
        f"{head}.{payload}.{trailing_bits}",
        f"{head}.{payload}.{signature}.",
        f"{head}=.{payload}.{signature}",
        token.replace(".", ".\t", 1),
    ):
        assert judged(spelling) is Reason.TOKEN_MALFORMED


def test_what_a_signature_of_another_value_would_be_is_refused_but_for_ecdsas_twin() -> None:
    """docs/decisions: the twin of an ECDSA signature verifies, by ECDSA's definition. Nothing relies on it."""
    head, payload, signature = mint(CLAIMS, EC).split(".")
    octets = decode_base64url(signature.encode()) or b""
    r, s = int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")
    order = CURVES["P-256"].order

    def with_pair(first: int, second: int) -> str:
        return (
            f"{head}.{payload}.{encode_base64url(first.to_bytes(32, 'big') + second.to_bytes(32, 'big')).decode()}"
        )

    twin = with_pair(r, order - s)
    assert judged(twin) == "allowed"
    assert judged(with_pair(order - r, s)) is Reason.SIGNATURE_INVALID
    # The memory of verified tokens goes by the whole token: the twin is another one, and verified by itself.
    assert token_digest(twin) != token_digest(with_pair(r, s))


# RFC 8032, sections 5.1 and 5.2: the orders of the groups.
EDWARDS_ORDERS = {
    "Ed25519": 2**252 + 27742317777372353535851937790883648493,
    "Ed448": 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885,
}


@pytest.mark.parametrize("algorithm", ["Ed25519", "Ed448", "RS256", "PS256", "ML-DSA-44"])
def test_signatures_of_other_algorithms_have_no_twin(algorithm: str) -> None:
    key = generate_signing_key(algorithm)
    token = mint(CLAIMS, key)
    signing_input, _, signature = token.rpartition(".")
    octets = decode_base64url(signature.encode()) or b""
    others = [octets + b"\0", b"\0" + octets, bytes((octets[0] ^ 1, *octets[1:]))]
    if algorithm in EDWARDS_ORDERS:  # S and S + L
        half = len(octets) // 2
        beyond = int.from_bytes(octets[half:], "little") + EDWARDS_ORDERS[algorithm]
        others.append(octets[:half] + beyond.to_bytes(half, "little"))
    if algorithm in {"RS256", "PS256"}:  # s and n - s; s + n where it fits
        s, n = (
            int.from_bytes(decode_base64url(text.encode()) or b"") for text in (signature, key.public_jwk()["n"])
        )
        others += [value.to_bytes(256) for value in (n - s, s + n) if value < 1 << 2048]
    assert judged(token, keyset(key), (algorithm,)) == "allowed"
    for other in others:
        spelling = f"{signing_input}.{encode_base64url(other).decode()}"
        assert judged(spelling, keyset(key), (algorithm,)) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "extension",
    [
        {"crit": ["exp"], "exp": NOW},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None},
        {"b64": False},
    ],
    ids=str,
)
def test_cve_2025_59420_and_cve_2026_32597_unknown_crit_is_denied(extension: dict[str, Any]) -> None:
    assert judged(signed({"alg": "ES256", "kid": EC.kid} | extension)) is Reason.CRIT_UNSUPPORTED


def test_cve_2025_61920_a_huge_token_is_refused_by_its_size() -> None:
    assert judged("a" * 10_000_000) is Reason.TOKEN_TOO_LARGE
    assert judged(mint(CLAIMS | {"pad": "x" * 9000}, EC)) is Reason.TOKEN_TOO_LARGE


def test_cve_2025_62706_nothing_is_inflated() -> None:
    assert judged(signed({"alg": "ES256", "kid": EC.kid, "zip": "DEF"})) is Reason.HEADER_INVALID


def test_deep_json_is_refused() -> None:
    assert judged(signed({"alg": "ES256", "kid": EC.kid}, b"[" * 2000)) is Reason.TOKEN_MALFORMED
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert judged(signed({"alg": "ES256", "kid": EC.kid}, deep)) is Reason.TOKEN_MALFORMED


def test_duplicate_members_are_refused() -> None:
    twice = json.dumps(CLAIMS)[:-1].encode() + b', "sub": "admin"}'
    assert judged(signed({"alg": "ES256", "kid": EC.kid}, twice)) is Reason.TOKEN_MALFORMED
    head = encode_base64url(b'{"alg":"ES256","alg":"none"}').decode()
    assert judged(f"{head}.e30.AA") is Reason.HEADER_INVALID


def test_cve_2026_48990_the_json_serialisation_is_no_token() -> None:
    head, payload, signature = mint(CLAIMS, EC).split(".")
    general = {"payload": payload, "signatures": [{"protected": head, "signature": signature}]}
    for document in (general, general | {"signatures": []}, {"payload": payload, "protected": head}):
        assert judged(json.dumps(document)) is Reason.TOKEN_MALFORMED


SHARED = OctKey.import_key({"kty": "oct", "k": encode_base64url(bytes(range(32))).decode()})
OPENER = import_decryption_key({**SHARED.as_dict(private=True), "alg": "dir"})


def encrypted(content: str, **header: str) -> str:
    members = {"alg": "dir", "enc": "A256GCM", "cty": "JWT", **header}
    return jwe.encrypt_compact(members, content, SHARED, algorithms=["dir", "A256GCM", "DEF"])


def test_cve_2026_29000_and_cve_2026_49230_encryption_is_no_proof_of_origin() -> None:
    claims = encrypted(json.dumps(CLAIMS))
    unsecured = f"{segment({'alg': 'none'}).decode()}.{segment(CLAIMS).decode()}."
    assert judged(claims) is Reason.TOKEN_MALFORMED
    assert judged(claims, secret_keyset(bytes(range(32)), ["HS256"]), ("HS256",)) is Reason.TOKEN_MALFORMED
    assert decrypt(claims, OPENER) is Reason.TOKEN_MALFORMED
    assert decrypt(encrypted(unsecured), OPENER) is Reason.TOKEN_MALFORMED
    signed_inside = mint(CLAIMS, EC)
    assert decrypt(encrypted(signed_inside), OPENER) == signed_inside


def test_cve_2025_61920_an_encrypted_token_is_not_inflated_either() -> None:
    assert decrypt(encrypted(mint(CLAIMS, EC), zip="DEF"), OPENER) is Reason.HEADER_INVALID


PLAN = load_text(
    """
version: 1
issuers:
  one: {issuer: https://one.example, jwks: https://one.example/jwks, audience: services, algorithms: [ES256]}
  two: {issuer: https://two.example, jwks: https://two.example/jwks, audience: services, algorithms: [ES256]}
policies:
  one: {issuer: one}
  both: {issuers: [one, two]}
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /one/, upstream: app, policy: one}
  - {path: /both/, upstream: app, policy: both}
""",
    "gateway.yaml",
    {},
).plan
ONE, BOTH = (route.policy or "" for route in PLAN.routes)
KEYSETS = {"one": keyset(EC), "two": keyset(STRANGER)}


def decided(token: str, policy: str = BOTH, *, authenticate: Authenticator | None = None) -> object:
    outcome = (authenticate or Authenticator(PLAN, VerifiedTokens(0)))(KEYSETS, policy, Credential(token), NOW)
    return outcome.reason if isinstance(outcome, Deny) else type(outcome)


def test_a_kid_is_looked_up_in_its_issuers_keys_only() -> None:
    assert decided(mint(CLAIMS | {"iss": "https://one.example"}, EC)) is Allow
    as_one = signed({"alg": "ES256", "kid": EC.kid}, CLAIMS | {"iss": "https://one.example"}, STRANGER)
    as_two = signed({"alg": "ES256", "kid": EC.kid}, CLAIMS | {"iss": "https://two.example"}, EC)
    assert decided(as_one) is Reason.SIGNATURE_INVALID
    assert decided(as_two) is not Allow


def test_cve_2021_21378_a_token_of_an_unknown_issuer_is_not_no_token() -> None:
    assert decided(mint(CLAIMS | {"iss": "https://attacker.example"}, STRANGER)) is Reason.ISSUER_UNKNOWN


def test_cve_2026_35039_remembered_tokens_mix_up_no_policies_and_outlive_no_exp() -> None:
    # As lua-resty-openidc, GHSA-4mq7-pvjg-xp2r, nginx-ldap-auth #103 and mod_oauth2 #14 did in their ways.
    authenticate = Authenticator(PLAN, VerifiedTokens(1 << 20))
    of_two = mint(CLAIMS | {"iss": "https://two.example"}, STRANGER)
    assert decided(of_two, BOTH, authenticate=authenticate) is Allow
    assert decided(of_two, ONE, authenticate=authenticate) is Reason.ISSUER_UNKNOWN
    late = authenticate(KEYSETS, BOTH, Credential(of_two), NOW + 300 + 30)
    assert isinstance(late, Deny)
    assert late.reason is Reason.TOKEN_EXPIRED


def test_cve_2025_64527_and_cve_2024_45809_two_tokens_are_an_invalid_request() -> None:
    token = mint(CLAIMS, EC).encode()
    twice = [(b"authorization", b"Bearer " + token)] * 2
    assert extract(twice) is Reason.CREDENTIALS_AMBIGUOUS
    assert extract([(b"authorization", b"Bearer " + token + b", Bearer " + token)]) is Reason.CREDENTIALS_AMBIGUOUS


def test_a_confused_deputy_needs_an_audience_that_nobody_checks() -> None:
    assert judged(mint(CLAIMS | {"aud": "account"}, EC)) is Reason.AUDIENCE_MISMATCH
    assert judged(mint({name: CLAIMS[name] for name in ("iss", "sub", "exp")}, EC)) is Reason.AUDIENCE_MISMATCH
    assert "audience" in configured(f"{{{ISSUER_YAML}, algorithms: [ES256]}}")


@pytest.mark.parametrize(
    "url", ["http://id.example/jwks", "ftp://id.example/jwks", "file:///etc/passwd", "http://169.254.169.254/jwks"]
)
def test_jwks_ssrf_keys_come_over_https_only(url: str) -> None:
    assert configured(f"{{issuer: '{ISSUER}', jwks: '{url}', audience: a, algorithms: [ES256]}}")


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_an_hmac_secret_shorter_than_the_hash_is_refused(algorithm: str, least: int) -> None:
    assert secret_keyset(bytes(range(least)), [algorithm]).keys
    with pytest.raises(KeyRefusedError):
        secret_keyset(bytes(range(least - 1)), [algorithm])


def number(value: int) -> str:
    return encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


RSA_PRIVATE = rsa.generate_private_key(65537, 2048).private_numbers()
MODULUS, PRIME = RSA_PRIVATE.public_numbers.n, RSA_PRIVATE.p
SMALL_PRIMES = prod(n for n in range(3, 168) if all(n % other for other in range(2, n)))
ROCA = 65537 + SMALL_PRIMES * (MODULUS // SMALL_PRIMES // 2 * 2)  # 65537 modulo each of them, and odd
NEIGHBOUR = next(n for n in range(PRIME + 1000, PRIME + 9000) if gcd(n, factorial(10_000)) == 1)


@pytest.mark.parametrize(
    ("modulus", "exponent", "why"),
    [
        (MODULUS >> 1024, 65537, "an RSA key of 1024 bits"),
        (MODULUS >> 1, 65537, "an RSA key of 2047 bits"),
        (MODULUS, 1, "exponent"),
        (MODULUS, 2, "exponent"),
        (ROCA, 65537, "CVE-2017-15361"),
        (PRIME * NEIGHBOUR, 65537, "CVE-2022-26320"),
        (PRIME * PRIME, 65537, "a square"),
        (MODULUS - MODULUS % 9973, 65537, "a prime factor below"),
    ],
    ids=["1024 bits", "2047 bits", "e=1", "e=2", "CVE-2017-15361", "CVE-2022-26320", "a square", "a small factor"],
)
def test_weak_rsa_keys_are_refused_when_the_set_is_read(modulus: int, exponent: int, why: str) -> None:
    weak = {"kty": "RSA", "n": number(modulus), "e": number(exponent)}
    keys = read_jwks(json.dumps({"keys": [weak, EC.public_jwk()]}).encode())
    assert [key.kid for key in keys.keys] == [EC.kid]
    assert why in "".join(keys.notes)


def test_a_key_set_that_mixes_secret_and_public_keys_is_refused() -> None:
    secret = {"kty": "oct", "k": encode_base64url(b"s" * 32).decode()}
    with pytest.raises(KeyRefusedError):
        read_jwks(json.dumps({"keys": [secret, EC.public_jwk()]}).encode())


def test_tokens_are_in_no_repr() -> None:
    token = mint(CLAIMS, EC)
    verified = verify_token(token, KEYS, algorithms=("ES256",), rules=RULES, now=NOW)
    shown = repr(Credential(token)) + repr(verified)
    for part in token.split(".")[1:]:
        assert part not in shown
    assert "alice" not in shown
