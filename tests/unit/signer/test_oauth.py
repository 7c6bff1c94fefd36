"""The endpoints that clients authenticate to: what is granted, and what is refused in which words."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from jwtgate.keys import generate_signing_key
from jwtgate.signer import create_app, opened
from jwtgate.signer.attempts import Attempts
from jwtgate.signer.status import BLOCK, status_bits
from jwtgate.tokens import mint
from support.signer import ISSUER, NOW, RunningSigner, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = generate_signing_key("ES256")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
API = "https://api.example/orders"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    with RunningSigner(settings(tmp_path_factory.mktemp("signer") / "keys")) as running:
        running.add("reports", scopes=("read", "write"), audience=("services", "billing", API))
        running.add("plain")
        running.add("short", token_lifetime=60)
        running.add("orders", scopes=("read", "admin"), audience=("billing",), may_exchange=True)
        running.add("gateway", may_introspect=True)
        running.add("caller", scopes=("read",), may_exchange=True, exchange_to=("ledger",))
        running.add("keyed", scopes=("read",), jwks=json.dumps({"keys": [KEY.public_jwk()]}))
        yield running


@pytest.fixture(autouse=True)
def later(signer: RunningSigner) -> None:
    """Each test has a time of its own: what failed before is forgotten by then."""
    signer.clock.now += 600


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def refused(answer: Any, status: int, error: str) -> None:
    """RFC 6749, section 5.2."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (error == "invalid_client")


# client_credentials


def test_an_access_token_is_as_rfc_9068_says(signer: RunningSigner) -> None:
    answer = signer.post("/token", "reports", grant_type="client_credentials", scope="read", audience="billing")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 3600, "scope": "read"}
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert header["kid"] == signer.http.get("/jwk").json()["keys"][0]["kid"]
    claims = claims_of(token)
    assert claims.pop("jti") != claims_of(signer.token("reports"))["jti"]
    status = claims.pop("status")["status_list"]
    assert (status["uri"], type(status["idx"])) == (f"{ISSUER}/status-list", int)
    assert claims == {
        "iss": ISSUER,
        "sub": "reports",
        "client_id": "reports",
        "aud": "billing",
        "scope": "read",
        "iat": int(signer.clock.now),
        "exp": int(signer.clock.now) + 3600,
    }


@pytest.mark.parametrize(
    ("client", "form", "audience", "scope"),
    [
        ("reports", {}, ["services", "billing", API], "read write"),
        ("reports", {"scope": "write"}, ["services", "billing", API], "write"),
        ("reports", {"scope": "write read write"}, ["services", "billing", API], "write read"),
        ("reports", {"resource": API}, API, "read write"),
        ("reports", {"resource": API, "audience": "billing"}, [API, "billing"], "read write"),
        ("reports", {"audience": ["billing", "services"]}, ["billing", "services"], "read write"),
        ("reports", {"scope": ""}, ["services", "billing", API], "read write"),
        ("plain", {}, "services", None),
    ],
)
def test_audience_and_scope_are_the_clients_or_fewer(
    signer: RunningSigner, client: str, form: dict[str, Any], audience: object, scope: str | None
) -> None:
    claims = claims_of(signer.token(client, **form))
    assert (claims["aud"], claims.get("scope")) == (audience, scope)


def test_a_client_may_have_shorter_tokens(signer: RunningSigner) -> None:
    claims = claims_of(signer.token("short"))
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"audience": "others"}, "invalid_target"),
        ({"resource": "https://others.example/"}, "invalid_target"),
        ({"resource": "http://["}, "invalid_target"),
        ({"resource": "billing"}, "invalid_target"),  # RFC 8707: an absolute URI
        ({"resource": f"{API}#x"}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        ({"scope": ["read", "write"]}, "invalid_request"),
        ({"client_id": "plain"}, "invalid_request"),
    ],
)
def test_what_is_not_granted_is_refused(signer: RunningSigner, form: dict[str, Any], error: str) -> None:
    refused(signer.post("/token", "reports", **{"grant_type": "client_credentials", **form}), 400, error)


