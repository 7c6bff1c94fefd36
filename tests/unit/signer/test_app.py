"""What the signer answers, over Starlette's test client: a socket would add nothing."""

from __future__ import annotations

import uuid
from pathlib import Path

import jwt
import pytest
from starlette.testclient import TestClient

from jwtgate.keys import generate_signing_key
from jwtgate.plan import SignerSettings
from jwtgate.signer import SignerKeys, create_app

NOW = 1_800_000_000.75
ALGORITHMS = ["ES512", "ES256", "EdDSA", "RS256"]
KEYS = {algorithm: generate_signing_key(algorithm) for algorithm in ALGORITHMS}
JWKS_PATHS = ["/jwk", "/.well-known/jwks.json"]


def settings(algorithm: str = "ES512", audience: tuple[str, ...] = ("services",)) -> SignerSettings:
    return SignerSettings(
        issuer="https://signer.example",
        audience=audience,
        algorithm=algorithm,
        listen="127.0.0.1:0",
        key_dir=Path("never-read"),
        token_lifetime=86400,
        jwks_max_age=300,
    )


def client(
    algorithm: str = "ES512",
    *,
    others: tuple[str, ...] = (),
    audience: tuple[str, ...] = ("services",),
    unsafe_example_token: bool = True,
) -> TestClient:
    keys = SignerKeys(KEYS[algorithm], tuple(KEYS[name] for name in (algorithm, *others)))
    app = create_app(
        settings(algorithm, audience), keys, unsafe_example_token=unsafe_example_token, clock=lambda: NOW
    )
    return TestClient(app, follow_redirects=False)


@pytest.mark.parametrize("path", JWKS_PATHS)
def test_the_key_set_holds_every_published_public_key_and_nothing_private(path: str) -> None:
    answer = client("ES512", others=("ES256", "EdDSA", "RS256")).get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert [key["kid"] for key in keys] == [KEYS[name].kid for name in ALGORITHMS]
    # RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2: the members of private keys.
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & {member for key in keys for member in key}


@pytest.mark.parametrize("path", JWKS_PATHS)
def test_head_tells_what_get_would(path: str) -> None:
    signer = client()
    get, head = signer.get(path), signer.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


def test_the_entity_tag_is_strong_and_follows_the_keys() -> None:
    one, same, other = (
        signer.get("/jwk").headers["etag"] for signer in (client(), client(), client(others=("ES256",)))
    )
    assert one.startswith('"')
    assert one.endswith('"')
    assert one == same
    assert one != other


@pytest.mark.parametrize("path", JWKS_PATHS)
@pytest.mark.parametrize("condition", ["{tag}", "W/{tag}", '"other", {tag}', '"a,b",W/{tag} , "x"', "*", " * "])
def test_a_key_set_that_the_client_has_is_not_sent_again(path: str, condition: str) -> None:
    signer = client()
    tag = signer.get(path).headers["etag"]
    answer = signer.get(path, headers={"If-None-Match": condition.format(tag=tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("condition", ['"other"', "", "{bare}", 'W/"other"', '"*"'])
def test_another_key_set_is_sent(condition: str) -> None:
    signer = client()
    bare = signer.get("/jwk").headers["etag"].strip('"')
    answer = signer.get("/jwk", headers={"If-None-Match": condition.format(bare=bare)})
    assert answer.status_code == 200
    assert answer.json()["keys"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_example_token_verifies_with_the_published_key_and_says_what_it_should(algorithm: str) -> None:
    signer = client(algorithm, others=tuple(name for name in ALGORITHMS if name != algorithm))
    answer = signer.get("/example-token")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert list(answer.json()) == ["token"]
    token = answer.json()["token"]
    published = jwt.PyJWKSet.from_dict(signer.get("/jwk").json())
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "kid": KEYS[algorithm].kid, "typ": "JWT"}
    claims = jwt.decode(
        token,
        published[header["kid"]],
        algorithms=[algorithm],
        audience="services",
        issuer="https://signer.example",
        # The clock of this test is not the machine's.
        options={"verify_exp": False, "verify_iat": False},
    )
    assert uuid.UUID(claims.pop("jti")).version == 4
    assert claims == {
        "iss": "https://signer.example",
        "aud": "services",
        "sub": "example-user",
        "iat": 1_800_000_000,
        "exp": 1_800_086_400,
        "example-claim": "hello :)))",
    }


def test_several_audiences_are_an_array() -> None:
    token = client(audience=("services", "reports")).get("/example-token").json()["token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == ["services", "reports"]


def test_no_two_example_tokens_have_one_jti() -> None:
    signer = client()
    tokens = [signer.get("/example-token").json()["token"] for _ in range(3)]
    assert len({jwt.decode(token, options={"verify_signature": False})["jti"] for token in tokens}) == 3


def test_a_signer_gives_no_example_token_unless_told_to() -> None:
    answer = client(unsafe_example_token=False).get("/example-token")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_signer_is_healthy() -> None:
    answer = client().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/jwk/", "/jwk/x", "/.well-known/", "/example-token/", "/JWK", "/jwk%00"])
def test_an_unknown_path_is_a_404_with_a_body_that_programs_read(path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 404, "title": "Not Found"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*JWKS_PATHS, "/health", "/example-token"])
def test_a_wrong_method_is_a_405_that_names_the_right_ones(method: str, path: str) -> None:
    answer = client().request(method, path)
    assert answer.status_code == 405
    # RFC 9110, section 15.5.6: a 405 has an Allow header.
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 405, "title": "Method Not Allowed"}
