"""Every reason through a real NGINX: status, headers and body, by default and as the demo changes them.

The validator is a double that says what stands in the token: a reason, or how it misbehaves.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from jwtgate.config import load_text
from jwtgate.reasons import Reason
from jwtgate.run_directory import unprivileged_account
from jwtgate.validator.worker import listen
from support.gateway import logged
from support.http import Response, connect, exchange
from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

EMPTY = b"Content-Length: 0\r\nX-Accel-Expires: 0\r\n"

# What the double answers to a token that is not the name of a reason.
SAYINGS = {
    "nothing": b"",
    "garbage": b"\x00\xff what?\r\n\r\n",
    "half": b"HTTP/1.1 401 Unauthor",
    "status-500": b"HTTP/1.1 500 Internal Server Error\r\n" + EMPTY + b"\r\n",
    "status-404": b"HTTP/1.1 404 Not Found\r\n" + EMPTY + b"\r\n",
    "status-302": b"HTTP/1.1 302 Found\r\nLocation: /\r\n" + EMPTY + b"\r\n",
    "no-reason": b"HTTP/1.1 401 Unauthorized\r\n" + EMPTY + b"\r\n",
    "empty-reason": b"HTTP/1.1 401 Unauthorized\r\nX-Jwtgate-Reason: \r\n" + EMPTY + b"\r\n",
    "known": b"HTTP/1.1 401 Unauthorized\r\nX-Jwtgate-Reason: token_expired\r\nX-Jwtgate-Issuer: main\r\n"
    b"X-Jwtgate-Key: key-1\r\nX-Jwtgate-Subject: 0123456789abcdef\r\n" + EMPTY + b"\r\n",
}


class Double:
    """A validator on the sockets of both workers. It closes each connection after its answer."""

    def __init__(self, run_dir: Path) -> None:
        account = unprivileged_account()
        owner = (account.uid, account.gid) if account else None
        self._listeners = [listen(run_dir / "sockets" / f"validator-{number}.sock", owner) for number in range(2)]

    def __enter__(self) -> Self:
        for listener in self._listeners:
            listener.listen(64)
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    @staticmethod
    def _serve(listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                asked = b""
                while b"\r\n\r\n" not in asked and (more := connection.recv(65536)):
                    asked += more
                found = re.search(rb"\r\nAuthorization: Bearer (\S+)", asked)
                connection.sendall(say(found[1].decode() if found else "token_missing"))


def say(token: str) -> bytes:
    if token.startswith("allowed"):
        until = int(time.time()) + 30
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Expires: @%d\r\n\r\n" % until
    if token in SAYINGS:
        return SAYINGS[token]
    return b"HTTP/1.1 401 Unauthorized\r\nX-Jwtgate-Reason: " + token.encode() + b"\r\n" + EMPTY + b"\r\n"


OWN_WORDS = """5 $ or ${host} or $host or $1? "double" 'single' \\\\back {braces}; ü"""

CONFIGURATION = """
realm: orders
issuers:
  main: {issuer: https://issuer.example, jwks: http://127.0.0.1:1/, audience: services, algorithms: [ES256]}
policies:
  caller: {issuer: main}
upstreams:
  nowhere: [http://127.0.0.1:1]
routes:
  - {path: /, upstream: nowhere, policy: caller}
  - path: /own/
    upstream: nowhere
    policy: caller
    denials:
      token_missing:
        status: 418
        body: '5 $$ or $${host} or $$host or $$1? "double" ''single'' \\\\back {braces}; ü'
        content_type: text/x-own; charset=utf-8
        headers: {X-Price: '$$5 "each"', WWW-Authenticate: null}
      token_expired: {status: 401, json: {"a": 1}, headers: {WWW-Authenticate: 'Own realm="x"'}}
      default: {status: 403}
"""


class Gate:
    """An NGINX, and the double that it asks."""

    def __init__(self, alone: StandAlone) -> None:
        self.alone = alone

    def get(self, path: str = "/", **options: Any) -> Response:
        return self.alone.request(path, **options)

    def logged(self, response: Response) -> dict[str, Any]:
        """The log entry of an answer."""
        return logged(self.alone.work / "access.log", response.headers["x-request-id"])


def demo_denials() -> str:
    """The `denials:` of the demo's gateway.yaml."""
    text = (files("jwtgate.demo") / "gateway.yaml").read_text(encoding="utf-8")
    return text[text.index("\ndenials:") :]


@pytest.fixture(scope="module")
def gate(nginx: Path) -> Iterator[Gate]:
    """With the answers that come without `denials:`."""
    with StandAlone(CONFIGURATION, nginx=nginx) as alone, Double(alone.run_dir):
        yield Gate(alone)


@pytest.fixture(scope="module")
def demo_gate(nginx: Path) -> Iterator[Gate]:
    """With the demo's answers."""
    with StandAlone(CONFIGURATION + demo_denials(), nginx=nginx) as alone, Double(alone.run_dir):
        yield Gate(alone)


class Expected(NamedTuple):
    """An answer of the table in config.md: `error` None is a challenge without one, "" is no challenge."""

    status: int
    code: str
    error: str | None


INVALID = Expected(401, "invalid_token", "invalid_token")
SCOPE = Expected(403, "insufficient_scope", "insufficient_scope")
STEP_UP = Expected(401, "insufficient_user_authentication", "insufficient_user_authentication")
SERVER = Expected(500, "server_error", "")
UNAVAILABLE = Expected(503, "temporarily_unavailable", "")

BY_DEFAULT = {
    Reason.TOKEN_MISSING: Expected(401, "token_missing", None),
    Reason.CREDENTIALS_AMBIGUOUS: Expected(400, "invalid_request", "invalid_request"),
    Reason.TOKEN_MALFORMED: INVALID,
    Reason.TOKEN_TOO_LARGE: INVALID,
    Reason.HEADER_INVALID: INVALID,
    Reason.CRIT_UNSUPPORTED: INVALID,
    Reason.CLAIMS_UNREADABLE: INVALID,
    Reason.ISSUER_UNKNOWN: INVALID,
    Reason.KEY_UNKNOWN: INVALID,
    Reason.KEY_AMBIGUOUS: INVALID,
    Reason.ALGORITHM_NOT_ALLOWED: INVALID,
    Reason.SIGNATURE_INVALID: INVALID,
    Reason.TOKEN_EXPIRED: INVALID,
    Reason.TOKEN_NOT_YET_VALID: INVALID,
    Reason.TOKEN_TOO_OLD: INVALID,
    Reason.TOKEN_REVOKED: INVALID,
    Reason.TOKEN_INACTIVE: INVALID,
    Reason.STATUS_UNKNOWN: INVALID,
    Reason.AUDIENCE_MISMATCH: INVALID,
    Reason.TYPE_MISMATCH: INVALID,
    Reason.CLAIM_MISSING: INVALID,
    Reason.PROOF_MISSING: INVALID,
    Reason.SCOPE_MISSING: SCOPE,
    Reason.ROLE_MISSING: SCOPE,
    Reason.REQUIREMENT_FAILED: SCOPE,
    Reason.STEP_UP_REQUIRED: STEP_UP,
    Reason.POLICY_ERROR: SERVER,
    Reason.POLICY_UNKNOWN: SERVER,
    Reason.INTERNAL_ERROR: SERVER,
    Reason.INTROSPECTION_FAILED: UNAVAILABLE,
    Reason.ISSUER_UNAVAILABLE: UNAVAILABLE,
    Reason.STATUS_UNAVAILABLE: UNAVAILABLE,
    Reason.VALIDATOR_UNAVAILABLE: UNAVAILABLE,
}

# RFC 9110, section 11.2, and RFC 6750, section 3: parameters are quoted strings, without `"` and `\\` inside.
TEXT = r"[\x20-\x21\x23-\x5b\x5d-\x7e]"
CHALLENGE = re.compile(rf'Bearer realm="{TEXT}+"(?:, error="({TEXT}+)", error_description="{TEXT}+")?')


def values(response: Response, name: str) -> list[str]:
    return [value for each, value in response.pairs if each == name]


def answered(response: Response) -> tuple[int, bytes]:
    return response.status, response.body


def test_the_table_is_complete() -> None:
    assert BY_DEFAULT.keys() == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_answered_as_the_rfcs_ask(gate: Gate, reason: Reason) -> None:
    status, code, error = BY_DEFAULT[reason]
    response = gate.get(token=reason)
    assert response.status == status
    assert values(response, "content-type") == ["application/problem+json"]
    assert values(response, "cache-control") == ["no-store"]
    assert values(response, "content-length") == [str(len(response.body))]
    (request_id,) = values(response, "x-request-id")
    problem = response.json()
    assert problem.pop("title")
    assert problem == {"type": "about:blank", "status": status, "code": code, "request_id": request_id}
    challenges = values(response, "www-authenticate")
    if error == "":
        assert challenges == []
    else:
        (challenge,) = challenges
        parsed = CHALLENGE.fullmatch(challenge)
        assert parsed is not None, challenge
        assert challenge.startswith('Bearer realm="orders"')
        assert parsed[1] == error
    assert values(response, "retry-after") == (["5"] if status == 503 else [])
    # Nothing of what the validator said to NGINX leaves the gateway.
    assert [name for name, _ in response.pairs if name.startswith(("x-jwtgate", "x-accel"))] == []
    if code != str(reason):
        assert str(reason).encode() not in response.body, "the precise reason is not for strangers"
    entry = gate.logged(response)
    assert (entry["reason"], entry["status"], entry["route"]) == (reason, status, "/")


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_answered_as_the_demo_says(demo_gate: Gate, reason: Reason) -> None:
    # What the demo's file means is a table of its own, in the tests of jwtgate.demo.
    answers = dict(
        load_text("version: 1\nlisten: 8000\n" + CONFIGURATION + demo_denials(), "demo", {}).plan.answers
    )
    expected = answers[reason]
    response = demo_gate.get(token=reason)
    assert answered(response) == (expected.status, expected.body.encode())
    assert values(response, "content-type") == ["application/json"]
    for name in ("www-authenticate", "cache-control", "retry-after"):
        assert values(response, name) == [value for each, value in expected.headers if each.lower() == name]
    assert demo_gate.logged(response)["reason"] == reason


@pytest.mark.parametrize("reason", Reason)
def test_head_gets_the_same_head_and_no_body(gate: Gate, reason: Reason) -> None:
    whole, head = gate.get(token=reason), gate.get(token=reason, method="HEAD")
    assert (head.status, head.body) == (whole.status, b"")

    def told(response: Response) -> list[tuple[str, str]]:
        return sorted(pair for pair in response.pairs if pair[0] not in ("date", "x-request-id"))

    assert told(head) == told(whole)


@pytest.mark.parametrize("reason", [Reason.TOKEN_EXPIRED, Reason.SCOPE_MISSING, Reason.CREDENTIALS_AMBIGUOUS])
def test_a_denied_post_keeps_the_connection(gate: Gate, reason: Reason) -> None:
    post = (
        f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reason}\r\nContent-Length: 100000\r\n\r\n".encode()
        + b"x" * 100_000
    )
    with connect(gate.alone.address) as connection:
        for _ in range(3):
            assert exchange(connection, post, "POST").status == BY_DEFAULT[reason].status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_every_method_is_denied_alike(gate: Gate, method: str) -> None:
    response = gate.get(token="token_expired", method=method)
    assert (response.status, response.json()["code"]) == (401, "invalid_token")


# What the validator should never say.


@pytest.mark.parametrize("token", ["no-reason", "empty-reason", "made_up", "TOKEN_EXPIRED", "token_expired2"])
def test_a_no_without_a_reason_that_we_know_is_our_own_fault(gate: Gate, demo_gate: Gate, token: str) -> None:
    response = gate.get(token=token)
    assert (response.status, response.json()["code"]) == (500, "server_error")
    assert answered(demo_gate.get(token=token)) == (
        500,
        b'{"success": false, "error": "something unknown happened :O"}',
    )


@pytest.mark.parametrize("token", ["nothing", "garbage", "half", "status-500", "status-404", "status-302"])
def test_a_validator_that_makes_no_sense_is_unavailable(gate: Gate, demo_gate: Gate, token: str) -> None:
    response = gate.get(token=token)
    assert (response.status, response.json()["code"]) == (503, "temporarily_unavailable")
    assert values(response, "retry-after") == ["5"]
    assert values(response, "location") == []
    assert gate.logged(response)["reason"] == "validator_unavailable"
    own = demo_gate.get(token=token)
    assert answered(own) == (503, b'{"success": false, "error": "temporarily unavailable"}')
    assert values(own, "retry-after") == ["5"]


# Answers of a route's own.


def test_a_body_reaches_the_client_to_the_letter(gate: Gate) -> None:
    response = gate.get("/own/")
    assert answered(response) == (418, OWN_WORDS.encode())
    assert values(response, "content-type") == ["text/x-own; charset=utf-8"]
    assert values(response, "x-price") == ['$5 "each"']
    assert values(response, "www-authenticate") == []
    assert values(response, "cache-control") == ["no-store"]


def test_a_route_has_its_own_answers_and_no_other_route_has_them(gate: Gate) -> None:
    response = gate.get("/own/", token="token_expired")
    assert answered(response) == (401, b'{"a": 1}')
    assert values(response, "www-authenticate") == ['Own realm="x"']
    other = gate.get("/own/", token="signature_invalid")
    assert (other.status, other.json()["status"], other.json()["code"]) == (403, 403, "invalid_token")
    assert gate.get("/own/", token="validator_unavailable").status == 503
    assert gate.get("/").status == 401


def test_a_routes_answers_lie_over_the_gateways(demo_gate: Gate) -> None:
    # The route's default says 403; the gateway's body for this reason stays.
    assert answered(demo_gate.get("/own/", token="policy_error")) == (
        403,
        b'{"success": false, "error": "something unknown happened :O"}',
    )
    assert answered(demo_gate.get("/own/")) == (418, OWN_WORDS.encode())


# The log.


def test_the_log_says_who_was_denied_and_why_but_not_by_which_token(gate: Gate) -> None:
    response = gate.get("/own/deep?token=known", token="known")
    entry = gate.logged(response)
    assert response.status == 401
    assert entry["status"] == 401
    assert entry["reason"] == "token_expired"
    assert entry["route"] == "/own/"
    assert entry["path"] == "/own/deep"
    assert re.fullmatch(r"caller-[0-9a-f]+", entry["policy"])
    assert entry["issuer"] == "main"
    assert entry["key"] == "key-1"
    assert entry["subject"] == "0123456789abcdef"
    assert entry["decision_cache"] == "MISS"
    assert "known" not in json.dumps(entry)


def test_the_log_says_that_a_decision_came_from_the_cache(gate: Gate) -> None:
    token = f"allowed-{time.monotonic_ns()}"
    entries = [gate.logged(gate.get(token=token)) for _ in range(3)]
    assert [entry["decision_cache"] for entry in entries] == ["MISS", "MISS", "HIT"]
    assert {entry["reason"] for entry in entries} == {""}


def test_the_request_id_is_one_in_body_header_and_log(gate: Gate) -> None:
    first, second = gate.get(), gate.get()
    for response in (first, second):
        assert response.json()["request_id"] == response.headers["x-request-id"]
        assert gate.logged(response)["status"] == 401
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