# Client authentication


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_a_secret_may_come_in_the_form(signer: RunningSigner) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "reports",
        "client_secret": signer.secrets["reports"],
    }
    assert signer.http.post("/token", data=form).status_code == 200


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        ({}, {}, 401, "invalid_client"),
        ({}, {"client_id": "reports"}, 401, "invalid_client"),
        (basic("nobody:secret"), {}, 401, "invalid_client"),
        (basic("no\0body:secret"), {}, 401, "invalid_client"),
        (basic("reports:wrong"), {}, 401, "invalid_client"),
        (basic("keyed:"), {}, 401, "invalid_client"),
        (basic("reports"), {}, 401, "invalid_client"),
        ({"Authorization": "Basic !!!"}, {}, 401, "invalid_client"),
        ({"Authorization": "Bearer x"}, {}, 401, "invalid_client"),
        ({}, {"client_secret": "x"}, 400, "invalid_request"),
        (basic("reports:x"), {"client_id": "reports", "client_secret": "x"}, 400, "invalid_request"),
        (
            basic("reports:x"),
            {"client_assertion": "x", "client_assertion_type": ASSERTION},
            400,
            "invalid_request",
        ),
        ({}, {"client_assertion": "x"}, 400, "invalid_request"),
        ({}, {"client_assertion_type": ASSERTION}, 400, "invalid_request"),
        ({}, {"client_assertion": "x", "client_assertion_type": ASSERTION}, 401, "invalid_client"),
    ],
)
def test_who_is_not_known_gets_nothing(
    signer: RunningSigner, headers: dict[str, str], form: dict[str, str], status: int, error: str
) -> None:
    answer = signer.http.post("/token", headers=headers, data={"grant_type": "client_credentials", **form})
    refused(answer, status, error)


NUMBERS = itertools.count()


def assertion(now: float, **changes: Any) -> str:
    """A client assertion. `exp` and `nbf` count from now."""
    every: dict[str, Any] = {
        "iss": "keyed",
        "sub": "keyed",
        "aud": ISSUER,
        "jti": f"id-{next(NUMBERS)}",
        "exp": 60,
    } | changes
    claims = {name: value for name, value in every.items() if value is not None}
    return mint(claims | {name: int(now) + claims[name] for name in ("exp", "nbf") if name in claims}, KEY)


def by_assertion(signer: RunningSigner, token: str) -> Any:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": token,
    }
    return signer.http.post("/token", data=form)


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/token", [f"{ISSUER}/token"]])
def test_a_client_can_prove_itself_by_its_key(signer: RunningSigner, audience: object) -> None:
    answer = by_assertion(signer, assertion(signer.clock.now, aud=audience))
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json()["access_token"])["client_id"] == "keyed"


def test_an_assertion_works_once(signer: RunningSigner) -> None:
    token = assertion(signer.clock.now)
    assert by_assertion(signer, token).status_code == 200
    refused(by_assertion(signer, token), 401, "invalid_client")
    # Nor does another assertion with the same jti (RFC 7523, section 3, item 7).
    again = assertion(signer.clock.now, jti=claims_of(token)["jti"], exp=61)
    refused(by_assertion(signer, again), 401, "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://others.example"},
        {"aud": None},
        {"sub": "reports"},
        {"sub": None},
        {"iss": "reports", "sub": "reports"},
        {"iss": "nobody", "sub": "nobody"},
        {"iss": None},
        {"jti": None},
        {"exp": None},
        {"exp": -60},
        {"exp": 86400},
        {"nbf": 120},
    ],
    ids=str,
)
def test_an_assertion_that_proves_nothing_is_refused(signer: RunningSigner, changes: dict[str, object]) -> None:
    refused(by_assertion(signer, assertion(signer.clock.now, **changes)), 401, "invalid_client")


def test_assertions_by_another_key_are_refused_and_lock_nobody_out(signer: RunningSigner) -> None:
    other = generate_signing_key("ES256")
    for _ in range(12):
        forged = mint(claims_of(assertion(signer.clock.now)), other)
        refused(by_assertion(signer, forged), 401, "invalid_client")
    assert by_assertion(signer, assertion(signer.clock.now)).status_code == 200


# Forms


def test_a_form_is_a_form_of_bounded_size(signer: RunningSigner) -> None:
    headers = basic(f"reports:{signer.secrets['reports']}")
    as_json = signer.http.post("/token", headers=headers, json={"grant_type": "client_credentials"})
    refused(as_json, 400, "invalid_request")
    large = signer.http.post(
        "/token", headers=headers, data={"grant_type": "client_credentials", "x": "y" * 40000}
    )
    refused(large, 413, "invalid_request")
    many = signer.http.post("/token", headers=headers, data={f"x{number}": "y" for number in range(60)})
    refused(many, 400, "invalid_request")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"grant_type=\xff", b"grant_type=%ff"):
        broken = signer.http.post("/token", headers=headers | form, content=body)
        refused(broken, 400, "invalid_request")


# Token exchange


