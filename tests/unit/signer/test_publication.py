"""What everybody may read, over Starlette's test client: a socket would add nothing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from jwtgate.config.schema.signer import SignerAlgorithm
from jwtgate.plan import SIGNER_ALGORITHMS
from support.signer import NOW, RunningSigner, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JWKS_PATHS = ["/jwk", "/.well-known/jwks.json"]
# PyJWT has no ML-DSA.
CHECKED_BY_PEER = [name for name in SIGNER_ALGORITHMS if name not in ("ML-DSA-65", "Ed25519")]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    place = tmp_path_factory.mktemp("signer") / "keys"
    with RunningSigner(settings(place, algorithms=SIGNER_ALGORITHMS), unsafe_example_token=True) as running:
        yield running


def test_the_configuration_offers_what_the_signer_can() -> None:
    assert SignerAlgorithm.__args__ == SIGNER_ALGORITHMS  # type: ignore[attr-defined]  # typing's own way


@pytest.mark.parametrize("path", JWKS_PATHS)
def test_the_key_set_holds_every_public_key_and_nothing_private(signer: RunningSigner, path: str) -> None:
    answer = signer.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["x-accel-expires"] == "15"  # NGINX as a cache: half of the margin of 30 s
    keys = answer.json()["keys"]
    assert {key["alg"] for key in keys} == set(SIGNER_ALGORITHMS)
    # RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2; RFC 9964, section 4: members of private keys.
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} & {member for key in keys for member in key}


@pytest.mark.parametrize("path", JWKS_PATHS)
def test_head_tells_what_get_would(signer: RunningSigner, path: str) -> None:
    get, head = signer.http.get(path), signer.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


def test_the_entity_tag_is_strong_and_follows_the_keys(tmp_path: Path) -> None:
    with RunningSigner(settings(tmp_path / "keys")) as one:
        first, again = (one.http.get("/jwk").headers["etag"] for _ in range(2))
        one.signer.keys.rotate(NOW)
        one.signer.ring.refresh(NOW)
        other = one.http.get("/jwk").headers["etag"]
    assert first.startswith('"')
    assert first.endswith('"')
    assert first == again != other


@pytest.mark.parametrize("condition", ["{tag}", "W/{tag}", '"other", {tag}', '"a,b",W/{tag} , "x"', "*", " * "])
def test_a_key_set_that_the_client_has_is_not_sent_again(signer: RunningSigner, condition: str) -> None:
    tag = signer.http.get("/jwk").headers["etag"]
    answer = signer.http.get("/jwk", headers={"If-None-Match": condition.format(tag=tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("condition", ['"other"', "", "{bare}", 'W/"other"', '"*"'])
def test_another_key_set_is_sent(signer: RunningSigner, condition: str) -> None:
    bare = signer.http.get("/jwk").headers["etag"].strip('"')
    answer = signer.http.get("/jwk", headers={"If-None-Match": condition.format(bare=bare)})
    assert answer.status_code == 200
    assert answer.json()["keys"]


def decoded(token: str, jwks: Any, algorithm: str, issuer: str) -> dict[str, Any]:
    """Its claims, as PyJWT sees them. The clock of these tests is not the machine's."""
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]]
    found: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience="services",
        issuer=issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    return found


@pytest.mark.parametrize("algorithm", CHECKED_BY_PEER)
def test_a_peer_verifies_the_example_token(tmp_path: Path, algorithm: str) -> None:
    with RunningSigner(settings(tmp_path / "keys", algorithms=(algorithm,)), unsafe_example_token=True) as signer:
        answer = signer.http.get("/example-token")
        jwks = signer.http.get("/jwk").json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert list(answer.json()) == ["token"]
    claims = decoded(answer.json()["token"], jwks, algorithm, "https://signer.example")
    assert uuid.UUID(claims.pop("jti")).version == 4
    assert claims == {
        "iss": "https://signer.example",
        "aud": "services",
        "sub": "example-user",
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
        "example-claim": "hello :)))",
    }


def test_a_signer_gives_no_example_token_unless_told_to(tmp_path: Path) -> None:
    with RunningSigner(settings(tmp_path / "keys")) as signer:
        answer = signer.http.get("/example-token")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_the_signer_is_well(signer: RunningSigner, path: str) -> None:
    answer = signer.http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


def test_the_metadata_name_every_endpoint_that_there_is(signer: RunningSigner) -> None:
    documents = [
        signer.http.get(path).json()
        for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
    ]
    assert documents[0] == documents[1]
    found = documents[0]
    assert found["issuer"] == "https://signer.example"
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"):
        path = found[name].removeprefix("https://signer.example")
        assert signer.http.post(path).status_code != 404, name
    assert found["jwks_uri"] == "https://signer.example/.well-known/jwks.json"
    assert set(found["grant_types_supported"]) == {
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    }


def test_an_issuer_with_a_path_is_discovered_as_both_standards_say(tmp_path: Path) -> None:
    given = settings(tmp_path / "keys", issuer="https://id.example/tenant", url="https://gate.example/signer")
    with RunningSigner(given) as signer:
        # RFC 8414, section 3.1: between host and path. OpenID Connect Discovery 1.0, section 4: after the path.
        for path in (
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/.well-known/openid-configuration",
        ):
            found = signer.http.get(path).json()
            assert found["issuer"] == "https://id.example/tenant"
            assert found["token_endpoint"] == "https://gate.example/signer/token"


@pytest.mark.parametrize("path", ["/", "/jwk/", "/jwk/x", "/.well-known/", "/token/", "/JWK", "/jwk%00"])
def test_an_unknown_path_is_a_404_with_a_body_that_programs_read(signer: RunningSigner, path: str) -> None:
    answer = signer.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 404, "title": "Not Found"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*JWKS_PATHS, "/health", "/example-token"])
def test_a_wrong_method_is_a_405_that_names_the_right_ones(signer: RunningSigner, method: str, path: str) -> None:
    answer = signer.http.request(method, path)
    assert answer.status_code == 405
    # RFC 9110, section 15.5.6: a 405 has an Allow header.
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 405, "title": "Method Not Allowed"}


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_who_reads_an_endpoint_for_forms_is_told_to_post(signer: RunningSigner, path: str) -> None:
    answer = signer.http.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
