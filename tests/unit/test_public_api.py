"""`from jwtgate import …`: small, typed, and as its docstring shows it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, assert_type

import pytest

import jwtgate
from jwtgate import (
    ClaimRules,
    DecryptionKey,
    JwtgateError,
    Key,
    KeyRefusedError,
    KeySet,
    Reason,
    SigningKey,
    VerifiedToken,
    decrypt,
    generate_signing_key,
    import_decryption_key,
    import_jwk,
    mint,
    read_jwks,
    secret_keyset,
    verify_token,
)

RULES = ClaimRules(issuer="https://issuer.example", audience=("orders",))


def test_a_service_verifies_what_a_test_suite_minted() -> None:
    signer = assert_type(generate_signing_key("ES256"), SigningKey)
    keys = assert_type(read_jwks(json.dumps({"keys": [signer.public_jwk()]}).encode()), KeySet)
    token = assert_type(
        mint({"iss": "https://issuer.example", "aud": "orders", "exp": 2_000_000_000, "sub": "u"}, signer), str
    )
    found = verify_token(token, keys, algorithms=("ES256",), rules=RULES, now=1_900_000_000.0)
    assert_type(found, VerifiedToken | Reason)
    match found:
        case VerifiedToken(claims=claims):
            assert claims["sub"] == "u"
        case Reason():
            raise AssertionError
    late = verify_token(token, keys, algorithms=("ES256",), rules=RULES, now=2_000_000_000.0)
    assert late is Reason.TOKEN_EXPIRED
    elsewhere = verify_token(token, keys, algorithms=("ES384",), rules=RULES, now=1_900_000_000.0)
    assert elsewhere is Reason.ALGORITHM_NOT_ALLOWED


def test_keys_are_typed() -> None:
    jwk: dict[str, Any] = dict(generate_signing_key("Ed25519").public_jwk())
    key = assert_type(import_jwk(jwk), Key)
    assert_type(key.kid, str | None)
    assert_type(key.algorithms, frozenset[str])
    assert_type(secret_keyset(bytes(range(32)), ["HS256"]), KeySet)


def test_an_encrypted_token_is_typed() -> None:
    jwk = {"kty": "oct", "alg": "dir", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}
    key = assert_type(import_decryption_key(jwk), DecryptionKey)
    opened = decrypt("e30.e30.e30.e30.e30", key)
    assert_type(opened, str | Reason)
    assert opened is Reason.HEADER_INVALID


def test_what_is_wrong_with_keys_is_one_kind_of_error() -> None:
    for use in (lambda: read_jwks(b"[]"), lambda: import_jwk({}), lambda: import_decryption_key({})):
        with pytest.raises(KeyRefusedError) as refused:
            use()
        assert_type(refused.value, KeyRefusedError)
        assert isinstance(refused.value, JwtgateError)


def test_everything_that_is_named_is_there_and_described() -> None:
    for name in jwtgate.__all__:
        assert getattr(jwtgate, name).__doc__, name


def test_types_are_published_with_the_package() -> None:
    assert (Path(jwtgate.__file__).parent / "py.typed").is_file()


def test_the_guide_and_the_docstring_use_nothing_that_is_not_there() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")
    python = "".join(re.findall(r"```python\n(.*?)```", guide, re.DOTALL))
    named = re.search(r"from jwtgate import (.*)", python)
    assert named
    assert set(named[1].split(", ")) <= set(jwtgate.__all__)
    for example in (python, jwtgate.__doc__ or ""):
        called = set(re.findall(r"\b([a-z_]+_(?:jwks|token|key|keyset)|mint|decrypt)\(", example))
        assert called
        assert called <= set(jwtgate.__all__)


def test_names_are_imported_when_they_are_asked_for() -> None:
    code = "import sys, jwtgate; print(dir(jwtgate)); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed, imported = found.stdout.splitlines()
    assert all(f"'{name}'" in listed for name in jwtgate.__all__)
    assert "cryptography" not in imported.split()
    with pytest.raises(AttributeError, match="module 'jwtgate' has no attribute 'sign'"):
        getattr(jwtgate, "sign")  # noqa: B009 - mypy knows that it is not there


def test_verifying_loads_nothing_that_only_encrypted_tokens_or_servers_need() -> None:
    code = (
        "import sys; from jwtgate import mint, read_jwks, verify_token;"
        "print([name for name in ('joserfc', 'httpx2', 'starlette') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