def exchange(signer: RunningSigner, client: str, token: str, **form: Any) -> Any:
    return signer.post(
        "/token",
        client,
        **{"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **form},
    )


def test_an_exchanged_token_is_narrower_and_names_the_actor(signer: RunningSigner) -> None:
    subject = signer.token("reports")
    signer.clock.now += 600
    answer = exchange(signer, "orders", subject, audience="billing")
    assert answer.status_code == 200, answer.text
    assert answer.json()["issued_token_type"] == ACCESS_TOKEN
    assert answer.json()["expires_in"] == 3000
    claims = claims_of(answer.json()["access_token"])
    assert claims["sub"] == "reports"
    assert claims["client_id"] == "orders"
    assert claims["act"] == {"sub": "orders"}
    assert claims["aud"] == "billing"
    assert claims["scope"] == "read"  # what both have
    assert claims["exp"] == claims_of(subject)["exp"]
    assert claims["status"]["status_list"]["idx"] != claims_of(subject)["status"]["status_list"]["idx"]


def test_the_actors_before_are_nested(signer: RunningSigner) -> None:
    token = signer.token("reports")
    for depth in range(8):
        answer = exchange(signer, "orders", token)
        assert answer.status_code == 200, depth
        token = answer.json()["access_token"]
    assert claims_of(token)["act"]["act"]["act"]["sub"] == "orders"
    refused(exchange(signer, "orders", token), 400, "invalid_request")


@pytest.mark.parametrize(
    ("client", "form", "error"),
    [
        ("plain", {}, "unauthorized_client"),
        ("orders", {"scope": "write"}, "invalid_scope"),  # the subject's, not the client's
        ("orders", {"scope": "admin"}, "invalid_scope"),  # the client's, not the subject's
        ("orders", {"audience": "services"}, "invalid_target"),
        ("orders", {"resource": API}, "invalid_target"),
        ("caller", {"audience": "billing"}, "invalid_target"),  # the subject's, not the client's
        ("caller", {"audience": ["ledger", "billing"]}, "invalid_target"),
        ("orders", {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ("orders", {"subject_token_type": ""}, "invalid_request"),
        ("orders", {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ("orders", {"subject_token": "x.y.z"}, "invalid_request"),
        ("orders", {"subject_token": ""}, "invalid_request"),
        ("orders", {"actor_token": "x"}, "invalid_request"),
    ],
)
def test_an_exchange_never_widens(signer: RunningSigner, client: str, form: dict[str, Any], error: str) -> None:
    refused(exchange(signer, client, signer.token("reports"), **form), 400, error)


def test_an_audience_that_the_token_lacked_takes_a_policy_of_its_own(signer: RunningSigner) -> None:
    subject = signer.token("reports", audience="services")
    # A client's own audience is no reason to get it for others.
    refused(exchange(signer, "orders", subject, audience="billing"), 400, "invalid_target")
    refused(exchange(signer, "orders", subject), 400, "invalid_target")
    answer = exchange(signer, "caller", subject, audience="ledger")
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json()["access_token"])
    assert (claims["aud"], claims["sub"], claims["scope"]) == ("ledger", "reports", "read")
    # It is given to whoever asks for it, and never besides; nor does the client get it for itself.
    assert claims_of(exchange(signer, "caller", subject).json()["access_token"])["aud"] == "services"
    own = signer.post("/token", "caller", grant_type="client_credentials", audience="ledger")
    refused(own, 400, "invalid_target")


def test_a_token_for_another_party_is_exchanged_by_nobody_else(signer: RunningSigner) -> None:
    key = signer.signer.ring.signing(signer.clock.now)
    claims = claims_of(signer.token("reports"))
    mine = mint({**claims, "may_act": {"sub": "orders"}}, key, typ="at+jwt")
    others = mint({**claims, "may_act": {"sub": "plain"}}, key, typ="at+jwt")
    assert exchange(signer, "orders", mine).status_code == 200
    refused(exchange(signer, "orders", others), 400, "invalid_request")


def test_an_expired_token_is_not_exchanged(signer: RunningSigner) -> None:
    subject = signer.token("reports")
    signer.clock.now += 3600
    refused(exchange(signer, "orders", subject), 400, "invalid_request")


def test_the_status_list_is_no_token_although_it_is_signed_as_one(signer: RunningSigner) -> None:
    listed = signer.http.get("/status-list").text
    refused(exchange(signer, "orders", listed, audience="billing"), 400, "invalid_request")
    assert introspect(signer, listed) == {"active": False}


# Introspection and revocation


def introspect(signer: RunningSigner, token: str) -> Any:
    answer = signer.post("/introspect", "gateway", token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_introspection_tells_who_may_ask(signer: RunningSigner) -> None:
    token = signer.token("reports", scope="read")
    told = introspect(signer, token)
    assert told == {
        "active": True,
        "token_type": "Bearer",
        **{name: value for name, value in claims_of(token).items() if name != "status"},
    }
    refused(signer.post("/introspect", "reports", token=token), 400, "unauthorized_client")
    refused(signer.http.post("/introspect", data={"token": token}), 401, "invalid_client")
    refused(signer.post("/introspect", "gateway"), 400, "invalid_request")


def test_a_token_that_is_not_active_tells_nothing(signer: RunningSigner) -> None:
    token = signer.token("reports")
    forged = mint(claims_of(token), generate_signing_key("ES256"), typ="at+jwt")
    for other in (
        "x",
        "a.b.c",
        forged,
        mint({**claims_of(token), "iss": "x"}, signer.signer.ring.signing(signer.clock.now), typ="at+jwt"),
    ):
        assert introspect(signer, other) == {"active": False}
    signer.clock.now += 3600
    assert introspect(signer, token) == {"active": False}


def test_a_revoked_token_is_no_longer_active(signer: RunningSigner) -> None:
    token, other = signer.token("reports"), signer.token("reports")
    for _ in range(2):  # RFC 7009: once more is no error
        answer = signer.post("/revoke", "reports", token=token, token_type_hint="access_token")
        assert (answer.status_code, answer.content) == (200, b"")
    assert introspect(signer, token) == {"active": False}
    assert introspect(signer, other)["active"] is True
    refused(exchange(signer, "orders", token), 400, "invalid_request")


def test_a_revocation_sets_the_bit_of_the_token_and_no_other(signer: RunningSigner) -> None:
    token = signer.token("reports")
    index = claims_of(token)["status"]["status_list"]["idx"]

    def bits() -> int:
        with signer.signer.store.read() as connection:
            found = status_bits(connection)
        assert len(found) * 8 % BLOCK == 0
        return int.from_bytes(found, "little")

    before = bits()
    assert not before >> index & 1
    signer.post("/revoke", "reports", token=token)
    assert bits() == before | 1 << index


def test_nobody_revokes_the_token_of_another(signer: RunningSigner) -> None:
    token = signer.token("reports")
    refused(signer.post("/revoke", "plain", token=token), 400, "unauthorized_client")
    assert introspect(signer, token)["active"] is True
    assert signer.post("/revoke", "plain", token="what is no token").status_code == 200
    refused(signer.http.post("/revoke", data={"token": token}), 401, "invalid_client")


# What must not happen


def test_an_unexpected_error_is_json_without_details_and_logged_without_values(tmp_path: Path) -> None:
    problems: list[Exception] = []

    def clock() -> float:
        if problems:
            raise problems[0]
        return NOW

    given = settings(tmp_path / "keys")
    with opened(given, NOW) as signer, capture_logs() as logs:
        app = create_app(given, signer.store, signer.ring, clock=clock)
        http = TestClient(app, raise_server_exceptions=False)
        problems.append(RuntimeError("s3cret"))
        for path in ("/token", "/introspect", "/revoke"):
            refused(http.post(path, data={"grant_type": "x"}, auth=("reports", "x")), 500, "server_error")
        answer = http.get("/jwk")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "s3cret" not in answer.text
    assert [(line["log_level"], line["error"]) for line in logs] == [("error", "RuntimeError")] * 3
    assert all(line["at"][-1].endswith(" clock") for line in logs)
    assert "s3cret" not in str(logs)


# Failed authentication


def test_guessing_is_slowed_and_locks_nobody_out_who_knows_the_secret(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with RunningSigner(settings(tmp_path_factory.mktemp("guess") / "keys")) as signer:
        secret = signer.add("reports")
        signer.token("reports")
        form = {"grant_type": "client_credentials"}
        answers = [signer.http.post("/token", data=form, auth=("reports", f"x{number}")) for number in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert signer.token("reports")
        assert signer.http.post("/token", data=form, auth=("nobody", secret)).status_code == 401
        signer.clock.now += 7
        assert signer.http.post("/token", data=form, auth=("reports", "x")).status_code == 401
        assert signer.http.post("/token", data=form, auth=("reports", "x")).status_code == 429


def test_a_stranger_cannot_tell_a_clients_name_from_nobodys(tmp_path_factory: pytest.TempPathFactory) -> None:
    with RunningSigner(settings(tmp_path_factory.mktemp("names") / "keys")) as signer:
        signer.add("reports")

        def refusals(name: str) -> list[tuple[int, bytes, str | None]]:
            answers = [
                signer.http.post("/token", data={"grant_type": "client_credentials"}, auth=(name, f"x{number}"))
                for number in range(11)
            ]
            return [(answer.status_code, answer.content, answer.headers.get("retry-after")) for answer in answers]

        client = refusals("reports")
        assert [status for status, _, _ in client] == [401] * 10 + [429]
        # One after the other: what is counted of one name delays no other.
        assert refusals("nobody") == client
        assert refusals("no such name") == client
        assert refusals("x" * 2000) == client


def test_of_failures_the_longest_ago_are_forgotten_first_when_there_are_many() -> None:
    attempts = Attempts()
    for name in ("first", "second") * 10:
        attempts.failed(name, 0.0)
    assert attempts.wait("first", 0.0)
    for number in range(9_999):
        attempts.failed(str(number), 0.0)
    assert (attempts.wait("first", 0.0), attempts.wait("second", 0.0)) == (0, 6)
