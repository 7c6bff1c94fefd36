"""A JWK Set: which keys are used, and which one a token means."""

from __future__ import annotations

import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import Key, KeySet, generate_signing_key, read_jwks, secret_keyset
from jwtgate.reasons import Reason

EC_1 = generate_signing_key("ES256").public_jwk()
EC_2 = generate_signing_key("ES256").public_jwk()
RSA = generate_signing_key("RS256").public_jwk()
OCT = {"kty": "oct", "k": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"}
DIGEST_1 = "A" * 43
DIGEST_2 = "B" * 42 + "A"


def jwk(members: dict[str, str], **changes: object) -> dict[str, Any]:
    """A JWK with members changed; None takes one away."""
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def keyset(*keys: object) -> KeySet:
    return read_jwks(json.dumps({"keys": keys}).encode())


A = jwk(EC_1, kid="a")
B = jwk(EC_2, kid="b")
A_OTHER = jwk(EC_2, kid="a")
A_RSA = jwk(RSA, kid="a")
BARE = jwk(EC_1, kid=None)
BARE_RSA = jwk(RSA, kid=None, alg=None)
CERTIFIED = jwk(EC_1, kid="a", **{"x5t#S256": DIGEST_1})
CERTIFIED_BARE = jwk(EC_1, kid=None, **{"x5t#S256": DIGEST_1})


@pytest.mark.parametrize(
    ("keys", "algorithm", "kid", "x5t_s256", "expected"),
    [
        ([A, B], "ES256", "a", None, 0),
        ([A, B], "ES256", "b", None, 1),
        ([A, B], "ES256", "c", None, Reason.KEY_UNKNOWN),
        ([A, B], "ES256", None, None, Reason.KEY_AMBIGUOUS),
        ([A, B], "RS256", "a", None, Reason.ALGORITHM_NOT_ALLOWED),
        ([A, B], "RS256", None, None, Reason.ALGORITHM_NOT_ALLOWED),
        ([A], "ES256", None, None, 0),
        ([], "ES256", None, None, Reason.KEY_UNKNOWN),
        ([], "ES256", "a", None, Reason.KEY_UNKNOWN),
        ([BARE], "ES256", "a", None, Reason.KEY_UNKNOWN),
        ([BARE, BARE_RSA], "ES256", None, None, 0),
        ([BARE, BARE_RSA], "PS384", None, None, 1),
        ([A, A_RSA], "ES256", "a", None, 0),
        ([A, A_RSA], "RS256", "a", None, 1),
        ([A, A_OTHER], "ES256", "a", None, Reason.KEY_AMBIGUOUS),
        ([A, A_OTHER], "ES384", "a", None, Reason.ALGORITHM_NOT_ALLOWED),
        ([CERTIFIED, B], "ES256", "a", DIGEST_1, 0),
        ([CERTIFIED, B], "ES256", "a", DIGEST_2, Reason.KEY_UNKNOWN),
        ([CERTIFIED, B], "ES256", None, DIGEST_1, 0),
        ([CERTIFIED, B], "ES256", None, DIGEST_2, Reason.KEY_UNKNOWN),
        ([CERTIFIED, B], "ES256", "b", DIGEST_2, 1),
        ([CERTIFIED, A_OTHER], "ES256", "a", DIGEST_1, Reason.KEY_AMBIGUOUS),
        ([CERTIFIED_BARE, B], "ES256", None, DIGEST_1, 0),
        ([A, B], "ES256", None, DIGEST_1, Reason.KEY_UNKNOWN),
    ],
)
def test_a_token_means_one_key_or_none(
    keys: list[Any], algorithm: str, kid: str | None, x5t_s256: str | None, expected: int | Reason
) -> None:
    found = keyset(*keys)
    chosen = found.select(algorithm=algorithm, kid=kid, x5t_s256=x5t_s256)
    assert chosen is (expected if isinstance(expected, Reason) else found.keys[expected])


def test_one_bad_key_harms_no_other() -> None:
    found = keyset({"kty": "??", "kid": "odd"}, A, 7, jwk(B, use="enc"), jwk(B, kid="c\n"))
    assert [key.kid for key in found.keys] == ["a"]
    assert [note.split(":")[0] for note in found.notes] == [
        "key 1 (kid 'odd') is not used",
        "key 3 is not used",
        "key 4 (kid 'b') is not used",
        "key 5 is not used",
    ]


def test_a_key_listed_twice_word_for_word_is_one_key() -> None:
    found = keyset(A, A)
    assert len(found.keys) == 1
    assert found.notes == ()


def test_keys_that_cannot_be_told_apart_by_their_kid_are_noted() -> None:
    (note,) = keyset(A, B, A_OTHER).notes
    assert note.startswith("2 keys have the kid 'a': ")
    assert keyset(A, {**A_OTHER, "issuer": "https://other.example"}).notes == ()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not a JWK Set"),
        (b"[]", "not a JWK Set"),
        (b"<html>", "not a JWK Set"),
        (b"{}", '"keys"'),
        (b'{"keys":{}}', '"keys"'),
        (b'{"keys":[],"keys":[]}', "duplicate"),
        (b'{"keys":' + b"[" * 40 + b"]" * 40 + b"}", "deep nesting"),
        (json.dumps({"keys": [{}] * 101}).encode(), "has 101 keys: expected 100"),
        (json.dumps({"keys": [A, OCT]}).encode(), "mixes secret keys"),
        (json.dumps({"keys": [{**OCT, "use": "enc"}, {"kty": "??"}]}).encode(), "mixes secret keys"),
    ],
)
def test_a_document_is_refused_as_a_whole(data: bytes, complaint: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        read_jwks(data)
    assert complaint in str(refused.value)


def test_the_number_of_keys_is_limited() -> None:
    data = json.dumps({"keys": [A, B]}).encode()
    assert len(read_jwks(data, max_keys=2).keys) == 2
    with pytest.raises(KeyRefusedError):
        read_jwks(data, max_keys=1)


def test_a_shared_secret_answers_to_every_kid() -> None:
    keys = secret_keyset(bytes(range(32)), ["HS256"])
    for kid in (None, "a", "b"):
        assert isinstance(keys.select(algorithm="HS256", kid=kid, x5t_s256=None), Key)
    assert keys.select(algorithm="HS384", kid=None, x5t_s256=None) is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize(
    ("secret", "algorithms"),
    [
        (bytes(range(31)), ["HS256"]),
        (bytes(range(47)), ["HS384"]),
        (bytes(range(63)), ["HS256", "HS512"]),
        (bytes(64), ["HS256"]),
        (bytes(range(64)), ["HS256", "RS256"]),
        (bytes(range(64)), ["none"]),
        (bytes(range(64)), []),
        (b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ", ["HS256"]),
        (b"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHA", ["HS256"]),
    ],
)
def test_a_weak_secret_or_another_algorithm_is_refused(secret: bytes, algorithms: list[str]) -> None:
    with pytest.raises(KeyRefusedError):
        secret_keyset(secret, algorithms)


RSA_PRIVATE = rsa.generate_private_key(65537, 2048)
PRIVATE = ec.generate_private_key(ec.SECP256R1())
DER, SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
# A signature in DER ends with octets like any others, two of which are line breaks.
CERTIFICATES = (
    x509.CertificateBuilder(
        subject_name=x509.Name([]),
        issuer_name=x509.Name([]),
        public_key=PRIVATE.public_key(),
        serial_number=number,
        not_valid_before=datetime(2030, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2031, 1, 1, tzinfo=UTC),
    )
    .sign(PRIVATE, hashes.SHA256())
    .public_bytes(DER)
    for number in range(1, 20_000)
)
FILES = {
    "public key": PRIVATE.public_key().public_bytes(DER, SPKI),
    "RSA public key, PKCS #1": RSA_PRIVATE.public_key().public_bytes(DER, PublicFormat.PKCS1),
    "Ed25519 public key": ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(DER, SPKI),
    "private key": PRIVATE.private_bytes(DER, PrivateFormat.PKCS8, NoEncryption()),
    "encrypted private key": PRIVATE.private_bytes(DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    "certificate": next(CERTIFICATES),
    "certificate that ends like a line": next(each for each in CERTIFICATES if each.endswith(b"\n")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_key_or_a_certificate_in_der_is_no_secret(name: str) -> None:
    """CVE-2022-29217, CVE-2024-33663: what is public must not sign, however it is written."""
    der = FILES[name]
    for spelling in (
        der,
        der + b"\n",
        der + b"\r\n\0",
        b64encode(der),
        encodebytes(der),
        urlsafe_b64encode(der).rstrip(b"="),
    ):
        with pytest.raises(KeyRefusedError, match="in DER"):
            secret_keyset(spelling, ["HS256"])


@pytest.mark.parametrize("document", [RSA, EC_1, {"keys": [RSA]}], ids=["RSA", "EC", "set"])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_text_of_a_jwk_is_no_secret(document: dict[str, Any], indent: int | None) -> None:
    with pytest.raises(KeyRefusedError, match="the text of a JWK"):
        secret_keyset(b"\n" + json.dumps(document, indent=indent).encode(), ["HS256"])


@pytest.mark.parametrize(
    "start",
    [b"0", b"0\x1e", b"0\x82\x01\x22", b"{", b"MFkwEwYHKoZIzj0CAQYI", b"{'kty': ", b"=", b"MA==" + b" " * 40],
)
def test_a_secret_that_only_begins_like_a_key_is_one(start: bytes) -> None:
    assert secret_keyset(start + bytes(range(100, 132)), ["HS256"]).keys


def test_equal_sets_have_equal_digests_and_others_do_not() -> None:
    assert keyset(A, B).digest == keyset(A, B).digest
    sets = [
        keyset(A),
        keyset(B),
        keyset(A, B),
        keyset(BARE),
        keyset(jwk(A, alg=None)),
        keyset(CERTIFIED),
        keyset(),
    ]
    rsa = keyset(jwk(RSA, alg=None))
    sets += [rsa, rsa.restricted_to({"PS256"}), rsa.restricted_to({"PS256", "RS256"})]
    # An EC key has one algorithm with `alg` or without: the same key.
    assert len({found.digest for found in sets}) == len(sets) - 1


def test_a_restricted_set_has_no_other_verifier() -> None:
    found = keyset(A, jwk(RSA, alg=None)).restricted_to({"PS256", "HS256"})
    (key,) = found.keys
    assert key.verifiers.keys() == {"PS256"}
    assert found.select(algorithm="ES256", kid="a", x5t_s256=None) is Reason.KEY_UNKNOWN


COMMON = "https://login.example/{tenantid}/v2.0"


@pytest.mark.parametrize(
    ("named", "issuer", "signs"),
    [
        (None, "https://login.example/a/v2.0", True),
        ("https://login.example/a/v2.0", "https://login.example/a/v2.0", True),
        ("https://login.example/a/v2.0", "https://login.example/b/v2.0", False),
        (COMMON, "https://login.example/b/v2.0", True),
        (COMMON, "https://login.example/b/v1.0", False),
        (COMMON, "https://login.example//v2.0", False),
        (COMMON, "https://login.example/v2.0", False),
        (COMMON, "https://login.example/a/b/v2.0", False),
        (COMMON, "https://evil.example/b/v2.0", False),
        ("{tenantid}", "https://login.example/", False),
    ],
)
def test_a_key_that_names_its_issuer_signs_for_no_other(named: str | None, issuer: str, signs: bool) -> None:
    mine = keyset(jwk(EC_1, kid="a", issuer=named), B).of_issuer(issuer)
    assert [key.kid for key in mine.keys] == (["a", "b"] if signs else ["b"])
    assert mine.notes == (() if signs else ("1 key names another issuer",))


def test_a_set_that_signs_for_the_issuer_stays_the_same_object() -> None:
    common = keyset(jwk(EC_1, issuer=COMMON), B)
    assert common.of_issuer("https://login.example/a/v2.0") is common


@pytest.mark.parametrize("issuer", ["", 1, ["https://login.example"]])
def test_a_key_whose_issuer_is_no_name_is_not_used(issuer: object) -> None:
    assert not keyset(jwk(EC_1, issuer=issuer)).keys
